"""What a run's root is measured against: its untrained policy, its learner on the true reward, search on that."""

from typing import Any

import numpy as np

from rewardtree.protocols.setting import Outcome
from rewardtree.studies.clock import Clock
from rewardtree.studies.config import RunConfig
from rewardtree.studies.estimates import of_items, one
from rewardtree.tree.domain import Domain
from rewardtree.tree.measure import policy_rewards, surest_measures
from rewardtree.tree.node import Node

Facts = dict[str, Any]


def yardsticks(domain: Domain, outcome: Outcome, oracle_policy: Any, clock: Clock, config: RunConfig) -> Facts:
    """The root's learner on the true reward, the untrained policy, and search on the true reward."""
    root = outcome.tree.nodes[outcome.tree.root]

    def fact(title: str, policy: Any, seconds: float) -> Facts:
        return {
            "title": title,
            "evaluator": "none",
            "reward_model_sees": "nothing",
            **worth(root, policy, config.test_inputs),
            "curve": [],
            "labels": one(0.0),
            "readings": one(0.0),
            "seconds": one(seconds),
        }

    found = {
        "untrained": fact("Untrained policy", outcome.nodes[root.name].untrained, 0.0),
        "oracle": fact("Policy trained on the true reward", oracle_policy, clock.seconds["oracle"]),
    }
    if domain.ceiling is not None:
        search = domain.ceiling(outcome.tree, config.search)
        with clock.measure("ceiling"):
            searched = fact("Simulated annealing on the true reward", _Search(search), 0.0)
        found["ceiling"] = searched | {"seconds": one(clock.seconds["ceiling"])}
    return found


def worth(node: Node, policy: Any, inputs: int) -> Facts:
    """True reward and measures of a policy's sampled outputs, and measures of its most probable ones if it has any."""
    rewards, measures = policy_rewards(node, policy, inputs)
    surest = surest_measures(node, policy, inputs) if hasattr(policy, "answer") else {}
    return {
        "true_reward": of_items(rewards),
        "measures": {name: of_items(values) for name, values in measures.items()},
        "surest": {name: of_items(values) for name, values in surest.items()},
    }


class _Search:
    """A search, called as a policy is."""

    def __init__(self, search: Any) -> None:
        self._search = search

    def propose(self, inputs: Any, rng: np.random.Generator) -> Any:
        return self._search(inputs, rng)
