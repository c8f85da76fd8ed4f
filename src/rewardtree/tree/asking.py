"""Putting a node's comparisons to its evaluator: a simulated one at once, people through the store.

People's comparisons go into the store with ready-rendered exhibits, and answers come back the same way, whenever they
come: an iteration that went on without some finds them at the node's next fit. Among the comparisons are some whose
answer is known (gold) and some that were put before (repeats); these tell how good the answers are, and reach no reward
model. A share of the comparisons may go to the simulated evaluator instead, which also judges what people are asked;
of that, its probability alone is kept (`shadow`), as no label.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int

from rewardtree.errors import TaskError
from rewardtree.evaluators.readers import Readers, unanswered
from rewardtree.evaluators.simulated import Judgements
from rewardtree.preferences import Comparison, Store, comparison_ids
from rewardtree.preferences.rows import mode_of
from rewardtree.preferences.tallying import Tally
from rewardtree.preferences.values import PEOPLE, Condition, Purpose
from rewardtree.tasks.exhibit import Exhibit
from rewardtree.tasks.favouring import verdicts
from rewardtree.tasks.task import Measured
from rewardtree.tree.comparing import describe, exhibits, keep
from rewardtree.tree.evaluating import Judge
from rewardtree.tree.judging import Judges
from rewardtree.tree.node import Node
from rewardtree.tree.seen import Joined
from rewardtree.tree.showing import show
from rewardtree.tree.sides import Side

Mode = Literal["assisted", "unaided", "revise", "randomised"]
Shown = Literal["places", "evidence", "verdicts"]
LOOK = 1.0
"""Seconds between two looks for new answers."""
CANDIDATES = 2
"""Pairs that are drawn for each gold comparison; those that differ most in true reward are taken."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Waiting:
    """How far people are with what an iteration waits for.

    Attributes:
        given: answers that are there.
        wanted: answers that there are to be.
        out: answers that labellers are at.
        minutes: until the last of these is given out again, at the latest.
        aside: answers that are missing as their comparisons are set aside as broken.
        allowed: so many of these are not waited for.
    """

    given: int
    wanted: int
    out: int
    minutes: int
    aside: int
    allowed: int

    @property
    def open(self) -> int:
        """Answers that wait for anybody."""
        return max(0, self.wanted - self.given - self.out - max(0, self.aside - self.allowed))


@dataclass(frozen=True, kw_only=True, slots=True)
class People:
    """How people take part.

    Attributes:
        nodes: names of the nodes whose outputs they compare.
        share: of a node's comparisons that are put to them; a simulated evaluator answers the others.
        overlap: people that each comparison is put to.
        enough: share of the answers for which an iteration waits.
        broken: share of the answers that it goes on without where their comparisons are set aside as broken; those of
            more are waited for until these are put back.
        wait: seconds after which it goes on with fewer; None for never.
        ahead: iterations that training may be ahead of the answers. It then waits for answers to what was asked so many
            iterations before, and learns on with all that came in by then (Christiano et al. 2017, section 2.2: the
            processes run side by side). The first iteration waits for its own, as there is nothing yet to learn from,
            and the last for all.
        gold: comparisons with a known answer, for each one that is put to people.
        repeats: comparisons that the same person is asked again, for each one that is put to people.
        mode: claims from the start, never, after a first answer, or at random either of the first two.
        view: how claims are shown.
        waiting: called with the node and how far people are, when this changes.
    """

    nodes: frozenset[str]
    share: float = 1.0
    overlap: int = 1
    enough: float = 1.0
    broken: float = 0.1
    wait: float | None = None
    ahead: int = 0
    gold: float = 0.1
    repeats: float = 0.05
    mode: Mode = "assisted"
    view: Shown = "evidence"
    waiting: Callable[[str, Waiting], None] = lambda node, now: None


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What is asked at a node, before it is put to anybody.

    Attributes:
        node: whose outputs are compared.
        inputs: one a comparison.
        sides: outputs and claims.
        judging: the node's simulated evaluator, and its helpers.
        place: where in training this is asked.
        earlier: names of earlier comparisons whose answers are waited for; see `awaited`.
        own: whether answers to these comparisons are waited for.
        shown: exhibits of the sides, under a meter that the simulated evaluator uses up.
    """

    node: Node
    inputs: Any
    sides: tuple[Side, Side]
    judging: Judge
    place: str
    earlier: Sequence[str] = ()
    own: bool = True
    shown: tuple[Exhibit, Exhibit] = field(init=False)

    def __post_init__(self) -> None:
        shown = exhibits(self.node.task, self.inputs, self.sides, self.judging.evaluator.bounds.budget)
        object.__setattr__(self, "shown", shown)

    @property
    def trust(self) -> dict[str, float]:
        """How reliable claims on each quantity were measured to be, where an instrument could check them."""
        checked = {name for side in self.sides for name, claim in side.claims.items() if claim.check}
        return {n: float(one.reliability) for n, one in self.judging.evaluator.trust.items() if n in checked}

    def take(self, rows: Int[np.ndarray, " rows"]) -> "Asked":
        """The comparisons at `rows`."""
        first, second = self.sides
        return replace(self, inputs=self.inputs.take(rows), sides=(first.take(rows), second.take(rows)))

    def described(self, run: str, protocol: str) -> list[Comparison]:
        """The comparisons as simulated evaluators have them."""
        return describe(self.node.task, self.inputs, self.sides, self.shown, run=run, protocol=protocol,
                        place=self.place)  # fmt: skip

    def judged(self, rng: np.random.Generator) -> Judgements | None:
        """The simulated evaluator's answers; None where there can be none."""
        evaluator = self.judging.evaluator
        return None if isinstance(evaluator, Readers) else evaluator.judge(*self.shown, rng)

    def drawn(self) -> list[bytes]:
        """The comparisons as people see them, packed."""
        return show(self.node.task, self.inputs, self.sides, self.shown, self.trust)


def see_answered(node: Node, people: People | None, judges: Judges | None) -> None:
    """See that somebody answers all of a node's comparisons.

    Raises:
        TaskError: where its task has no true reward, and neither people nor a language model get all of them, or all
            that the others leave.
    """
    shares = [who.share for who in (people, judges) if who is not None and node.name in who.nodes]
    if not isinstance(node.task, Measured) and max(shares, default=0.0) < 1:
        raise TaskError(unanswered(node.name))


def put(
    store: Store, protocol: str, asked: Asked, reward: Joined, rng: np.random.Generator, *,
    people: People | None = None, judges: Judges | None = None,
) -> list[Comparison]:  # fmt: skip
    """Put comparisons to who judges this node, and wait for enough answers.

    Args:
        store: of the run.
        protocol: the name under which comparisons are stored.
        asked: what is asked.
        reward: the node's reward model so far; people are first asked what its members disagree on.
        rng: for the evaluator's answers, and for who is asked what.
        people: how people take part, if they do.
        judges: how a language model takes part, if one does.

    Returns:
        The comparisons by whose answers the reward model is fitted.
    """
    plain, name = asked.described(store.run, protocol), asked.node.name
    judges = judges if judges is not None and name in judges.nodes else None
    if people is None or name not in people.nodes:
        return without_people(store, judges, asked, plain, asked.judged(rng), np.arange(len(plain)), rng)
    count = len(plain)
    chosen = np.sort(rng.permutation(count)[: round(people.share * count)])
    judged = asked.judged(rng)
    theirs = asked.take(chosen)
    urgent = reward.disagreement(theirs.inputs, [side.outputs for side in theirs.sides])
    shadow = None if judged is None else judged.probability[chosen]
    dressed = for_people(store, protocol, people, theirs, shadow, urgent, rng)
    gold = gold_comparisons(store, protocol, people, asked, round(people.gold * len(dressed)), urgent, rng)
    again = repeated(store.run, dressed, round(people.repeats * len(dressed)), rng)
    mixed = [*dressed, *gold]
    store.submit([mixed[i] for i in rng.permutation(len(mixed))] + again)

    final = list(plain)
    for row, one in zip(chosen, dressed, strict=True):
        final[row] = one
    final = without_people(store, judges, asked, final, judged, np.setdiff1d(np.arange(count), chosen), rng)
    if judges is not None:
        judges.beside(asked.node, asked.judging, theirs.place, theirs.shown, [one.id for one in dressed], rng)
    wait_for(store, people, name, [*put_to_people(store, asked.earlier), *(dressed if asked.own else [])])
    return final


def awaited(people: People | None, node: Node, iteration: int, ids: Sequence[str]) -> tuple[Sequence[str], bool]:
    """Names of the earlier comparisons whose answers an iteration waits for, and whether it waits for its own.

    Args:
        people: how they take part.
        node: that is trained.
        iteration: the first is 0.
        ids: of all earlier comparisons.
    """
    if people is None or not people.ahead or not ids:
        return (), True
    if iteration + 1 == node.budget.iterations:
        return ids, True
    return ids[: node.budget.given(max(0, iteration + 1 - people.ahead))], False


def put_to_people(store: Store, ids: Sequence[str]) -> list[Comparison]:
    """Those of these comparisons that people answer."""
    return [one for one in store.comparisons(list(ids)).values() if one.slots]


def without_people(
    store: Store, judges: Judges | None, asked: Asked, comparisons: list[Comparison], simulated: Judgements | None,
    rows: Int[np.ndarray, " rows"], rng: np.random.Generator,
) -> list[Comparison]:  # fmt: skip
    """Have the comparisons at `rows` answered by a language model and the simulated evaluator, each its share.

    Returns:
        All comparisons, those that the language model answers with the simulated evaluator's probability as `shadow`.
    """
    condition: Condition = "assisted" if asked.sides[0].claims else "unaided"
    share = 0.0 if judges is None else judges.share
    its = np.sort(rng.permutation(rows)[: round(share * len(rows))]) if judges is not None else rows[:0]
    found = list(comparisons)
    if simulated is not None:
        for row in its:
            found[row] = replace(found[row], shadow=float(simulated.probability[row]))
    others = np.setdiff1d(rows, its)
    if len(others):
        assert simulated is not None, "whoever trains has seen to it that all are answered"
        store.submit([found[row] for row in others])
        keep(store, asked.judging.evaluator.name, condition, [found[row] for row in others], simulated.take(others))
    if judges is not None and len(its):
        theirs = [found[row] for row in its]
        store.submit(theirs)
        ids = [one.id for one in theirs]
        answers = judges.judged(asked.node, asked.judging, asked.place, asked.take(its).shown, ids, rng)
        keep(store, judges.name, condition, theirs, answers)
    return found


def for_people(
    store: Store, protocol: str, people: People, asked: Asked, shadow: Float[np.ndarray, " comparisons"] | None,
    urgent: Float[np.ndarray, " comparisons"], rng: np.random.Generator,
) -> list[Comparison]:  # fmt: skip
    """The comparisons with all that the labelling page needs; how they are put to people is a part of their names.

    Args:
        store: gives the run.
        protocol: the name under which they are stored.
        people: how they take part.
        asked: what is asked.
        shadow: the simulated evaluator's probabilities, where there is one.
        urgent: the higher, the earlier they are given out.
        rng: draws who sees claims where that is left to chance.
    """
    if not len(asked.inputs):
        return []
    coins, blobs, trust = rng.permutation(len(asked.inputs)), asked.drawn(), asked.trust
    found = []
    for row, one in enumerate(asked.described(store.run, protocol)):
        mode = people.mode if asked.sides[0].claims else "unaided"
        if mode == "randomised":
            mode = "assisted" if coins[row] % 2 else "unaided"
        favoured = verdicts(asked.node.task, asked.sides[0].claims, asked.sides[1].claims, row)
        manner = {"mode": mode, "view": people.view, "verdicts": favoured, "reliability": trust}
        named = renamed(store.run, one, one.payload | {PEOPLE: manner})
        found.append(replace(named, fields=blobs[row], slots=people.overlap, priority=float(urgent[row]),
                             shadow=None if shadow is None else float(shadow[row])))  # fmt: skip
    return found


def renamed(run: str, one: Comparison, payload: dict[str, Any]) -> Comparison:
    """The comparison with another payload, and so with another name."""
    shared: dict[str, Any] = {
        name: getattr(one, name) for name in ("node", "protocol", "question", "budget", "policy_versions")
    }
    (name,) = comparison_ids([payload], run=run, **shared)
    return replace(one, id=name, payload=payload)


def gold_comparisons(
    store: Store, protocol: str, people: People, asked: Asked, count: int,
    urgent: Float[np.ndarray, " comparisons"], rng: np.random.Generator,
) -> list[Comparison]:  # fmt: skip
    """Comparisons whose answer is known: base outputs on the calibration split that differ clearly in true reward.

    They measure people; no learner sees anything of them. They are given out among the others, as urgent as these. A
    task without a true reward has none.
    """
    if not count or not isinstance(asked.node.task, Measured):
        return []
    task, assist = asked.node.task, asked.judging.assist
    inputs = task.sample(rng, CANDIDATES * count, "calibration")
    outputs = [task.base_outputs(rng, inputs) for _ in range(2)]
    difference = task.true_reward(inputs, outputs[0]) - task.true_reward(inputs, outputs[1])
    first, second = (Side(outputs=side, claims=assist(inputs, side)) for side in outputs)
    clear = np.sort(np.argsort(-np.abs(difference), kind="stable")[:count])
    clear = clear[difference[clear] != 0]
    known = replace(asked, inputs=inputs, sides=(first, second), place=f"{asked.place}/gold").take(clear)
    judged = known.judged(rng)
    shadow = None if judged is None else judged.probability
    found = for_people(store, protocol, people, known, shadow, rng.choice(urgent, len(clear)), rng)
    return [
        replace(one, purpose="gold", known=float(difference[row] > 0))
        for one, row in zip(found, clear, strict=True)
    ]  # fmt: skip


def repeated(run: str, asked: Sequence[Comparison], count: int, rng: np.random.Generator) -> list[Comparison]:
    """Some of the comparisons once more, each for one who answered it a while ago."""
    purpose: Purpose = "repeat"
    found = []
    for row in rng.permutation(len(asked))[:count]:
        one = asked[row]
        again = renamed(run, one, one.payload | {"again": one.id})
        found.append(replace(again, purpose=purpose, original=one.id, slots=1))
    return found


def wait_for(store: Store, people: People, node: str, asked: Sequence[Comparison]) -> None:
    """Wait until enough answers are there, or as long as may be waited."""
    begun, told = time.monotonic(), None
    while True:
        now = waiting(people, tally(store, asked), time.time())
        if now != told:
            people.waiting(node, now)
            told = now
        if now.given >= people.enough * now.wanted:
            return
        if people.wait is not None and time.monotonic() - begun >= people.wait:
            return
        time.sleep(LOOK)


def waiting(people: People, found: Tally, now: float) -> Waiting:
    """What is there and what is waited for.

    One labeller could end the wait by calling every comparison broken: so no more of them than `people.broken` are gone
    on without.

    Args:
        people: how they take part.
        found: how far they are.
        now: seconds since 1970.
    """
    allowed = int(people.broken * found.asked + 1e-9)
    left = 0.0 if found.until is None else found.until - now
    return Waiting(
        given=found.given, wanted=found.asked - min(found.aside, allowed), out=found.out,
        minutes=max(0, math.ceil(left / 60)), aside=found.aside, allowed=allowed,
    )  # fmt: skip


def tally(store: Store, asked: Sequence[Comparison]) -> Tally:
    """How far people are with these comparisons.

    Who is to answer before and after claims are shown has answered when the second answer is there.
    """
    twice = [one.id for one in asked if mode_of(one.payload) == "revise"]
    once = [one.id for one in asked if mode_of(one.payload) != "revise"]
    return store.tally(once).plus(store.tally(twice, condition="revised"))
