"""The tree of the domain: a node a height, each helped by the one below, and all with one policy.

- `height_0`: summarise a part of the text. Judged by opening a few of its passages.
- `height_1` and so on: summarise a few summaries of the height below. The reader sees what these say, and opens a few
  passages of the text beneath.
- The last: summarise a book, or a long stretch of it.
"""

from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from rewardtree.domains.books.heights import TOLD, Library, base_pool, pool
from rewardtree.domains.books.sources import Pages, Sources
from rewardtree.domains.books.summariser import Summariser, SummariserLearner
from rewardtree.domains.books.summarising import Draw, SummaryTask, node_name
from rewardtree.policies.learner import Policy
from rewardtree.tasks.task import Split
from rewardtree.tree.domain import Settings
from rewardtree.tree.node import Induce, Node, Tree

GROUP = "summariser"
"""The policy of all heights."""


@lru_cache(maxsize=2)
def policy_pool(library: Library, height: int, policy: Summariser) -> Pages:
    """What is drawn from in training: the summaries below are the policy's."""
    return pool(library, "train", height, policy.answer)


def drawing(library: Library, height: int) -> Draw:
    """Draws sources of a height, with a rule's summaries below."""

    def drawn(rng: np.random.Generator, count: int, split: Split) -> Sources:
        pages = base_pool(library, split, height)
        return Sources(pages=pages, row=rng.integers(len(pages), size=count))

    return drawn


def inducing(library: Library, height: int) -> Induce:
    """Draws training sources of a height, with the summaries that the latest policy writes below."""

    def drawn(rng: np.random.Generator, count: int, policies: Mapping[str, Policy]) -> Sources:
        policy = policies[node_name(height - 1)]
        assert isinstance(policy, Summariser)
        pages = policy_pool(library, height, policy)
        return Sources(pages=pages, row=rng.integers(len(pages), size=count))

    return drawn


def books_tree(library: Library, settings: Settings) -> Tree:
    """The tree with its learners and budgets; books are read when something is first drawn.

    Args:
        library: where books are, and how they are cut.
        settings: budgets and evaluators' limits.
    """
    nodes = []
    for height in range(library.heights):
        top = height == library.top
        nodes.append(Node(
            name=node_name(height),
            task=SummaryTask(height=height, draw=drawing(library, height), told=TOLD if height else 0),
            learner=SummariserLearner(updates=settings.updates if top else settings.helper_updates),
            helpers=(node_name(height - 1),) if height else (),
            budget=settings.root if top else settings.helper, bounds=settings.bounds, selection=settings.selection,
            policy_group=GROUP, induce=inducing(library, height) if height else None,
        ))  # fmt: skip
    return Tree(nodes={node.name: node for node in nodes}, root=node_name(library.top))
