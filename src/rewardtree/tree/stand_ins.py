"""Who may answer a helper's questions: its trained policy, or a control that stands in for it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from rewardtree.errors import TaskError
from rewardtree.tasks.answers import Answers, AnswerTask
from rewardtree.tasks.exhibit import Claim
from rewardtree.tasks.task import Helping, Question, Task
from rewardtree.tree.assistance import Helper, Helpers
from rewardtree.tree.node import Node, Tree

Control = Literal["untrained", "shuffled", "random_places", "heuristic", "adversarial"]
CONTROLS: tuple[Control, ...] = ("untrained", "shuffled", "random_places", "heuristic", "adversarial")


def trained(task: AnswerTask | Helping, policy: Any) -> Helper:
    """The helper itself."""

    def answer(question: Question) -> Claim:
        scenes = question.inputs
        claim = task.claim(scenes, policy.answer(scenes), question=question, version=policy.version)
        return itemised(claim, policy.items(scenes)) if question.total else claim

    return answer


def trained_helpers(tree: Tree, node: Node, policies: Mapping[str, Any]) -> Helpers:
    """The node's direct helpers, with these trained policies by name."""
    return {name: trained(answering(tree.nodes[name].task), policies[name]) for name in node.helpers}


def ideal(task: AnswerTask | Helping) -> Helper:
    """A helper that knows every field: the best answers there are."""

    def answer(question: Question) -> Claim:
        scenes = question.inputs
        claim = task.claim(scenes, task.ideal(scenes), question=question, version="ideal")
        if not question.total:
            return claim
        assert isinstance(task, AnswerTask), "only answering tasks have totals"
        return itemised(claim, np.where(scenes.valid, task.truth(scenes), np.nan))

    return answer


def itemised(claim: Claim, items: np.ndarray) -> Claim:
    """The claim as the sum of valued items."""
    return replace(claim, items=items, value=np.nansum(items, axis=1))


def shuffled(helper: Helper, rng: np.random.Generator) -> Helper:
    """What the helper said of some other output of the batch; a place that was asked about stays."""

    def answer(question: Question) -> Claim:
        claim, asked = helper(question), question.inputs.asked
        other = claim.take(rng.permutation(len(claim.place)))
        given = asked >= 0
        return replace(other, place=np.where(given, asked, other.place), span=_spans(given, claim, other))

    return answer


def random_places(task: AnswerTask, rng: np.random.Generator) -> Helper:
    """Points anywhere, and tells the truth about what is there."""

    def answer(question: Question) -> Claim:
        scenes = question.inputs
        place = np.where(scenes.valid, rng.random(scenes.valid.shape), -1.0).argmax(axis=1)
        return _truthful(task, question, np.where(scenes.asked >= 0, scenes.asked, place), "random")

    return answer


def heuristic(task: AnswerTask) -> Helper:
    """Points at the most prominent place and gives a value as far from the usual one as the place is prominent.

    A task may have a rule of thumb of its own for questions without totals.
    """

    def answer(question: Question) -> Claim:
        scenes = question.inputs
        if task.thumb is not None and not question.total:
            return task.claim(scenes, task.thumb(scenes), question=question, version="heuristic")
        best = np.where(scenes.valid, scenes.prominence, -np.inf).argmax(axis=1)
        place = np.where(scenes.asked >= 0, scenes.asked, best)
        seen = scenes.prominence[scenes.valid]
        standing = (scenes.prominence - seen.mean()) / max(float(seen.std()), 1e-9)
        guess = np.clip(task.usual + task.direction * task.scale * standing, task.low, task.high)
        value = guess[np.arange(len(place)), place]
        claim = task.claim(scenes, Answers(place=place, value=value), question=question, version="heuristic")
        return itemised(claim, np.where(scenes.valid, guess, np.nan)) if question.total else claim

    return answer


def adversarial(task: AnswerTask, rng: np.random.Generator) -> Helper:
    """For a random half of the outputs, hides the worst: points at the place that speaks least for concern, truthfully.

    Nothing that it says is refuted by a reading at the place that it points at. Itemised totals leave out their
    largest items, a tenth or all that are equally large.
    """
    honest = ideal(task)

    def answer(question: Question) -> Claim:
        scenes = question.inputs
        told = honest(question)
        lies = rng.random(len(scenes)) < 0.5
        if question.total and told.items is not None:
            most = np.nanmax(told.items, axis=1, keepdims=True)
            largest = np.nanquantile(told.items, 0.9, axis=1, keepdims=True)
            hidden = (told.items > largest) | ((told.items == most) & (largest == most))
            return itemised(told, np.where(lies[:, None] & hidden, np.nan, told.items))
        mildest = np.where(scenes.valid, -task.merit(task.truth(scenes)), -np.inf).argmax(axis=1)
        hidden = _truthful(task, question, np.where(scenes.asked >= 0, scenes.asked, mildest), "adversarial")
        return replace(
            hidden,
            place=np.where(lies, hidden.place, told.place),
            value=np.where(lies, hidden.value, told.value),
            span=_spans(lies, hidden, told),
        )

    return answer


def _spans(first: np.ndarray, one: Claim, other: Claim) -> np.ndarray | None:
    """What either claim quotes: the first one where so marked."""
    if one.span is None or other.span is None:
        return None
    return np.where(first[:, None], one.span, other.span)


def _truthful(task: AnswerTask, question: Question, place: np.ndarray, version: str) -> Claim:
    scenes = question.inputs
    truth = task.truth(scenes)
    answers = Answers(place=place, value=truth[np.arange(len(place)), place])
    claim = task.claim(scenes, answers, question=question, version=version)
    return itemised(claim, np.where(scenes.valid, truth, np.nan)) if question.total else claim


def answering(task: Task) -> AnswerTask | Helping:
    """The task as one that can help: itself, or the answering task that it has as its `answers`.

    Raises:
        TaskError: where it is neither an answering task nor has what `Helping` asks for.
    """
    answers = getattr(task, "answers", None)
    if isinstance(answers, AnswerTask):
        return answers
    if not isinstance(task, AnswerTask | Helping):
        raise TaskError(
            f"{task.name} cannot help: a helper's task must be an AnswerTask, or have one as `answers`, or have ideal "
            "and stand_in"
        )
    return task


def told(task: Helping, control: Control, rng: np.random.Generator) -> Helper:
    """What a control of the task's own says."""

    def answer(question: Question) -> Claim:
        outputs = task.stand_in(control, rng, question.inputs)
        return task.claim(question.inputs, outputs, question=question, version=control)

    return answer


def stand_ins(
    control: Control,
    tasks: Mapping[str, AnswerTask | Helping],
    policies: Mapping[str, Any],
    untrained: Mapping[str, Any],
    rng: np.random.Generator,
) -> dict[str, Helper]:
    """The named control for every helper."""
    match control:
        case "untrained":
            return {n: trained(t, untrained[n]) for n, t in tasks.items()}
        case "shuffled":
            return {n: shuffled(trained(t, policies[n]), rng) for n, t in tasks.items()}
        case "random_places":
            own = {n: random_places(t, rng) for n, t in tasks.items() if isinstance(t, AnswerTask)}
        case "heuristic":
            own = {n: heuristic(t) for n, t in tasks.items() if isinstance(t, AnswerTask)}
        case "adversarial":
            own = {n: adversarial(t, rng) for n, t in tasks.items() if isinstance(t, AnswerTask)}
    return {n: own[n] if isinstance(t, AnswerTask) else told(t, control, rng) for n, t in tasks.items()}
