"""The model of how errors grow, fitted to all depths of several seeds but the last, and tested there.

Intervals are by the jackknife over seeds: each figure is computed anew without each seed (Tukey 1958).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import stats

from rewardtree.diagnostics.error_propagation import DEEPEST, Propagation, compounded, fit
from rewardtree.studies.comparing_schemes import AMOUNT, EVERYWHERE, SHARES, cut
from rewardtree.studies.estimates import Estimate, over_seeds

CLOSE = 0.005
"""Difference of errors that counts as none."""
Level = Mapping[str, Any]
"""A level's figures in one run, as `rewardtree.studies.propagation.figures` has them."""
Runs = Mapping[tuple[float, int], Sequence[Level]]
"""By rate and seed, the levels that were learnt, the faulty node first."""
Figure = Callable[[Sequence[int]], float | None]
"""Some seeds to a figure of theirs."""


def modelled(runs: Runs, depths: Sequence[int], useful: float) -> dict[str, Any] | None:
    """Fit the model and test it; None where too little was learnt to fit it.

    Args:
        runs: with one kind of fault, and without any.
        depths: of the faulty node and all levels above it.
        useful: error up to which a tree is of use.

    Returns:
        `model.<fault>` of the results, and `lines`: the model's error by rate and depth.
    """
    seeds, last = sorted({seed for _, seed in runs}), depths[-1]
    model = fitted(runs, seeds, last)
    if model is None:
        return None

    def of_fit(name: str) -> Figure:
        return lambda some: getattr(fitted(runs, some, last), name, None)

    factor = cut(jackknife(seeds, of_fit("factor")), AMOUNT)
    calls = [level["calls"] for level in max(runs.values(), key=len)]
    parts = (calls[-1] / calls[0]) ** (1 / (len(calls) - 1)) if len(calls) > 1 else float(calls[-1])
    gauges = [Gauge(runs=runs, rate=rate, last=last) for rate in sorted({rate for rate, _ in runs})]
    return {
        "floor": cut(jackknife(seeds, of_fit("floor")), AMOUNT),
        "factor": factor,
        "parts": parts,
        "says": says(factor, parts),
        "fitted": list(depths[:-1]),
        "tested": last,
        "tests": [gauge.test(seeds) for gauge in gauges if gauge.whole(seeds)],
        "useful": [gauge.useful(model, useful) for gauge in gauges],
        "lines": {gauge.rate: gauge.line(model, depths) for gauge in gauges},
    }


def fitted(runs: Runs, seeds: Sequence[int], last: int) -> Propagation | None:
    """The model of some seeds, fitted to all steps below the last depth; None where there are too few."""
    mine = [levels for (_, seed), levels in runs.items() if seed in seeds]
    steps = [step for levels in mine for step in pairwise(levels) if step[1]["depth"] < last]
    if len(steps) < 2:
        return None
    errors = np.array([[level["error"]["mean"] for level in step] for step in steps])
    names = np.array([[level["names"] for level in step] for step in steps])
    return fit(errors[:, 0], errors[:, 1], (names[:, 0], names[:, 1]))


def over_runs(found: Sequence[Any], seeds: int, within: tuple[float, float] = SHARES) -> Estimate:
    """Over the runs of some seeds that count; where one is left of several, there is no interval."""
    estimate = over_seeds(found)
    if seeds > 1 and len(found) == 1:
        return estimate | {"low": None, "high": None, "n": 1, "unit": "seeds"}
    return cut(estimate, within)


def says(factor: Estimate, parts: float) -> str:
    """What a factor's interval says: `absorbed`, `compounded`, `less`, `more` or `unsettled`."""
    low, high = factor.get("low"), factor.get("high")
    if low is None or high is None or low <= 1 <= high:
        return "unsettled"
    if high < 1:
        return "absorbed"
    if low <= parts <= high:
        return "compounded"
    return "less" if high < parts else "more"


def jackknife(seeds: Sequence[int], what: Figure) -> Estimate:
    """A figure of all seeds, with Student's 95 % interval by leaving out each; its ends are None if unknown."""
    whole = what(seeds)
    parts = [what([seed for seed in seeds if seed != left]) for left in seeds] if len(seeds) > 1 else []
    estimate: Estimate = {"mean": whole, "low": None, "high": None, "n": len(seeds), "unit": "seeds"}
    known = [part for part in parts if part is not None]
    if whole is None or len(known) < 2 or len(known) < len(parts):
        return estimate
    pseudo = len(known) * whole - (len(known) - 1) * np.array(known)
    half = float(stats.t.ppf(0.975, len(known) - 1) * pseudo.std(ddof=1) / len(known) ** 0.5)
    return estimate | {"low": whole - half, "high": whole + half}


@dataclass(frozen=True, kw_only=True, slots=True)
class Gauge:
    """Runs at one rate, held against the model.

    Attributes:
        runs: with one kind of fault.
        rate: of the fault.
        last: depth that the model is not fitted to.
    """

    runs: Runs
    rate: float
    last: int

    def whole(self, seeds: Sequence[int]) -> list[Sequence[Level]]:
        """The runs of some seeds that were learnt up to the last depth."""
        found = [self.runs.get((self.rate, seed), ()) for seed in seeds]
        return [levels for levels in found if levels and levels[-1]["depth"] == self.last]

    def measured(self, seeds: Sequence[int]) -> float | None:
        """The mean error at the last depth."""
        return _mean([levels[-1]["error"]["mean"] for levels in self.whole(seeds)])

    def predicted(self, seeds: Sequence[int]) -> float | None:
        """The same by the model fitted to these seeds, begun with the measured error of the faulty node."""
        model = fitted(self.runs, seeds, self.last)
        if model is None:
            return None
        return _mean([
            model.predict(levels[0]["error"]["mean"], [level["names"] for level in levels])[-1]
            for levels in self.whole(seeds)
        ])  # fmt: skip

    def naive(self, seeds: Sequence[int]) -> float | None:
        """The same if every wrong answer of the faulty node spoils the result."""
        return _mean([compounded(levels[0]["error"]["mean"], levels[-1]["calls"]) for levels in self.whole(seeds)])

    def missed(self, seeds: Sequence[int]) -> float | None:
        """Predicted less measured."""
        predicted, measured = self.predicted(seeds), self.measured(seeds)
        return None if predicted is None or measured is None else predicted - measured

    def test(self, seeds: Sequence[int]) -> dict[str, Any]:
        """Prediction beside measurement at the last depth; `held`: they may differ by no more than `CLOSE`."""
        difference = cut(jackknife(seeds, self.missed), EVERYWHERE)
        low, high = difference["low"], difference["high"]
        return {
            "rate": self.rate,
            "predicted": cut(jackknife(seeds, self.predicted), SHARES),
            "measured": over_runs([levels[-1]["error"] for levels in self.whole(seeds)], len(seeds)),
            "naive": cut(jackknife(seeds, self.naive), SHARES),
            "difference": difference,
            "held": None if low is None or high is None else low <= CLOSE and high >= -CLOSE,
        }

    def _start(self) -> tuple[float, list[int]] | None:
        """Mean error of the faulty node, and names by level."""
        mine = [levels for (rate, _), levels in self.runs.items() if rate == self.rate and levels]
        error = _mean([levels[0]["error"]["mean"] for levels in mine])
        return None if error is None else (error, [level["names"] for level in max(mine, key=len)])

    def line(self, model: Propagation, depths: Sequence[int]) -> dict[int, float]:
        """The model's error at every depth."""
        start = self._start()
        if start is None:
            return {}
        names = start[1] + [start[1][-1]] * (len(depths) - len(start[1]))
        return {depth: float(e) for depth, e in zip(depths, model.predict(start[0], names), strict=True)}

    def useful(self, model: Propagation, most: float) -> dict[str, Any]:
        """The largest depth at which the error is small enough: by the model, as measured, and by recursion."""
        found: dict[str, Any] = {"rate": self.rate, "predicted": None, "endless": False}
        mine = [level for (rate, _), levels in self.runs.items() if rate == self.rate for level in levels]
        depths = sorted({int(level["depth"]) for level in mine})
        start = self._start()
        levels = None if start is None else model.useful_depth(*start, most)
        if levels is not None:
            found |= {"predicted": depths[0] + levels, "endless": levels == DEEPEST}
        for key, name in (("error", "measured"), ("recursion", "recursion")):
            errors = {d: _mean([level[key]["mean"] for level in mine if level["depth"] == d]) for d in depths}
            found[name] = max((d for d, error in errors.items() if error is not None and error <= most), default=None)
        return found


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if len(values) else None
