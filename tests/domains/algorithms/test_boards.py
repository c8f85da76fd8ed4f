"""Questions in words: no fact on the board, every fact a place in its text, and claims that say what they answer."""

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rewardtree.domains.algorithms.domain import FAMILIES
from rewardtree.domains.algorithms.paths import Paths
from rewardtree.domains.algorithms.wildcards import Wildcards
from rewardtree.tasks.board import unpack
from rewardtree.tasks.decomposition import Decomposition
from rewardtree.tasks.exhibit import NO_CLAIMS
from rewardtree.tasks.levels import FACT, LevelTask, level_name
from rewardtree.tasks.wording import Worded
from rewardtree.tree.assistance import ask
from rewardtree.tree.comparing import exhibits
from rewardtree.tree.showing import show
from rewardtree.tree.sides import Side
from rewardtree.tree.stand_ins import ideal

DEPTH, COUNT = 2, 4
LEVELS = [(name, level) for name in FAMILIES for level in range(DEPTH + 1)]
each = pytest.mark.parametrize(("name", "level"), LEVELS)
Asked = tuple[LevelTask, Any, tuple[Side, Side]]


def asked(family: Decomposition, level: int) -> Asked:
    """Comparisons with ideal helpers' claims."""
    task, rng = LevelTask(family=family, level=level), np.random.default_rng(2)
    inputs = task.sample(rng, COUNT, "train")
    helpers = {level_name(low): ideal(LevelTask(family=family, level=low)) for low in family.parts(level)}
    outputs = [task.base_outputs(rng, inputs) for _ in range(2)]
    first, second = (Side(outputs=o, claims=ask(task, helpers, inputs, o) if level else NO_CLAIMS) for o in outputs)
    return task, inputs, (first, second)


def shown(task: LevelTask, inputs: Any, sides: tuple[Side, Side]) -> list[dict[str, Any]]:
    return [unpack(one) for one in show(task, inputs, sides, exhibits(task, inputs, sides, 2), {})]


@each
def test_boards_and_claims_say_nothing_of_facts(name: str, level: int) -> None:
    task, inputs, sides = asked(FAMILIES[name](depth=DEPTH), level)
    worlds = inputs.worlds
    facts, tokens = np.roll(worlds.facts, 1, axis=1), (worlds.tokens + 1) % task.family.vocabulary
    facts[facts == worlds.facts] += 1
    hidden = worlds.hidden[:, ::-1]
    other = replace(inputs, worlds=replace(worlds, facts=facts, tokens=tokens, hidden=hidden))
    for one, two in zip(shown(task, inputs, sides), shown(task, other, sides), strict=True):
        for side in ("first", "second"):
            assert one[side]["board"] == two[side]["board"] and one[side]["claims"] == two[side]["claims"]
            (before,), (after,) = one[side]["instruments"], two[side]["instruments"]
            assert all(a != b for a, b in zip(before["values"], after["values"], strict=True))
            assert before | {"values": 0} == after | {"values": 0}


@each
def test_every_fact_is_a_stretch_of_the_text(name: str, level: int) -> None:
    task, inputs, sides = asked(FAMILIES[name](depth=DEPTH), level)
    for one in shown(task, inputs, sides):
        board, (tool,) = one["first"]["board"], one["first"]["instruments"]
        assert tool["name"] == FACT and tool["digits"] == 0
        assert sorted(place for place, _, _ in tool["places"]) == list(range(inputs.worlds.facts.shape[1]))
        assert len({label for _, label, _ in tool["places"]}) == len(tool["places"])
        ends = sorted((int(start), int(end)) for _, _, (start, end) in tool["places"])
        assert all(0 < a < b <= len(board["data"]) for a, b in ends)
        assert all(end <= start for (_, end), (start, _) in itertools.pairwise(ends))
        assert all(not set("\n,") & set(board["data"][a:b]) for a, b in ends)


@each
def test_question_and_answer_come_first(name: str, level: int) -> None:
    family = FAMILIES[name](depth=DEPTH)
    assert isinstance(family, Worded)
    task, inputs, sides = asked(family, level)
    for row, one in enumerate(shown(task, inputs, sides)):
        question, answer, *_ = one["second"]["board"]["data"].split("\n")
        assert question == family.ask(level, int(inputs.asked[row]), inputs, row) and question.endswith("?")
        assert answer == f"The answer: {family.answer(int(sides[1].outputs.value[row]))}"
        assert one["question"] == "Which answer is right?" and family.rules() in one["guide"]


@each
def test_claims_tell_their_question_and_its_answer(name: str, level: int) -> None:
    family = FAMILIES[name](depth=DEPTH)
    assert isinstance(family, Worded)
    task, inputs, sides = asked(family, level)
    for row, one in enumerate(shown(task, inputs, sides)):
        tool = {place: (label, box) for place, label, box in one["first"]["instruments"][0]["places"]}
        for told, (quantity, claim) in zip(one["first"]["claims"], sides[0].claims.items(), strict=True):
            below = family.parts(level)[task.parts.index(quantity)]
            assert told["pointer"] == family.ask(below, int(claim.place[row]), inputs, row)
            assert told["statement"] == f"{told['pointer']} {family.answer(int(claim.value[row]))}"
            if below == 0:
                assert told["instrument"] == FACT and (told["place_label"], told["box"]) == tool[told["place"]]
            else:
                assert told["instrument"] is None and told["box"] == []


@each
def test_readings_are_the_facts_as_people_know_them(name: str, level: int) -> None:
    task, inputs, sides = asked(FAMILIES[name](depth=DEPTH), level)
    for row, one in enumerate(shown(task, inputs, sides)):
        facts = inputs.worlds.facts[inputs.row[row]]
        family = task.family
        shift = family.first if isinstance(family, Paths) else family.zero if isinstance(family, Wildcards) else 0
        assert one["first"]["instruments"][0]["values"] == (facts - shift).tolist()


def test_a_variable_is_told_with_all_that_it_is_computed_from() -> None:
    task, inputs, sides = asked(FAMILIES["assignments"](depth=DEPTH), DEPTH)
    size, table = task.family.size, task.family.table()  # type: ignore[attr-defined]
    for row, one in enumerate(shown(task, inputs, sides)):
        head, tail = one["first"]["board"]["data"].split("Constants: ")
        values = {f"a{i}": int(fact) for i, fact in enumerate(inputs.worlds.facts[inputs.row[row]])}
        lines = [line for line in head.split("\n") if " = f(" in line]
        for line in reversed(lines):
            name, terms = line.removesuffix(")").split(" = f(")
            first, second = terms.split(", ")
            values[name] = int(table[values[first], values[second]])
        wanted = task.ideal(inputs).value[row]
        asked_for = "abc"[inputs.asked[row] // size] + str(inputs.asked[row] % size)
        assert values[asked_for] == wanted and f"x = 1:  0→{table[1, 0]}  1→{table[1, 1]}" in tail


def test_matching_strings_stand_first() -> None:
    task, inputs, sides = asked(Wildcards(depth=DEPTH), DEPTH)
    for row, one in enumerate(shown(task, inputs, sides)):
        text = one["first"]["board"]["data"]
        pattern = text.split("match ")[1].split("?")[0]
        matching = text.split("Matching: ")[1].split("\n")[0].split(", ")
        strings = [f"{i:04b}" for i in range(16)]
        assert matching == [s for s in strings if all(p in ("*", c) for p, c in zip(pattern, s, strict=True))]
        values = [one["first"]["instruments"][0]["values"][int(s, 2)] for s in matching]
        answer = int(task.ideal(inputs).value[row])
        assert f"{sum(values):.0f}".replace("-", "\N{MINUS SIGN}") == task.family.answer(answer)  # type: ignore[attr-defined]


def test_a_family_without_words_is_shown_by_its_records() -> None:
    class Silent:
        """A family that cannot be put in words."""

        def __init__(self, family: Any) -> None:
            for name in ("name", "depth", "names", "vocabulary"):
                setattr(self, name, getattr(family, name))
            for name in ("draw", "askable", "allowed", "parts", "part", "nameable", "context", "conclude", "decoys"):
                setattr(self, name, getattr(family, name))
            for name in ("links", "glances", "hunch", "sizes", "sized"):
                setattr(self, name, getattr(family, name))

    task, inputs, sides = asked(Silent(FAMILIES["powering"](depth=DEPTH)), 1)  # type: ignore[arg-type]
    one = shown(task, inputs, sides)[0]["first"]
    record = inputs.digest()[0]
    assert one["board"]["data"].startswith(f"World: {record['world']}\nAsked: {record['asked']}\n")
    assert one["instruments"][0]["places"][3] == [3, "place 3", []]
    assert (
        one["claims"][0]["statement"]
        == f"the answer to place {record['asked']} is {sides[0].claims['part_0'].value[0]:.0f}"
    )
