"""What stands in a simulated evaluator's place at a task without a true reward: nobody can be simulated there.

A simulated evaluator learns from true rewards what to make of what it sees. Where there are none, people or a language
model judge, and what they are told of helpers is learnt as ever: by checks.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from rewardtree.errors import TaskError
from rewardtree.evaluators.simulated import Bounds, Judgements, Plan, Trust
from rewardtree.tasks.exhibit import Exhibit
from rewardtree.tasks.task import READERS, Task


@dataclass(frozen=True, kw_only=True, slots=True)
class Readers:
    """Whoever reads: it has an evaluator's limits and trust, and answers nothing itself.

    Attributes:
        task: whose outputs are compared.
        bounds: readings and claims a comparison; the rest is for simulations.
        trust: by quantity.
        name: of the evaluator.
        plan: of readings; nobody plans them.
    """

    task: Task
    bounds: Bounds
    trust: Mapping[str, Trust] = field(default_factory=dict)
    name: str = "readers"
    plan: Plan = field(default_factory=Plan)

    def judge(self, first: Exhibit, second: Exhibit, rng: np.random.Generator) -> Judgements:
        """Refuse.

        Raises:
            TaskError: always.
        """
        raise TaskError(unanswered(self.task.name))


def unanswered(node: str) -> str:
    """What to say where comparisons of a task without a true reward are to be answered by nobody."""
    return (
        f"{node} has no true reward, so that no evaluator of it can be simulated; have all of its comparisons answered "
        f"by people or a language model: {READERS}"
    )
