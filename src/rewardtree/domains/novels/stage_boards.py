"""Who is on stage, as people see it: the name, the answer, and the chapter's passages that can be opened."""

from typing import TYPE_CHECKING

import numpy as np

from rewardtree.domains.novels.shelves import spans_in
from rewardtree.domains.novels.stage import PART, QUARTERS, Stage
from rewardtree.tasks.board import Board, Instrument, Spot
from rewardtree.tasks.plain_boards import Stretch, quoted, written

if TYPE_CHECKING:
    from rewardtree.tasks.answers import Answers, AnswerTask, Scenes


def part_board(
    task: "AnswerTask", scenes: "Scenes", answers: "Answers", row: int
) -> tuple[Board, tuple[Instrument, ...]]:
    """The name, and the passage and value that the answer gives."""
    assert scenes.backdrop is not None
    found, item = scenes.backdrop.find(row)
    stage, quarter, place = found.stage, int(found.quarter[item]), int(answers.place[row])
    words = (
        f"Asked: where in this part of the chapter is {stage.name(item)} on stage, and not only talked about?\n"
        f"The answer: {float(answers.value[row]):.1f} of 1, at "
    )
    name = dict((spot[0], spot[1]) for spot in spots_of(stage, item, quarter)).get(place, "no passage")
    return _opened(stage, item, quarter, words, (place, name, name), ".")


def quarter_board(stage: Stage, answers: "Answers", row: int) -> tuple[Board, tuple[Instrument, ...]]:
    """The name, and the quarter and verdict that the answer gives."""
    quarter, there = int(answers.place[row]), answers.value[row] >= 0.5
    return _opened(
        stage, row, quarter,
        f"Asked: in which quarter of the chapter is {stage.name(row)} on stage, and not only talked about?\n"
        f"The answer: in quarter {quarter + 1} {'on stage' if there else 'not on stage'}.",
    )  # fmt: skip


def spots_of(stage: Stage, row: int, quarter: int) -> tuple[Spot, ...]:
    """The passages of a quarter as places, by number in the quarter, none of them on a board."""
    places = np.flatnonzero(stage.parts[row, quarter] >= 0)
    spans = spans_in(stage.volumes, np.full(len(places), stage.volume[row]), stage.parts[row, quarter, places])
    return tuple((place, quoted(span), ()) for place, span in zip(places.tolist(), spans.tolist(), strict=True))


def spots_of_chapter(stage: Stage, row: int) -> tuple[Spot, ...]:
    """The passages of all quarters, one after the other."""
    return tuple(
        (quarter * PART + place, name, box)
        for quarter in range(QUARTERS)
        for place, name, box in spots_of(stage, row, quarter)
    )


def _opened(stage: Stage, row: int, quarter: int, *parts: str | Stretch) -> tuple[Board, tuple[Instrument, ...]]:
    board, named = written(parts)
    on_it = {spot[0]: spot for spot in named}
    spots = tuple(on_it.get(spot[0], spot) for spot in spots_of(stage, row, quarter))
    return board, (Instrument(name="on_stage", label="Open a passage of the chapter", places=spots),)
