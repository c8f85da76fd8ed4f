"""A language model as evaluator: what it is shown, how it reads, and what becomes of its answers."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest

from rewardtree.errors import TaskError
from rewardtree.evaluators.exhibit_words import value_of
from rewardtree.evaluators.judge import Judge
from rewardtree.evaluators.simulated import Bounds
from rewardtree.evaluators.verdicts import STATED
from rewardtree.language.completing import Completion, Options, Prompt
from rewardtree.studies.config import parse
from rewardtree.studies.installed import find_domain
from rewardtree.tasks.board import Instrument
from rewardtree.tasks.exhibit import NO_CLAIMS, Exhibit
from rewardtree.tree.assistance import ask
from rewardtree.tree.comparing import exhibits
from rewardtree.tree.evaluating import ideal_helpers
from rewardtree.tree.node import Node, Tree
from rewardtree.tree.sides import Side
from toy import toy_tree

TOY = toy_tree()
DECIDE = "Which output is better, A or B?"
Model = Callable[[str], str]


class Scripted:
    """A model that is a rule on the conversation; keeps what it was asked."""

    def __init__(self, rule: Model) -> None:
        self.rule, self.prompts = rule, []  # type: list[str]

    def __call__(self, prompts: Sequence[Prompt], options: Options) -> list[Completion]:
        told = ["\n".join(f"<{one.role}> {one.content}" for one in prompt) for prompt in prompts]
        self.prompts += told
        return [Completion(text=self.rule(one)) for one in told]


def pair(
    tree: Tree, name: str, count: int = 4, budget: int | None = 2, *, assisted: bool = False, spoil: bool = False
) -> tuple[Exhibit, Exhibit]:
    """Exhibits of base outputs; where spoilt, with other values behind all instruments and all else the same."""
    node, rng = tree.nodes[name], np.random.default_rng(5)
    inputs = node.task.sample(rng, count, "train")
    sides = [node.task.base_outputs(rng, inputs) for _ in range(2)]
    helpers = ideal_helpers(tree, node) if assisted else {}
    claims = [ask(node.task, helpers, inputs, side) if helpers else NO_CLAIMS for side in sides]
    if spoil:
        inputs = spoilt(node, inputs)
    both = (Side(outputs=sides[0], claims=claims[0]), Side(outputs=sides[1], claims=claims[1]))
    return exhibits(node.task, inputs, both, budget)


def spoilt(node: Node, inputs: Any) -> Any:
    """The same inputs with other values wherever an instrument reads."""
    if hasattr(inputs, "fields"):
        return replace(inputs, fields={name: values * 3.0 - 40.0 for name, values in inputs.fields.items()})
    worlds = inputs.worlds
    return replace(inputs, worlds=replace(worlds, facts=np.roll(worlds.facts, 1, axis=1)))


def algorithms(**options: Any) -> Tree:
    config = parse({"domain": "algorithms", "preset": "tiny", "options": options})
    return find_domain("algorithms").build(config.settings(0))


def judged(tree: Tree, name: str, rule: Model, **given: Any) -> tuple[Any, Scripted]:
    how = {key: given.pop(key) for key in ("view", "trust", "temperature") if key in given}
    model = Scripted(rule)
    judge = Judge(task=tree.nodes[name].task, complete=model, bounds=Bounds(budget=given.get("budget", 2)), **how)
    return judge.judge(*pair(tree, name, **given), np.random.default_rng(0)), model


@pytest.mark.parametrize(("tree", "name"), [(TOY, "product"), (TOY, "left"), (algorithms(depth=2), "level_2")])
@pytest.mark.parametrize("view", ["evidence", "places", "verdicts"])
def test_what_instruments_hold_is_in_no_prompt_unless_it_was_paid_for(tree: Tree, name: str, view: Any) -> None:
    def first_prompts(spoil: bool) -> list[str]:
        reply = judged(tree, name, lambda told: "DONE", assisted=True, spoil=spoil, view=view)
        return reply[1].prompts

    assert first_prompts(False) == first_prompts(True)
    assert len(first_prompts(False)) == 4 + 8


def test_a_reading_is_shown_and_charged_and_past_the_budget_refused() -> None:
    def rule(told: str) -> str:
        if DECIDE in told:
            return "VERDICT: A"
        if "<assistant>" in told:
            return "READ A left 3"
        return "READ A left 0\nREAD B right 1\nREAD A left 2\nREAD A nothing 0\nREAD A left 99"

    found, model = judged(TOY, "product", rule)
    assert found.readings.tolist() == [2] * 4
    last = model.prompts[-1]
    assert "What was read:" in last and last.count("- left at 0 of ") == 1 and "right at 1 of " in last
    assert "left at 2 of" not in last and len(model.prompts) == 4 + 8, "with the meter empty there is no further turn"

    found, model = judged(TOY, "product", rule, budget=3)
    assert found.readings.tolist() == [3] * 4
    found, model = judged(TOY, "product", rule, budget=4)
    replies = [told for told in model.prompts if "<assistant>" in told]
    assert found.readings.tolist() == [4] * 4 and len(replies) == 4
    assert "There is no nothing at 0 of A." in replies[0] and "There is no left at 99 of A." in replies[0]
    assert "1 reading is left." in replies[0]
    _, model = judged(TOY, "product", rule, budget=0)
    assert len(model.prompts) == 8 and "READ" not in model.prompts[0], "nobody may look"


def test_values_read_are_the_true_ones_of_the_right_side() -> None:
    first, second = pair(TOY, "product", count=6)
    model = Scripted(
        lambda told: "VERDICT: TIE" if "Which output is better" in told else "READ A left 4\nREAD B left 3"
    )
    judge = Judge(task=TOY.nodes["product"].task, complete=model)
    judge.judge(first, second, np.random.default_rng(0))
    looked, decided = model.prompts[:6], model.prompts[6:]
    for row in range(6):
        swapped = f"Output A:\n{second.shown(row).board.data}" in looked[row]  # type: ignore[misc]
        (a, b) = (second, first) if swapped else (first, second)
        told = f"- left at 4 of A: {a.fields['left'][row, 4]:.2f}\n- left at 3 of B: {b.fields['left'][row, 3]:.2f}"
        other = f"- left at 4 of B: {a.fields['left'][row, 4]:.2f}\n- left at 3 of A: {b.fields['left'][row, 3]:.2f}"
        in_order, reversed_ = decided[row], decided[6 + row]
        assert (other if swapped else told) in in_order and (told if swapped else other) in reversed_
    assert {f"Output A:\n{second.shown(r).board.data}" in looked[r] for r in range(6)} == {True, False}  # type: ignore[misc]


def test_a_leaning_towards_a_position_is_averaged_out() -> None:
    found, _ = judged(TOY, "left", lambda told: "VERDICT: A")
    assert found.probability.tolist() == [0.5] * 4 and found.soft.tolist() == [0.5] * 4
    np.testing.assert_allclose(found.orders, [[STATED, -STATED]] * 4)


def prefers(words: str) -> Model:
    """For the output that these words are about."""
    return lambda told: f"VERDICT: {'A' if re.search(f'Output A:.*{words}.*Output B:', told, re.S) else 'B'}"


def test_a_preference_is_the_same_in_both_orders_and_softened_by_temperature() -> None:
    first, _ = pair(TOY, "left")
    words = re.escape(first.shown(2).board.data.splitlines()[0])  # type: ignore[misc]
    found, _ = judged(TOY, "left", prefers(words))
    assert found.probability[2] == pytest.approx(0.9) and found.told(2) == pytest.approx(0.9)
    cool, _ = judged(TOY, "left", prefers(words), temperature=2.0)
    assert cool.probability[2] == pytest.approx(0.75)
    assert found.rationales[2] == "first as A: VERDICT: A\nsecond as A: VERDICT: B"


def test_answers_that_cannot_be_read_are_no_preference() -> None:
    found, _ = judged(TOY, "left", lambda told: "I like both.")
    assert np.isnan(found.orders).all() and found.probability.tolist() == [0.5] * 4
    assert [found.told(row) for row in range(4)] == [None] * 4
    replies = iter(["DONE"] * 4 + ["VERDICT: A"] * 4 + ["well"] * 4)
    half, _ = judged(TOY, "left", lambda told: next(replies))
    assert half.probability == pytest.approx(0.75), "one order of two counts half"
    assert half.take(np.array([1])).rationales == ("first as A: VERDICT: A\nsecond as A: well",)


def test_claims_are_evidence_places_or_verdicts() -> None:
    def prompt(**given: Any) -> str:
        return judged(TOY, "product", lambda told: "DONE", assisted=True, **given)[1].prompts[0]

    shown = prompt(trust={"left": 0.83})
    assert re.search(r"- left \(left\): left at \d: .* \[to check: READ A left \d; reliability 83%\]", shown)
    assert "reliability" not in prompt()
    assert re.search(r"- left \(left\): left at \d \[to check", prompt(view="places"))
    found, _ = judged(TOY, "product", lambda told: "DONE", assisted=True)
    assert found.claims_seen.tolist() == [4] * 4

    class Told:
        """The task, which says that more of `left` is better."""

        better: ClassVar = {"left": 1}

        def __getattr__(self, name: str) -> Any:
            return getattr(TOY.nodes["product"].task, name)

    wrapped: Any = Told
    model = Scripted(lambda told: "DONE")
    Judge(task=wrapped(), complete=model, view="verdicts").judge(
        *pair(TOY, "product", assisted=True), np.random.default_rng(0)
    )
    assert re.search(r"The helpers' verdicts:\n- left: [AB]\n\n", model.prompts[0]) and "claims" not in model.prompts[0]


def test_places_go_by_number_name_and_the_only_beginning_of_a_name() -> None:
    tool = Instrument(name="power", label="Power", unit="W", digits=1, values=(1.0, 2.0, None),
                      places=((0, "net 0 (b1, b9)", ()), (1, "b7", ()), (2, "leak", ())))  # fmt: skip
    from rewardtree.evaluators.exhibit_words import spot_of

    assert [spot_of(tool, name) for name in ("1", "B7", "net 0", "net", "b")] == [
        tool.places[1], tool.places[1], tool.places[0], tool.places[0], None,
    ]  # fmt: skip
    assert value_of(tool, 0) == "1.0 W" and value_of(tool, 2) == "nothing to be read there"


def test_exhibits_without_words_are_refused() -> None:
    first, second = pair(TOY, "left")
    judge = Judge(task=TOY.nodes["left"].task, complete=Scripted(lambda told: "VERDICT: A"))
    with pytest.raises(TaskError, match="cannot be shown in words"):
        judge.judge(replace(first, shown=None), second, np.random.default_rng(0))
