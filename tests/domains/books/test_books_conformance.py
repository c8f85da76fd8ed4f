"""The task of every height conforms."""

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest

from rewardtree.domains.books.heights import TOLD, Library
from rewardtree.domains.books.nodes import drawing
from rewardtree.domains.books.sources import Sources, Summaries
from rewardtree.domains.books.summarising import SummaryTask
from rewardtree.tasks.board import unpack
from rewardtree.tasks.conformance import TaskConformance
from rewardtree.tasks.specimen import Specimen
from rewardtree.tree.assistance import ask
from rewardtree.tree.comparing import exhibits
from rewardtree.tree.showing import show
from rewardtree.tree.sides import Side
from rewardtree.tree.stand_ins import ideal


def other_passages(inputs: Sources, outputs: Summaries, rng: np.random.Generator) -> tuple[Sources, Summaries]:
    """The same sources, as if other passages were in hand."""
    pages = inputs.pages
    other = np.where(pages.hand + 1 < pages.span[:, 1:], pages.hand + 1, pages.hand - 1)
    return replace(inputs, pages=replace(pages, hand=other)), outputs


class Conformance(TaskConformance):
    """All heights, made once a session."""

    made: ClassVar[dict[int, SummaryTask]] = {}

    @pytest.fixture(autouse=True)
    def _make(self, books_library: Library) -> None:
        for height in range(books_library.heights):
            told = TOLD if height else 0
            self.made[height] = SummaryTask(height=height, draw=drawing(books_library, height), told=told)


class TestParts(Conformance):
    @property
    def specimen(self) -> Specimen:
        return Specimen(task=self.made[0], other_fields=other_passages, drawn=24)


class TestNeighbours(Conformance):
    @property
    def specimen(self) -> Specimen:
        return Specimen(
            task=self.made[1], helpers={"height_0": ideal(self.made[0])}, other_fields=other_passages, drawn=24
        )


class TestBooks(Conformance):
    @property
    def specimen(self) -> Specimen:
        return Specimen(
            task=self.made[2], helpers={"height_1": ideal(self.made[1])}, other_fields=other_passages, drawn=24
        )


def test_people_get_summaries_with_passages_to_open_and_what_helpers_say_in_words(books_library: Library) -> None:
    task, below = (SummaryTask(height=h, draw=drawing(books_library, h), told=TOLD if h else 0) for h in (1, 0))
    rng = np.random.default_rng(2)
    inputs = task.sample(rng, 2, "train")
    sides = []
    for _ in range(2):
        outputs = task.base_outputs(rng, inputs)
        sides.append(Side(outputs=outputs, claims=ask(task, {"height_0": ideal(below)}, inputs, outputs)))
    pair = sides[0], sides[1]
    for packed in show(task, inputs, pair, exhibits(task, inputs, pair, 2), {}):
        first = unpack(packed)["first"]
        assert len(first["claims"]) == TOLD and "the summary that begins" in first["claims"][0]["statement"]
        (tool,) = first["instruments"]
        assert len(tool["places"]) == len({place[1] for place in tool["places"]}) <= 24
