"""What a run's root is measured against: its untrained policy, its learner on the true reward, search on that."""

from typing import Any

import numpy as np

from rewardtree.protocols.setting import Outcome
from rewardtree.studies.clock import Clock
from rewardtree.studies.config import RunConfig
from rewardtree.studies.estimates import of_items, one
from rewardtree.tree.domain import Domain
from rewardtree.tree.measure import policy_rewards

Facts = dict[str, Any]


def yardsticks(domain: Domain, outcome: Outcome, oracle_policy: Any, clock: Clock, config: RunConfig) -> Facts:
    """The root's learner on the true reward, the untrained policy, and search on the true reward."""
    root = outcome.tree.nodes[outcome.tree.root]

    def fact(title: str, policy: Any, seconds: float) -> Facts:
        rewards, measures = policy_rewards(root, policy, config.test_inputs)
        return {
            "title": title,
            "evaluator": "none",
            "reward_model_sees": "nothing",
            "true_reward": of_items(rewards),
            "measures": {name: of_items(values) for name, values in measures.items()},
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


class _Search:
    """A search, called as a policy is."""

    def __init__(self, search: Any) -> None:
        self._search = search

    def propose(self, inputs: Any, rng: np.random.Generator) -> Any:
        return self._search(inputs, rng)
