"""Assistance: the helpers answer the task's questions, round by round, and their answers become claims."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

from rewardtree.errors import TaskError
from rewardtree.tasks.exhibit import NO_CLAIMS, Claim, Claims
from rewardtree.tasks.task import ROUNDS, Question, Task


@runtime_checkable
class Helper(Protocol):
    """Whoever answers questions: a trained policy, or a control that stands in for one."""

    def __call__(self, question: Question) -> Claim:
        """Answer one question about a batch of outputs."""
        ...


Helpers = Mapping[str, Helper]
Assist = Callable[[Any, Any], Claims]
"""Inputs and outputs of a node to the claims that its helpers make of them."""


def ask(task: Task, helpers: Helpers, inputs: Any, outputs: Any) -> Claims:
    """All claims of a node's direct helpers on its outputs.

    Raises:
        TaskError: where a question goes to nobody, or questions never end.
    """
    claims: dict[str, Claim] = {}
    for _ in range(ROUNDS):
        questions = task.questions(inputs, outputs, claims)
        if not questions:
            return claims
        for question in questions:
            if question.helper not in helpers:
                raise TaskError(
                    f"{task.name} asks {question.helper!r}, which is not among its helpers {sorted(helpers)}"
                )
            claims[question.quantity] = helpers[question.helper](question)
    if not task.questions(inputs, outputs, claims):
        return claims
    raise TaskError(f"{task.name} still asks after {ROUNDS} rounds; let `questions` return nothing once all is asked")


def unaided(inputs: Any, outputs: Any) -> Claims:
    """No claims at all."""
    return NO_CLAIMS
