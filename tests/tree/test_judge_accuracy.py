"""A language model judge's accuracy: against the true order, ties for half, and whether both orders agree."""

import re
from collections.abc import Sequence

import numpy as np
import pytest

from rewardtree.language.completing import Completion, Options, Prompt
from rewardtree.tree.checkpoint import Trained
from rewardtree.tree.evaluating import experience_of
from rewardtree.tree.judge_accuracy import judge_accuracy
from rewardtree.tree.judging import Judges
from rewardtree.tree.measure import frozen_pairs
from toy import toy_tree

PAIRS = 16
TREE = toy_tree()
EXPERIENCES = {name: experience_of(TREE, TREE.nodes[name], 0) for name in ("left", "product")}


def policies() -> dict[str, Trained]:
    found = {}
    for name, node in TREE.nodes.items():
        policy = node.learner.initial(np.random.default_rng(0))
        found[name] = Trained(policy=policy, untrained=policy)
    return found


class Asked:
    """A model that answers by a rule on the values of A and B; it keeps who asked."""

    def __init__(self, rule: str) -> None:
        self.rule, self.purposes, self.claims = rule, set[str](), 0

    def __call__(self, prompts: Sequence[Prompt], options: Options) -> list[Completion]:
        self.purposes.add(options.purpose)
        found = []
        for prompt in prompts:
            words = prompt[-1].content
            self.claims += "Helpers' claims" in words
            if "better, A or B?" not in words:
                found.append(Completion(text="DONE"))
                continue
            a, b = (float(value) for value in re.findall(r"The answer: (-?\d+(?:\.\d+)?)", words))
            verdict = {"greater": "A" if a > b else "B", "first": "A", "tie": "TIE", "dumb": "?"}[self.rule]
            found.append(Completion(text=f"VERDICT: {verdict}"))
        return found


def right(rule: str, name: str = "left") -> tuple[dict, Asked]:
    model = Asked(rule)
    judges = Judges(nodes=frozenset(TREE.nodes), complete=model, calibration=50)
    return judge_accuracy(judges, TREE, TREE.nodes[name], policies(), EXPERIENCES[name], PAIRS, seed=0), model


def test_answers_are_held_against_the_true_order() -> None:
    found, model = right("greater")
    pairs = frozen_pairs(TREE.nodes["left"], EXPERIENCES["left"].scale, PAIRS)
    said = np.sign(np.round(pairs.outputs[0].value, 2) - np.round(pairs.outputs[1].value, 2))
    assert set(found) == {"unaided"} and len(pairs.difference) == PAIRS
    assert found["unaided"].share.tolist() == (said == np.sign(pairs.difference)).tolist()
    assert 0 < found["unaided"].share.mean() < 1 and found["unaided"].consistent.all()
    assert model.purposes == {"left/test"}, "nothing is asked for calibration, and the accounts tell it apart"


@pytest.mark.parametrize(("rule", "consistent"), [("first", 0.0), ("tie", 1.0), ("dumb", np.nan)])
def test_what_takes_no_side_counts_half(rule: str, consistent: float) -> None:
    found, _ = right(rule)
    assert (found["unaided"].share == 0.5).all()
    assert np.array_equal(found["unaided"].consistent, np.full(PAIRS, consistent), equal_nan=True)


def test_helpers_assist_it_where_there_are_any() -> None:
    found, model = right("first", "product")
    assert set(found) == {"unaided", "assisted"} and model.claims == 3 * PAIRS, "it looks once and answers twice"
