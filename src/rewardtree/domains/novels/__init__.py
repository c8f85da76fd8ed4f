"""Novels: is a revised chapter as the whole book has it?"""
