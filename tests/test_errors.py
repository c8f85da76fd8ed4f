"""Errors of users: what they say survives the way from one process to another."""

import pickle

from rewardtree.errors import InputFileError


def test_an_error_of_a_worker_says_the_same_here() -> None:
    error = InputFileError("book.txt", 3, "it is not UTF-8", "save the text as UTF-8")
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) == "book.txt:3: it is not UTF-8; save the text as UTF-8"
    assert (again.path, again.line, again.problem, again.remedy) == (error.path, 3, error.problem, error.remedy)
