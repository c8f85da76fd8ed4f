"""A simulated evaluator: bounded in readings and attention, Boltzmann-rational over its own estimate.

It sees exhibits only. Its estimate of an output is an `Estimator` on the face and on what it makes (the
task's `sense`) of the quantities that it knows: read by itself, else claimed by a helper and adjusted by the
trust which that helper has earned where its claims could be checked, else what is usual. Its answer follows

    P(first) = (1 - lapse) sigmoid(rationality * (e1 - e2) + bias) + lapse / 2

with estimates in units of the spread of true differences between two outputs of an input, fixed once a task,
so that rationality means the same in every domain (Boltzmann-rational choice as in Christiano et al. 2017,
section 2.2.3, with their constant lapse).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from jaxtyping import Bool, Float, Int

from rewardtree.errors import BudgetError
from rewardtree.evaluators.estimator import Estimator
from rewardtree.tasks.exhibit import Claim, Claims, Exhibit, Probe
from rewardtree.tasks.task import Task, View

Known = frozenset[str]
Readings = Mapping[str, Float[np.ndarray, " batch"]]
NOTHING: Readings = MappingProxyType({})
FOLLOWED = 0.5
"""Reliability from which on a reading is made where a claim points although the face points somewhere too."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bounds:
    """What limits an evaluator.

    Attributes:
        budget: readings a comparison, for both outputs together; None for no limit.
        attention: claims that it takes in a comparison, for both outputs together.
        rationality: nats of preference for a difference of one usual spread.
        lapse: share of answers given blindly.
        position_bias: nats in favour of the first.
    """

    budget: int | None = 2
    attention: int = 12
    rationality: float = 5.0
    lapse: float = 0.02
    position_bias: float = 0.0

    def __post_init__(self) -> None:
        if self.budget is not None and self.budget < 0:
            raise BudgetError(f"a reading budget cannot be {self.budget}; give 0 or more")
        if self.attention < 0 or self.rationality <= 0 or not 0 <= self.lapse <= 1:
            raise BudgetError("attention is 0 or more, rationality above 0 and lapse between 0 and 1")


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """Which quantities are read on each side of a comparison: where a claim points, else by a probe.

    What the first side's readings tell of the input, and not of its output, is known on the second side too.
    """

    first: tuple[str, ...] = ()
    second: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Trust:
    """What a claim is worth, learnt by regressing readings on claims where the claims were checked.

    Attributes:
        intercept, slope: the reading to expect is `intercept + slope * claim`.
        reliability: squared correlation of claim and reading, or the share of names that agree, 0 to 1.
    """

    intercept: float = 0.0
    slope: float = 1.0
    reliability: float = 1.0

    def adjust(self, claim: Claim) -> Float[np.ndarray, " batch"]:
        """The value to expect; for an itemised claim every item is adjusted. A name stays what it is."""
        if claim.named:
            return claim.value
        count = 1.0 if claim.items is None else np.sum(~np.isnan(claim.items), axis=1)
        return count * self.intercept + self.slope * claim.value


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgements:
    """Answers to a batch of comparisons.

    Attributes:
        probability: the evaluator's own probability that the first is better, before chance decides.
        first_better: its answer.
        readings: used by each comparison.
        claims_seen: taken in by each comparison.
        soft: probabilities that are given as answers, nan for can't tell; None where `first_better` is the answer.
        rationales: reasons in the evaluator's own words; empty where it gives none.
        orders: log-odds that the first is better, asked as they are and the other way round, nan where the answer
            could not be read; None where comparisons are not asked twice.
    """

    probability: Float[np.ndarray, " batch"]
    first_better: Bool[np.ndarray, " batch"]
    readings: Int[np.ndarray, " batch"]
    claims_seen: Int[np.ndarray, " batch"]
    soft: Float[np.ndarray, " batch"] | None = None
    rationales: tuple[str, ...] = ()
    orders: Float[np.ndarray, "batch 2"] | None = None

    def told(self, row: int) -> float | None:
        """The answer at a row, as it is stored: the probability that the first is better, None for can't tell."""
        if self.soft is None:
            return float(self.first_better[row])
        return None if np.isnan(self.soft[row]) else float(self.soft[row])

    def take(self, rows: Int[np.ndarray, " rows"]) -> "Judgements":
        """The answers at `rows`."""
        return Judgements(
            probability=self.probability[rows],
            first_better=self.first_better[rows],
            readings=self.readings[rows],
            claims_seen=self.claims_seen[rows],
            soft=None if self.soft is None else self.soft[rows],
            rationales=tuple(self.rationales[row] for row in rows) if self.rationales else (),
            orders=None if self.orders is None else self.orders[rows],
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Simulated:
    """A bounded evaluator of one task; made by `rewardtree.evaluators.calibration`.

    Attributes:
        name: of the evaluator.
        task: gives `sense` and the names of quantities; its true reward is never called here.
        bounds: its limits.
        plan: what it reads.
        usual: the usual value of each quantity.
        estimators: by the set of quantities that are known.
        trust: by quantity.
        surveys: it reads every field everywhere and concludes as the task's `survey` does (the expert).
    """

    name: str
    task: Task
    bounds: Bounds
    plan: Plan
    usual: Mapping[str, float]
    estimators: Mapping[Known, Estimator]
    trust: Mapping[str, Trust]
    surveys: bool = False

    def estimate(
        self, exhibit: Exhibit, reads: tuple[str, ...], told: Readings = NOTHING
    ) -> tuple[Float[np.ndarray, " batch"], Readings]:
        """Its estimate of every output's reward after the readings of its plan, and these readings.

        Args:
            exhibit: of the outputs.
            reads: quantities to read.
            told: what it has read already that holds here too.
        """
        known = {name: np.full(len(exhibit), self.usual[name]) for name in self.task.quantities}
        if self.surveys:
            found = self.task.survey(read_all(exhibit))
            return self._conclude(exhibit, known | dict(found), frozenset(found)), NOTHING
        claims = attended(exhibit.claims, self.task, self.bounds.attention)
        known |= {name: self.trust.get(name, Trust()).adjust(claim) for name, claim in claims.items()}
        read = {name: exhibit.read_probe(self._probe(exhibit, claims, name)) for name in reads}
        for name, value in [*told.items(), *read.items()]:
            known[name] = np.where(np.isnan(value), known[name], value)
        return self._conclude(exhibit, known, frozenset(claims) | frozenset(told) | frozenset(reads)), read

    def _carried(self, first: Exhibit, second: Exhibit, read: Readings) -> Readings:
        """What was read on the first side that holds on the second: of the input, and at the same place."""
        claims = [attended(e.claims, self.task, self.bounds.attention) for e in (first, second)]
        carried = {}
        for name, value in read.items():
            if name in first.probes or name in claims[0]:
                one, two = self._probe(first, claims[0], name), self._probe(second, claims[1], name)
                if set(one.instruments) <= first.shared:
                    carried[name] = np.where(one.place == two.place, value, np.nan)
        return carried

    def _probe(self, exhibit: Exhibit, claims: Claims, quantity: str) -> Probe:
        """How to read a quantity: where a helper points that earned trust, else where the face points."""
        claim = claims.get(quantity)
        if claim is None or not claim.check or claim.items is not None:
            return exhibit.probes[quantity]
        if quantity in exhibit.probes and self.trust.get(quantity, Trust()).reliability < FOLLOWED:
            return exhibit.probes[quantity]
        return Probe(
            quantity=quantity, instruments=claim.check, place=claim.place, combine=claim.combine, named=claim.named
        )

    def _conclude(
        self, exhibit: Exhibit, known: Mapping[str, Float[np.ndarray, " batch"]], names: Known
    ) -> Float[np.ndarray, " batch"]:
        return self.estimators[names](np.concatenate([exhibit.face, self.task.sense(exhibit.face, known)], axis=1))

    def judge(self, first: Exhibit, second: Exhibit, rng: np.random.Generator) -> Judgements:
        """Compare two outputs of each input. Both exhibits share one meter."""
        one, read = self.estimate(first, self.plan.first)
        difference = one - self.estimate(second, self.plan.second, self._carried(first, second, read))[0]
        probability = preferring_first(difference, self.bounds)
        seen = sum(len(attended(e.claims, self.task, self.bounds.attention)) for e in (first, second))
        return Judgements(
            probability=probability,
            first_better=rng.random(len(first)) < probability,
            readings=first.meter.used,
            claims_seen=np.full(len(first), seen),
        )


def preferring_first(difference: Float[np.ndarray, " batch"], bounds: Bounds) -> Float[np.ndarray, " batch"]:
    """Chance that someone within these bounds prefers the first; see the module's docstring.

    Args:
        difference: of the two estimates, in usual spreads.
        bounds: give rationality, bias and lapse.
    """
    drive = bounds.rationality * difference + bounds.position_bias
    chance: Float[np.ndarray, " batch"] = (1 - bounds.lapse) / (1 + np.exp(-np.clip(drive, -60, 60))) + bounds.lapse / 2
    return chance


def attended(claims: Claims, task: Task, attention: int) -> dict[str, Claim]:
    """The claims that attention suffices for: half of it an output, in the task's order of quantities."""
    names = [name for name in task.quantities if name in claims][: attention // 2]
    return {name: claims[name] for name in names}


def read_all(exhibit: Exhibit) -> View:
    """Use every instrument at every place; only an unlimited meter grants that."""
    fields = {}
    for name, known in exhibit.fields.items():
        places = np.broadcast_to(np.arange(known.shape[1]), known.shape)
        fields[name], _ = exhibit.read(name, places)
    return View(face=exhibit.face, probes=exhibit.probes, fields=fields, public=exhibit.public)
