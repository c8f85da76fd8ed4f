"""A node trained on one reward model that is never refreshed, with as many labels and improvements as the loop has.

The loop compares what the improved policy proposes and fits the reward model again, round by round. Here all labels go
to what the policy proposes at first; the reward model is fitted once and *frozen*, and the policy is improved against
it as often. What the two differ by is the refreshing alone (Christiano et al. 2017, arXiv 1706.03741, section 3.3: the
same without "online queries").
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from rewardtree.tree import checkpoint
from rewardtree.tree.checkpoint import Trained
from rewardtree.tree.evaluating import assistance
from rewardtree.tree.loop import Training, draw, helpers_of, train
from rewardtree.tree.node import Node
from rewardtree.tree.seen import Joined


@dataclass(frozen=True, kw_only=True, slots=True)
class Arm:
    """One way to train a node, as it stood after every improvement.

    Attributes:
        node: that is trained.
        rounds: after each improvement; the reward model is the one that the policy was improved against.
    """

    node: Node
    rounds: tuple[Trained, ...]


def refreshed(training: Training, name: str) -> Arm:
    """The node as the loop trains it; iterations that an earlier training finished are read.

    Args:
        training: of the node's tree; helpers may be borrowed.
        name: of the node.
    """
    found: list[Trained] = []

    def note(node: Node, iteration: int, trained: Trained) -> None:
        if node.name == name:
            found.append(trained)

    train(replace(training, observe=note))
    return Arm(node=training.tree.nodes[name], rounds=tuple(found))


def frozen(training: Training, name: str, helpers: Mapping[str, Trained]) -> Arm:
    """The node with a reward model that is fitted once; what an earlier training finished is read.

    Args:
        training: of the node's tree, under a protocol of its own.
        name: of the node.
        helpers: all nodes below it, trained.
    """
    tree = training.tree.rooted(name)
    node = tree.nodes[name]
    whole = replace(node, budget=replace(node.budget, iterations=1, labels=node.budget.total))
    once = replace(tree, nodes={**tree.nodes, name: whole})
    first = train(replace(training, tree=once, borrowed=helpers))[name]
    assert first.reward_model is not None
    nodes = {**helpers, name: first}
    reward = Joined(node=node, assist=assistance(node, helpers_of(tree, node, nodes)), model=first.reward_model)
    rounds = [first]
    for number in range(1, node.budget.iterations):
        path = checkpoint.folder(training.out, training.protocol, name, number)
        kept = checkpoint.load(path, node.learner, first.untrained, node.reward_learner)
        if kept is None:
            policy = node.learner.improve(
                rounds[-1].policy, reward, lambda chance, count: draw(node, nodes, chance, count),
                training.rng(name, number), version=f"{training.protocol}/{name}/{number + 1}",
            )  # fmt: skip
            kept = replace(rounds[-1], policy=policy)
            checkpoint.save(path, kept)
        rounds.append(kept)
    return Arm(node=node, rounds=tuple(rounds))
