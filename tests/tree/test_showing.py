"""Comparisons as people see them: what of sides, exhibits and trust ends up where."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rewardtree.tasks.board import unpack
from rewardtree.tasks.exhibit import NO_CLAIMS, Claim
from rewardtree.tasks.favouring import verdicts
from rewardtree.tasks.task import Task
from rewardtree.tree.assistance import ask
from rewardtree.tree.comparing import exhibits
from rewardtree.tree.showing import show
from rewardtree.tree.sides import Side
from rewardtree.tree.stand_ins import ideal
from toy import PLACES, toy_tasks

TASKS = toy_tasks()
PRODUCT = TASKS["product"]
HELPERS = {name: ideal(TASKS[name]) for name in ("left", "right")}
COUNT = 5
MINUS = "\N{MINUS SIGN}"


def bare(task: Any, **more: Any) -> Any:
    """The task without what it may bring along for people."""

    def passed(name: str) -> Any:
        return lambda self, *given, **named: getattr(task, name)(*given, **named)

    members = {name: passed(name) for name in vars(Task) if not name.startswith("_")}
    values = {"name": task.name, "quantities": task.quantities}
    return type("Bare", (), members | values | more)()


def asked(task: Any = PRODUCT, helpers: Any = HELPERS) -> tuple[Any, tuple[Side, Side]]:
    rng = np.random.default_rng(3)
    inputs = PRODUCT.sample(rng, COUNT, "train")
    outputs = [PRODUCT.base_outputs(rng, inputs) for _ in range(2)]
    first, second = (Side(outputs=o, claims=ask(task, helpers, inputs, o) if helpers else NO_CLAIMS) for o in outputs)
    return inputs, (first, second)


def shown(task: Any, inputs: Any, sides: tuple[Side, Side], trust: dict[str, float] | None = None) -> list[Any]:
    found = show(task, inputs, sides, exhibits(task, inputs, sides, 2), trust or {})
    return [unpack(packed) for packed in found]


def test_a_comparison_has_its_own_order_and_the_claims_theirs() -> None:
    inputs, sides = asked()
    for row, one in enumerate(shown(PRODUCT, inputs, sides, {"left": 0.75})):
        for name, side in zip(("first", "second"), sides, strict=True):
            place, value = int(side.outputs.place[row]), float(side.outputs.value[row])
            assert one[name]["board"]["data"].startswith(f"The answer: {value:.3g} at {place}\n".replace("-", MINUS))
            claims = one[name]["claims"]
            assert [c["quantity"] for c in claims] == list(side.claims) == ["left", "right"]
            assert [c["place"] for c in claims] == [place, place]
            assert [c["reliability"] for c in claims] == [0.75, None]
            assert [c["instrument"] for c in claims] == ["left", "right"]


def test_instruments_hold_what_the_exhibit_reads_and_stand_on_the_board() -> None:
    inputs, sides = asked()
    view = PRODUCT.view(inputs, sides[1].outputs, NO_CLAIMS)
    for row, one in enumerate(shown(PRODUCT, inputs, sides)):
        for tool in one["second"]["instruments"]:
            np.testing.assert_allclose(tool["values"], view.fields[tool["name"]][row], rtol=1e-5)
            text = one["second"]["board"]["data"]
            assert [text[int(a) : int(b)] for _, _, (a, b) in tool["places"]] == [str(i) for i in range(PLACES)]


def test_a_claim_lights_up_its_place() -> None:
    inputs, sides = asked()
    for one in shown(PRODUCT, inputs, sides):
        for claim in one["first"]["claims"]:
            text, (start, end) = one["first"]["board"]["data"], claim["box"]
            assert text[int(start) : int(end)] == claim["place_label"] == str(claim["place"])


def test_pointers_say_no_value() -> None:
    inputs, sides = asked()
    other = [replace(side, claims={q: replace(c, value=c.value + 7) for q, c in side.claims.items()}) for side in sides]
    one, two = shown(PRODUCT, inputs, sides)[0], shown(PRODUCT, inputs, (other[0], other[1]))[0]
    for before, after in zip(one["first"]["claims"], two["first"]["claims"], strict=True):
        assert before["statement"] != after["statement"]
        assert before | {"statement": ""} == after | {"statement": ""}


def test_boards_claims_and_places_say_nothing_of_fields() -> None:
    inputs, sides = asked()
    other = replace(inputs, fields={name: values[::-1] + 100.0 for name, values in inputs.fields.items()})
    for one, two in zip(shown(PRODUCT, inputs, sides), shown(PRODUCT, other, sides), strict=True):
        for side in ("first", "second"):
            assert one[side]["board"] == two[side]["board"] and one[side]["claims"] == two[side]["claims"]
            for before, after in zip(one[side]["instruments"], two[side]["instruments"], strict=True):
                assert before["values"] != after["values"]
                assert before | {"values": 0} == after | {"values": 0}


def test_claims_at_places_that_are_not_shown_are_still_told() -> None:
    inputs, sides = asked()
    claim = Claim(
        author="me", version="1", quantity="left", place=np.full(COUNT, PLACES + 3), value=np.full(COUNT, -1.5),
        check=("left",), statement="{value:.1f} at {place}", pointer="look at {place}",
    )  # fmt: skip
    found = shown(PRODUCT, inputs, (Side(outputs=sides[0].outputs, claims={"left": claim}), sides[1]))[0]
    (told,) = found["first"]["claims"]
    assert (told["pointer"], told["statement"]) == (f"look at {PLACES + 3}", f"{MINUS}1.5 at {PLACES + 3}")
    assert (told["box"], told["place_label"], told["instrument"]) == ([], "", "left")


def test_an_itemised_claim_says_what_it_claims_of_its_place() -> None:
    inputs, sides = asked()
    items = np.full((COUNT, PLACES), 0.5)
    items[:, 2] = np.nan
    for place, words in ((1, "all of it: 2.5; of this 0.5 at 1"), (2, "all of it: 2.5")):
        claim = Claim(
            author="me", version="1", quantity="left", place=np.full(COUNT, place), value=np.full(COUNT, 2.5),
            items=items, check=("left",), statement="all of it: {value:.1f}",
        )  # fmt: skip
        side = Side(outputs=sides[0].outputs, claims={"left": claim})
        assert shown(PRODUCT, inputs, (side, sides[1]))[0]["first"]["claims"][0]["statement"] == words


def test_a_task_that_brings_nothing_along_is_shown_by_its_records() -> None:
    inputs, sides = asked()
    found = shown(bare(PRODUCT), inputs, sides)[1]
    assert found["question"] == found["guide"] == ""
    record = sides[0].outputs.digest()[1]
    assert f"Place: {record['place']}\nValue: {record['value']}" in found["first"]["board"]["data"]
    tools = found["first"]["instruments"]
    assert [tool["name"] for tool in tools] == ["left", "right"]
    assert tools[0]["places"] == [[i, f"place {i}", []] for i in range(PLACES)]
    assert found["first"]["claims"][0]["place_label"] == f"place {record['place']}"


def test_questions_and_guides_are_the_tasks() -> None:
    inputs, sides = asked()
    found = shown(PRODUCT, inputs, sides)[0]
    assert found["question"] == "Which answer about the product is better?"
    assert "right place" in found["guide"] and "greatest" in found["guide"]


@pytest.mark.parametrize(
    ("sign", "favoured"), [(1, ["first", "second", "neither"]), (-1, ["second", "first", "neither"])]
)
def test_verdicts_follow_what_is_better(sign: int, favoured: list[str]) -> None:
    def side(values: list[float]) -> Side:
        claim = Claim(author="me", version="1", quantity="left", place=np.zeros(3, dtype=int), value=np.array(values))
        return Side(outputs=None, claims={"left": claim, "right": replace(claim, quantity="right")})

    one, other = side([2.0, 1.0, 3.0]).claims, side([1.0, 2.0, 3.0]).claims
    task = bare(PRODUCT, better={"left": sign, "nothing": 1})
    assert [verdicts(task, one, other, row) for row in range(3)] == [{"left": side} for side in favoured]
    assert verdicts(PRODUCT, one, other, 0) == {}
    assert verdicts(task, one, NO_CLAIMS, 0) == {}


def test_without_helpers_there_are_no_claims() -> None:
    inputs, sides = asked(helpers=None)
    assert all(one["first"]["claims"] == one["second"]["claims"] == [] for one in shown(PRODUCT, inputs, sides))
