"""Chip floorplanning: blocks placed on a die, with heat, wiring, supply and security to judge."""
