"""Who is on stage, as people see it: the name, the answer, and the chapter's passages that can be opened."""

from typing import TYPE_CHECKING

import numpy as np

from rewardtree.domains.novels.stage import Stage
from rewardtree.tasks.board import Board, Instrument
from rewardtree.tasks.plain_boards import Stretch, apart, written

if TYPE_CHECKING:
    from rewardtree.tasks.answers import Answers, AnswerTask, Scenes

LABEL = "Open a passage of the chapter (1 the name is on stage, 0 it is not)"


def passage_name(stage: Stage, row: int, quarter: int, place: int) -> str:
    """A passage of a chapter's quarter by its chapter and characters."""
    passage = int(stage.parts[row, quarter, place])
    if passage < 0:
        return "no passage"
    one = stage.volumes[stage.volume[row]].places[passage]
    return f"chapter {one.chapter + 1}, characters {one.start} to {one.end}"


def part_board(
    task: "AnswerTask", scenes: "Scenes", answers: "Answers", row: int
) -> tuple[Board, tuple[Instrument, ...]]:
    """The name, and the passage and value that the answer gives."""
    assert scenes.backdrop is not None
    found, item = scenes.backdrop.find(row)
    stage, quarter, place = found.stage, int(found.quarter[item]), int(answers.place[row])
    words = (
        f"Asked: where in this part of the chapter is {stage.name(item)} on stage, and not only talked about?\n"
        f"The answer: {passage_name(stage, item, quarter, place)}, {float(answers.value[row]):.1f} of 1.\n\n"
    )
    return _opened(stage, item, quarter, words)


def quarter_board(stage: Stage, answers: "Answers", row: int) -> tuple[Board, tuple[Instrument, ...]]:
    """The name, and the quarter and verdict that the answer gives."""
    quarter, there = int(answers.place[row]), answers.value[row] >= 0.5
    words = (
        f"Asked: in which quarter of the chapter is {stage.name(row)} on stage, and not only talked about?\n"
        f"The answer: in quarter {quarter + 1} {'on stage' if there else 'not on stage'}.\n\n"
    )
    return _opened(stage, row, quarter, words)


def places_of(stage: Stage, row: int, quarter: int, first: int = 0) -> list[Stretch]:
    """The passages of a quarter as places with numbers from `first` on."""
    found: list[Stretch] = []
    for place in np.flatnonzero(stage.parts[row, quarter] >= 0).tolist():
        name = passage_name(stage, row, quarter, place)
        found.append((first + place, name, name))
    return found


def _opened(stage: Stage, row: int, quarter: int, words: str) -> tuple[Board, tuple[Instrument, ...]]:
    board, spots = written([words, "Passages of the quarter: ", *apart(places_of(stage, row, quarter))])
    return board, (Instrument(name="on_stage", label=LABEL, digits=0, places=spots),)
