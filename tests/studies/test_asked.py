"""What a run says while it waits for people, and of what they answered."""

import pytest

from rewardtree.studies.asked import add_up, given, warnings, words_on
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


def asked(given: int, trained_on: int, **more: int) -> dict[str, dict[str, int]]:
    return {"root": {"asked": 40, "given": given, "aside": 0, "simulated": 0, "trained_on": trained_on} | more}


@pytest.mark.parametrize(
    ("answers", "told", "warned"),
    [
        ({}, [], []),
        (asked(40, 40), ["People gave 40 of 40 answers at root."], []),
        (
            asked(30, 28, aside=4),
            ["People gave 30 of 40 answers at root."],
            "10 of 40 answers at root are missing (4 of them set aside as broken): its reward model was trained on 28 ",
        ),
        (
            asked(0, 0),
            ["People gave 0 of 40 answers at root."],
            "its reward model was trained on nothing, and what its ",
        ),
        (
            asked(0, 20, simulated=20),
            ["People gave 0 of 40 answers at root."],
            "was trained on 20 comparisons answered by the simulated evaluator alone. Answers that come now",
        ),
    ],
)
def test_missing_answers_are_told(answers: dict[str, dict[str, int]], told: list[str], warned: str | list[str]) -> None:
    results = {"answers": answers}
    assert given(results) == told
    if isinstance(warned, list):
        assert warnings(results) == warned
    else:
        (sentence,) = warnings(results)
        assert warned in sentence and "run again, without people_wait and with people_enough=1" in sentence


def test_answers_of_seeds_add_up() -> None:
    assert add_up([asked(3, 3), asked(4, 2), {}]) == {
        "root": {"asked": 80, "given": 7, "aside": 0, "simulated": 0, "trained_on": 5}
    }
