"""How simulated evaluators come about: estimators, usual values, plans of readings and trust.

All of it is learnt on the calibration split.

The same procedure serves every condition. Estimators are fitted to true values of the quantities, as a person
learns from experience what a temperature means. Trust in a helper is learnt apart from that, by reading what
some of its claims are about; the truth of the parent's reward plays no part in it. The plan of readings is
the best of those considered: where there are no claims, by trying them; where there are, by trying them with
claims as reliable as the checks found.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from rewardtree.errors import BudgetError, TaskError
from rewardtree.evaluators.estimator import STILL, Estimator, fit_estimator
from rewardtree.evaluators.simulated import Bounds, Known, Plan, Simulated, Trust, attended
from rewardtree.tasks.exhibit import NO_CLAIMS, Claim, Claims, Exhibit
from rewardtree.tasks.meter import Meter
from rewardtree.tasks.task import Measured, Task, View

PAIRS = 1500
"""Pairs of base outputs that an evaluator's experience consists of."""
CHECKS = 64
"""Claims of each kind that are checked, at a reading an instrument, to learn how far to trust them."""
WORTH = 1e-6
"""Accuracy that a reading must add to be made; what adds less adds rounding."""
NOBODY = -1.0
"""The name that is not known."""
Quantities = Mapping[str, Float[np.ndarray, " batch"]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Experience:
    """Pairs of outputs with all their quantities, and their difference in true reward in units of `scale`.

    Attributes:
        task: the task.
        faces: of the first and the second outputs.
        quantities: true values for both.
        difference: in true reward, first less second.
        scale: standard deviation of `difference` before it was divided by it.
        fitted: pairs that estimators are fitted to; the others choose the plan.
        costs: readings an output that each probe of the face takes.
        surveyed: what a survey concludes.
        named: quantities that are names.
        shared: quantities that hold on both sides of a comparison.
    """

    task: Task
    faces: tuple[Float[np.ndarray, "pairs face"], Float[np.ndarray, "pairs face"]]
    quantities: tuple[Quantities, Quantities]
    difference: Float[np.ndarray, " pairs"]
    scale: float
    fitted: slice
    costs: Mapping[str, int]
    surveyed: tuple[str, ...]
    named: frozenset[str] = frozenset()
    shared: frozenset[str] = frozenset()

    def usual(self) -> dict[str, float]:
        """Mean of each quantity; of a name, the number of none."""
        return {
            n: NOBODY if n in self.named else float(np.mean(np.concatenate([q[n] for q in self.quantities])))
            for n in self.quantities[0]
        }

    def features(self, side: int, known: Quantities) -> Float[np.ndarray, "pairs features"]:
        """What an evaluator has to go by on one side if it knows these quantities."""
        usual = {n: np.full(len(self.difference), v) for n, v in self.usual().items()}
        face = self.faces[side]
        return np.concatenate([face, self.task.sense(face, usual | dict(known))], axis=1)

    def fit(self, known: Known) -> Estimator:
        """The estimator of someone who knows these quantities."""
        first, second = (self.features(s, {n: self.quantities[s][n] for n in known}) for s in (0, 1))
        return fit_estimator(first[self.fitted], second[self.fitted], self.difference[self.fitted])


def gather(task: Measured, rng: np.random.Generator, ideal: Any, pairs: int = PAIRS) -> Experience:
    """Draw the pairs of an evaluator's experience.

    Args:
        task: the task.
        rng: the only source of chance.
        ideal: makes ideal claims of inputs and outputs.
        pairs: how many.

    Raises:
        TaskError: where true reward does not vary, so that there is nothing to judge.
    """
    inputs = task.sample(rng, pairs, "calibration")
    outputs = [task.base_outputs(rng, inputs) for _ in range(2)]
    views, values, readable, named = [], [], [], set()
    for side in outputs:
        claims = ideal(inputs, side)
        view = task.view(inputs, side, claims)
        views.append(view)
        values.append(true_quantities(task, view, claims))
        places = {n: (p.place, p.instruments) for n, p in view.probes.items()}
        readable.append(places | {n: (c.place, c.check) for n, c in claims.items() if c.check and c.items is None})
        named |= {n for n, told in [*view.probes.items(), *claims.items()] if told.named}
        surveyed = sorted(task.survey(view))
    difference = task.true_reward(inputs, outputs[0]) - task.true_reward(inputs, outputs[1])
    scale = float(difference.std())
    if not scale > 0:
        raise TaskError(f"{task.name}: base outputs of an input all have the same true reward; vary them")
    return Experience(
        task=task,
        faces=(views[0].face, views[1].face),
        quantities=(values[0], values[1]),
        difference=difference / scale,
        scale=scale,
        fitted=slice(0, 2 * pairs // 3),
        costs={n: p.cost for n, p in task.view(inputs, outputs[0], NO_CLAIMS).probes.items()},
        surveyed=tuple(surveyed),
        named=frozenset(named),
        shared=_held_on_both(readable, views[0].shared),
    )


def true_quantities(task: Task, view: View, claims: Claims) -> Quantities:
    """Every quantity as it is: what probes would read, what ideal claims say, what a survey concludes."""
    free = Exhibit(
        face=view.face,
        probes=view.probes,
        claims=NO_CLAIMS,
        fields=view.fields,
        meter=Meter(len(view.face), budget=None),
    )
    probed = {name: free.read_probe(probe) for name, probe in view.probes.items()}
    return probed | {name: claim.value for name, claim in claims.items()} | dict(task.survey(view))


def boltzmann_accuracy(
    estimate: Float[np.ndarray, " pairs"], truth: Float[np.ndarray, " pairs"], bounds: Bounds
) -> float:
    """Expected share of noisy answers that match the true order; a tie counts half."""
    drive = bounds.rationality * estimate * np.sign(truth)
    right = (1 - bounds.lapse) / (1 + np.exp(-drive)) + bounds.lapse / 2
    return float(np.where(truth == 0, 0.5, right).mean())


def _score(experience: Experience, plan: Plan, claimed: tuple[Quantities, Quantities], bounds: Bounds) -> float:
    estimates = []
    for side, reads in enumerate((plan.first, plan.second + carried(plan, experience))):
        known = dict(claimed[side]) | {n: experience.quantities[side][n] for n in reads}
        estimates.append(experience.fit(frozenset(known))(experience.features(side, known)))
    rest = slice(experience.fitted.stop, None)
    return boltzmann_accuracy((estimates[0] - estimates[1])[rest], experience.difference[rest], bounds)


def carried(plan: Plan, experience: Experience) -> tuple[str, ...]:
    """What a plan reads on the first side that holds on the second."""
    return tuple(name for name in plan.first if name in experience.shared)


def _held_on_both(readable: list[dict[str, tuple[Any, tuple[str, ...]]]], shared: frozenset[str]) -> frozenset[str]:
    """Quantities that are read of the input, at the same place on both sides."""
    first, second = readable
    both = [name for name, (_, instruments) in first.items() if name in second and set(instruments) <= shared]
    return frozenset(name for name in both if np.array_equal(first[name][0], second[name][0]))


def choose_plan(
    experience: Experience,
    costs: Mapping[str, int],
    bounds: Bounds,
    claimed: tuple[Quantities, Quantities] = ({}, {}),
) -> Plan:
    """The best plan of readings within the budget, grown one reading at a time.

    Both sides are read alike, or all readings go to the first.

    Args:
        experience: pairs to try plans on.
        costs: readings that each quantity takes an output.
        bounds: the evaluator's limits.
        claimed: values of the quantities that helpers claim, as reliable as their claims are.
    """
    budget = bounds.budget if bounds.budget is not None else sum(costs.values()) * 2
    best, best_score = Plan(), _score(experience, Plan(), claimed, bounds)
    for alike in (True, False):
        reads: tuple[str, ...] = ()
        while True:
            left = budget // (2 if alike else 1) - sum(costs[n] for n in reads)
            grown = [(*reads, n) for n, cost in costs.items() if n not in reads and cost <= left]
            if not grown:
                break
            plans = [Plan(first=g, second=g if alike else ()) for g in grown]
            scores = [_score(experience, plan, claimed, bounds) for plan in plans]
            top = int(np.argmax(scores))
            reads = grown[top]
            if scores[top] > best_score + WORTH:
                best, best_score = plans[top], scores[top]
    return best


def learn_trust(claim: Claim, fields: Mapping[str, Any], rng: np.random.Generator) -> tuple[Trust, int]:
    """Check some claims against readings at the places that they point at.

    Args:
        claim: claims on outputs of the calibration split.
        fields: the instruments' fields there; each value used is one reading. Items at whose places they have none
            cannot be checked.
        rng: chooses the items that are checked where a claim is itemised.

    Returns:
        The trust earned, and the readings that it took. Claims that no instrument checks are trusted as they
        are.
    """
    if not claim.check:
        return Trust(), 0
    place, said = claim.place, claim.value
    rows = np.arange(min(CHECKS, len(place)))
    if claim.items is not None:
        nothing = np.isnan(claim.items) | np.any(
            [np.isnan(fields[n][: len(place), : claim.items.shape[1]]) for n in claim.check], axis=0
        )
        place = np.where(nothing, -1.0, rng.random(claim.items.shape)).argmax(axis=1)
        said = claim.items[np.arange(len(place)), place]
        rows = rows[~nothing.all(axis=1)[rows]]
        if len(rows) == 0:
            return Trust(intercept=float(np.nanmean(claim.items)), slope=0.0, reliability=0.0), 0
    read = claim.combine({n: fields[n][rows, place[rows]] for n in claim.check})
    said = said[rows]
    used = len(rows) * len(claim.check)
    if claim.named:
        return Trust(reliability=float((said == read).mean())), used
    if any(values.std() <= STILL * np.abs(values).max() for values in (said, read)):
        return Trust(intercept=float(read.mean()), slope=0.0, reliability=0.0), used
    slope = max(0.0, float(np.cov(said, read)[0, 1] / said.var(ddof=1)))
    reliability = float(np.corrcoef(said, read)[0, 1] ** 2) if slope > 0 else 0.0
    intercept = float(read.mean() - slope * said.mean())
    return Trust(intercept=intercept, slope=slope, reliability=reliability), used


def trusted(claims: Claims, view: View | None, rng: np.random.Generator) -> tuple[dict[str, Trust], int]:
    """The trust that claims of every kind earn by checks, and the readings that it took; see `learn_trust`.

    Args:
        claims: on outputs of the calibration split.
        view: of these outputs; None where there are no claims.
        rng: chooses what is checked.
    """
    trust, readings = {}, 0
    for quantity, claim in claims.items():
        assert view is not None
        trust[quantity], used = learn_trust(claim, view.fields, rng)
        readings += used
    return trust, readings


def calibrate(
    name: str, experience: Experience, bounds: Bounds, *, claims: Claims = NO_CLAIMS,
    view: View | None = None, expert: bool = False, rng: np.random.Generator,
) -> tuple[Simulated, int]:  # fmt: skip
    """Make an evaluator.

    Args:
        name: of the evaluator.
        experience: from `gather`.
        bounds: its limits; an expert's meter must be unlimited.
        claims: its helpers' claims on some outputs of the calibration split, from which it learns whom to
            trust.
        view: those outputs' view.
        expert: it reads every field everywhere and concludes as the task's `survey` does.
        rng: for the checks and for imagining claims of the reliability found.

    Returns:
        The evaluator, and how many readings its checks took.

    Raises:
        BudgetError: where an expert's meter is limited.
    """
    if expert and bounds.budget is not None:
        raise BudgetError(f"an expert's budget is {bounds.budget}; leave it out for no limit")
    task = experience.task
    trust, readings = trusted(claims, view, rng)
    if expert:
        plan, surveyed = Plan(), frozenset(experience.surveyed)
        estimators = {surveyed: experience.fit(surveyed)}
    else:
        heard = attended(claims, task, bounds.attention)
        earned = {n: trust[n] for n in heard}
        imagined = tuple(_imagine(q, earned, experience.named, rng) for q in experience.quantities)
        plan = choose_plan(experience, _costs(experience, heard, view), bounds, (imagined[0], imagined[1]))
        sides = (plan.first, plan.second + carried(plan, experience))
        known = {frozenset(heard) | frozenset(reads) for reads in sides}
        estimators = {names: experience.fit(names) for names in known}
    evaluator = Simulated(
        name=name,
        task=task,
        bounds=bounds,
        plan=plan,
        usual=experience.usual(),
        estimators=estimators,
        trust=trust,
        surveys=expert,
    )
    return evaluator, readings


def _costs(experience: Experience, claims: Claims, view: View | None) -> dict[str, int]:
    costs = {n: p.cost for n, p in view.probes.items()} if view is not None else dict(experience.costs)
    return costs | {n: len(c.check) for n, c in claims.items() if c.check and c.items is None}


def _imagine(
    values: Quantities, trust: Mapping[str, Trust], named: frozenset[str], rng: np.random.Generator
) -> dict[str, Any]:
    imagined = {}
    for name, earned in trust.items():
        if name in named:
            right = rng.random(len(values[name])) < earned.reliability
            imagined[name] = np.where(right, values[name], rng.permutation(values[name]))
            continue
        mean, spread, share = values[name].mean(), values[name].std(), earned.reliability
        noise = rng.standard_normal(len(values[name])) * spread * np.sqrt(share * (1 - share))
        imagined[name] = mean + share * (values[name] - mean) + noise
    return imagined
