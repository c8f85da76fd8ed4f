"""Recursive summaries of books (Wu et al. 2021, arXiv 2109.10862).

One policy summarises parts of a book, then summaries of neighbouring parts, up to the book. It first imitates
demonstrations at all heights, then learns at each height from comparisons of its summaries, lowest first. Whoever
compares sees the summaries below, and not the text beneath them.

Departures from the paper, sections 2 and 3:

- The policy is no GPT-3 that writes but a network of some hundred weights that chooses sentences. So compression is
  by choice alone, a summary's log-probability is exact, and its reward comes at its end, without a value function.
- Demonstrations and comparisons are not people's. A rule (centrality, with lapses) stands for demonstrators, a bounded
  reader for those who compare; the reader may open a few passages of the text beneath, within a budget, where the
  paper's labellers read all of a part at height 0, and above it the summaries alone.
- Demonstrations of heights above 0 are of the rule's own summaries below; the paper's are of its policy's.
- No earlier summaries stand before a part as context: each part is summarised by itself. Parts are cut at chapters.
- A reward model a node instead of one for all heights, fitted to all answers of its node so far.
- The divergence is from the policy before each improvement, not from the imitating one, and REINFORCE with
  leave-one-out baselines stands for PPO.
- After height 0, training goes on at height 1 and above one after the other, or at all in turn (the schedule
  `interleaved`); the paper trains on the first part of a book's tree, and then on all of it in a curriculum.
- Above height 0 inputs for training are of the latest policy's likeliest summaries, not of samples.
- The book's own node practises on stretches of books, since whole books are few.

Held-out content and questions asked of summaries stand where the paper has people's ratings, BookSum and NarrativeQA.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from rewardtree.policies.learner import Imitating, Policy
from rewardtree.preferences import Demonstration
from rewardtree.protocols.scheme import Scheme
from rewardtree.protocols.setting import Outcome, Setting
from rewardtree.tasks.task import Demonstrated
from rewardtree.tree.checkpoint import folder, load_weights, save_weights
from rewardtree.tree.loop import train
from rewardtree.tree.node import Node, Tree

NAME = "book_summaries"
CLONING = "behavioural_cloning"


def run(setting: Setting) -> Outcome:
    """Imitate, then learn from comparisons at each height."""
    tree = setting.build(setting.settings)
    begun = replace(setting, start=cloned(setting))
    return Outcome(
        protocol=NAME,
        title="Recursive summaries: imitation, then comparisons at each height",
        evaluator="assisted",
        reward_model_sees="output and claims" if tree.nodes[tree.root].claims_in_reward else "output",
        tree=tree,
        nodes=train(begun.training(NAME, tree, evaluators="assisted"), setting.schedule),
        charged=(NAME, CLONING),
    )


def cloned(setting: Setting) -> Mapping[str, Policy]:
    """A policy for each group whose tasks are demonstrated and whose learner imitates; what is finished is read."""
    tree, found = setting.build(setting.settings), {}
    for group, nodes in demonstrated(tree).items():
        learner: Any = nodes[0].learner
        path = folder(setting.out, CLONING, group, 0)
        kept = load_weights(path)
        if kept is None:
            shown = [show(setting, node) for node in nodes]
            policy = learner.clone(learner.initial(chance(setting, group)), shown)
            save_weights(path, policy.weights, {"version": policy.version})
            kept = policy.weights, {"version": policy.version}
        found[group] = learner.restore(kept[0], kept[1]["version"])
    return found


def demonstrated(tree: Tree) -> dict[str, list[Node]]:
    """The nodes whose tasks are demonstrated to a learner that imitates, by their group."""
    found: dict[str, list[Node]] = {}
    for node in tree.leaves_first():
        if isinstance(node.task, Demonstrated) and isinstance(node.learner, Imitating):
            found.setdefault(node.group, []).append(node)
    return found


def show(setting: Setting, node: Node) -> tuple[Any, Any]:
    """Demonstrations of a node's task, charged to the ledger once."""
    task: Any = node.task
    inputs, outputs = task.demonstrate(chance(setting, node.name), setting.demonstrations)
    if not setting.store.remarks(node.name, CLONING):
        setting.store.record(
            Demonstration(
                evaluator="demonstrator", node=node.name, protocol=CLONING, output={"input": given, "output": made},
                subject=f"{node.name}/{number}",
            )
            for number, (given, made) in enumerate(zip(inputs.digest(), outputs.digest(), strict=True))
        )  # fmt: skip
    return inputs, outputs


def chance(setting: Setting, purpose: str) -> np.random.Generator:
    """Chance for one purpose: the same whenever that purpose comes up again."""
    return np.random.default_rng([setting.settings.seed, *f"{CLONING}/{purpose}".encode()])


def nothing_shown(setting: Setting) -> str | None:
    """For a scheme that begins with imitation."""
    return None if demonstrated(setting.build(setting.settings)) else "nobody demonstrates the domain's tasks"


PAPER = "Wu et al. 2021, arXiv 2109.10862"
SCHEME = Scheme(
    name=NAME, title="Recursive summaries, from imitation", paper=PAPER, run=run, refuses=nothing_shown,
)  # fmt: skip
