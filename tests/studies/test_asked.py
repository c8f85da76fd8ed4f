"""What a run says while it waits for people, and of what they answered."""

import pytest

from rewardtree.studies.asked import words_on
from rewardtree.tree.asking import Waiting


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ({}, "0 of 40 answers are there, 40 wait for anybody"),
        (
            {"given": 39, "out": 1, "minutes": 15},
            "39 of 40 answers are there, 1 with labellers now (for 15 min at most)",
        ),
        ({"given": 36, "wanted": 36, "aside": 4}, "36 of 36 answers are there"),
        (
            {"given": 30, "wanted": 36, "aside": 10},
            "30 of 36 answers are there; 10 are set aside as broken, and 4 at most are gone on without: put "
            "comparisons back on the page under Quality",
        ),
    ],
)  # fmt: skip
def test_waiting_is_told_in_one_line(now: dict[str, int], said: str) -> None:
    nothing = {"given": 0, "wanted": 40, "out": 0, "minutes": 0, "aside": 0, "allowed": 4}
    assert words_on(Waiting(**nothing | now)) == said
