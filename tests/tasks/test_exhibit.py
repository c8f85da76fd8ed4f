"""Exhibits show fields through the meter only."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rewardtree.errors import TaskError
from rewardtree.tasks.exhibit import NO_CLAIMS, Claim, Exhibit, Probe
from rewardtree.tasks.meter import Meter
from rewardtree.tasks.texts import Texts

DEPTH = np.arange(6.0).reshape(2, 3)
WIDTH = DEPTH + 10


def both(readings: Mapping[str, Any]) -> Any:
    return readings["depth"] * readings["width"]


def shown(budget: int | None) -> Exhibit:
    meter = Meter(2, budget=budget)
    return Exhibit(
        face=np.zeros((2, 1)), probes={}, claims=NO_CLAIMS, fields={"depth": DEPTH, "width": WIDTH}, meter=meter
    )


def test_a_reading_gives_the_value_at_the_place_and_costs_one() -> None:
    exhibit = shown(3)
    values, granted = exhibit.read("depth", np.array([[2, 0], [1, 1]]))
    assert values.tolist() == [[2.0, 0.0], [4.0, 4.0]]
    assert granted.all() and exhibit.meter.used.tolist() == [2, 2]


def test_a_refused_reading_is_nan() -> None:
    exhibit = shown(1)
    values, granted = exhibit.read("depth", np.array([[2, 0], [1, 1]]))
    assert granted.tolist() == [[True, False], [True, False]]
    assert values[:, 0].tolist() == [2.0, 4.0] and np.isnan(values[:, 1]).all()


def test_outputs_that_are_not_wanted_cost_nothing() -> None:
    exhibit = shown(5)
    values, granted = exhibit.read("depth", np.array([[2], [1]]), np.array([False, True]))
    assert granted.tolist() == [[False], [True]] and np.isnan(values[0, 0])
    assert exhibit.meter.used.tolist() == [0, 1]


@pytest.mark.parametrize("place", [-1, 3])
def test_a_place_that_is_not_there_costs_nothing(place: int) -> None:
    exhibit = shown(5)
    with pytest.raises(TaskError, match="0 to 2"):
        exhibit.read("depth", np.array([[0], [place]]))
    assert exhibit.meter.used.tolist() == [0, 0]


TEXTS = Texts(table=("One.", "Two.", "Three."), index=np.array([[2, 0, -1], [1, 1, 0]]))


def worded(budget: int | None) -> Exhibit:
    return replace(shown(budget), texts={"depth": TEXTS})


def test_texts_are_opened_on_the_meter_of_readings() -> None:
    exhibit = worded(3)
    words, granted = exhibit.open("depth", np.array([[0, 2], [2, 1]]), np.array([True, False]))
    assert words == [["Three.", None], [None, None]] and granted.tolist() == [[True, True], [False, False]]
    assert exhibit.meter.used.tolist() == [2, 0]
    assert exhibit.read("depth", np.array([[1, 1], [1, 1]]))[1].tolist() == [[True, False], [True, True]]
    words, granted = exhibit.open("depth", np.array([[1, 0], [0, 2]]))
    assert words == [[None, None], ["Two.", None]] and granted.tolist() == [[False, False], [True, False]]
    assert exhibit.open("depth", np.array([[0], [0]]))[0] == [[None], [None]]


def test_texts_that_are_not_there() -> None:
    with pytest.raises(TaskError, match=r"'width' opens texts; there are \['depth'\]"):
        worded(3).open("width", np.array([[0], [0]]))
    exhibit = worded(3)
    with pytest.raises(TaskError, match="0 to 2; 0 to 3"):
        exhibit.open("depth", np.array([[0], [3]]))
    assert exhibit.meter.used.tolist() == [0, 0]
    for wrong in (3, -2):
        with pytest.raises(TaskError, match="from 0 to 2"):
            Texts(table=TEXTS.table, index=np.array([[wrong]]))


def test_texts_of_some_outputs_share_the_table() -> None:
    taken = TEXTS.take(np.array([1, 1, 0]))
    assert taken.table is TEXTS.table
    assert [taken.at(row, 0) for row in range(3)] == ["Two.", "Two.", "Three."]


def test_an_instrument_that_is_not_there() -> None:
    with pytest.raises(TaskError, match=r"'up'.*depth.*width"):
        shown(5).read("up", np.array([[0], [0]]))


def test_a_probe_uses_its_instruments_at_its_place() -> None:
    exhibit = shown(2)
    probe = Probe(quantity="area", instruments=("depth", "width"), place=np.array([1, 2]), combine=both)
    assert probe.cost == 2
    assert exhibit.read_probe(probe).tolist() == [1.0 * 11.0, 5.0 * 15.0]
    assert exhibit.meter.used.tolist() == [2, 2]
    assert np.isnan(exhibit.read_probe(probe)).all()


def test_a_probe_of_which_one_reading_is_refused_says_nothing() -> None:
    probe = Probe(quantity="area", instruments=("depth", "width"), place=np.array([1, 2]), combine=both)
    assert np.isnan(shown(1).read_probe(probe)).all()


def test_two_exhibits_share_a_meter() -> None:
    meter = Meter(2, budget=1)
    sides = [
        Exhibit(face=np.zeros((2, 1)), probes={}, claims=NO_CLAIMS, fields={"depth": DEPTH}, meter=meter)
        for _ in range(2)
    ]
    assert sides[0].read("depth", np.array([[0], [0]]))[1].all()
    assert not sides[1].read("depth", np.array([[0], [0]]))[1].any()


def test_a_claim_takes_rows_with_its_items() -> None:
    items = np.array([[1.0, np.nan], [2.0, 3.0]])
    claim = Claim(
        author="a", version="1", quantity="q", place=np.array([0, 1]), value=np.array([1.0, 5.0]), items=items
    )
    taken = claim.take(np.array([1, 1, 0]))
    assert taken.place.tolist() == [1, 1, 0] and taken.value.tolist() == [5.0, 5.0, 1.0]
    assert taken.items is not None and taken.items[0].tolist() == [2.0, 3.0]
    assert claim.take(np.array([0])).quantity == "q" and claim.take(np.array([0])).span is None
    quoting = replace(claim, span=np.array([[3, 10, 40], [0, 0, 9]]))
    taken = quoting.take(np.array([1, 0]))
    assert taken.span is not None and taken.span.tolist() == [[0, 0, 9], [3, 10, 40]]


@pytest.mark.usefixtures("shapes_unchecked")
def test_a_claim_needs_a_value_a_place() -> None:
    with pytest.raises(TaskError, match="one place and one value"):
        Claim(author="a", version="1", quantity="q", place=np.zeros(2, dtype=int), value=np.zeros(3))
    with pytest.raises(TaskError, match="one span an output"):
        Claim(
            author="a", version="1", quantity="q", place=np.zeros(2, dtype=int), value=np.zeros(2),
            span=np.zeros((2, 2), dtype=int),
        )  # fmt: skip


def test_fields_do_not_show_when_an_exhibit_is_printed() -> None:
    assert "fields" not in repr(shown(1))
