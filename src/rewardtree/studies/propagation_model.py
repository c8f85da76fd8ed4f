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


def modelled(runs: Runs, tree: Sequence[Level], useful: float) -> dict[str, Any] | None:
    """Fit the model and test it; None where too little was learnt to fit it.

    Args:
        runs: with one kind of fault, and without any.
        tree: the faulty node and all levels above it in any run, learnt or not: of use is what all runs share.
        useful: error up to which a tree is of use.

    Returns:
        `model.<fault>` of the results, and `lines`: the model's error by rate and depth.
    """
    seeds, depths = sorted({seed for _, seed in runs}), [level["depth"] for level in tree]
    last = depths[-1]
    model = fitted(runs, seeds, last)
    if model is None:
        return None

    def of_fit(name: str) -> Figure:
        return lambda some: getattr(fitted(runs, some, last), name, None)

    share = cut(jackknife(seeds, of_fit("share")), AMOUNT)
    growth = (tree[-1]["different"] / tree[0]["different"]) ** (1 / (len(tree) - 1))
    gauges = [Gauge(runs=runs, rate=rate, tree=tree) for rate in sorted({rate for rate, _ in runs})]
    return {
        "floor": cut(jackknife(seeds, of_fit("floor")), AMOUNT),
        "share": share,
        "growth": growth,
        "says": says(share, growth),
        "fitted": list(depths[:-1]),
        "tested": last,
        "tests": [gauge.test(seeds) for gauge in gauges if gauge.whole(seeds)],
        "useful": [gauge.useful(model, useful) for gauge in gauges],
        "lines": {gauge.rate: gauge.line(model) for gauge in gauges},
    }


def fitted(runs: Runs, seeds: Sequence[int], last: int) -> Propagation | None:
    """The model of some seeds, fitted to all steps below the last depth; None where there are too few."""
    mine = [levels for (_, seed), levels in runs.items() if seed in seeds]
    steps = [step for levels in mine for step in pairwise(levels) if step[1]["depth"] < last]
    if len(steps) < 2:
        return None
    errors = np.array([[level["error"]["mean"] for level in step] for step in steps])
    names = np.array([[level["names"] for level in step] for step in steps])
    growth = np.array([level["different"] / below["different"] for below, level in steps])
    return fit(errors[:, 0], errors[:, 1], (names[:, 0], names[:, 1]), growth)


def over_runs(found: Sequence[Any], seeds: int, within: tuple[float, float] = SHARES) -> Estimate:
    """Over the runs of some seeds that count; where one is left of several, there is no interval."""
    estimate = over_seeds(found)
    if seeds > 1 and len(found) == 1:
        return estimate | {"low": None, "high": None, "n": 1, "unit": "seeds"}
    return cut(estimate, within)


def says(share: Estimate, growth: float) -> str:
    """What the interval of the share of compounding that is left says.

    Args:
        share: with its interval.
        growth: of different questions, on the average from level to level.

    Returns:
        `absorbed`: errors do not grow from level to level. Else `compounded`: it may be all of it; `less` or `more`
        than all. `unsettled`: it may be all of it, or errors may not grow; or there is no interval.
    """
    low, high = share.get("low"), share.get("high")
    if low is None or high is None:
        return "unsettled"
    if high * growth < 1:
        return "absorbed"
    if low <= 1 <= high:
        return "unsettled" if low * growth < 1 else "compounded"
    return "less" if high < 1 else "more"


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
        tree: the faulty node and all levels above it, in any run; the model is not fitted to the last.
    """

    runs: Runs
    rate: float
    tree: Sequence[Level]

    def whole(self, seeds: Sequence[int]) -> list[Sequence[Level]]:
        """The runs of some seeds that were learnt up to the last depth."""
        found = [self.runs.get((self.rate, seed), ()) for seed in seeds]
        return [levels for levels in found if len(levels) == len(self.tree)]

    def measured(self, seeds: Sequence[int]) -> float | None:
        """The mean error at the last depth."""
        return _mean([levels[-1]["error"]["mean"] for levels in self.whole(seeds)])

    def predicted(self, seeds: Sequence[int]) -> float | None:
        """The same by the model fitted to these seeds, begun with the measured error of the faulty node."""
        model = fitted(self.runs, seeds, self.tree[-1]["depth"])
        if model is None:
            return None
        return _mean([
            model.predict(levels[0]["error"]["mean"], *_shape(levels))[-1] for levels in self.whole(seeds)
        ])  # fmt: skip

    def naive(self, answers: str) -> Figure:
        """The same if every wrong answer of the faulty node spoils the result, of `calls` or `different` ones."""
        return lambda seeds: _mean([
            compounded(levels[0]["error"]["mean"], float(levels[-1][answers])) for levels in self.whole(seeds)
        ])  # fmt: skip

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
            "naive": cut(jackknife(seeds, self.naive("calls")), SHARES),
            "naive_different": cut(jackknife(seeds, self.naive("different")), SHARES),
            "difference": difference,
            "held": None if low is None or high is None else low <= CLOSE and high >= -CLOSE,
        }

    def _start(self) -> float | None:
        """Mean error of the faulty node."""
        mine = [levels for (rate, _), levels in self.runs.items() if rate == self.rate and levels]
        return _mean([levels[0]["error"]["mean"] for levels in mine])

    def line(self, model: Propagation) -> dict[int, float]:
        """The model's error at every depth."""
        start = self._start()
        if start is None:
            return {}
        errors = model.predict(start, *_shape(self.tree))
        return {level["depth"]: float(error) for level, error in zip(self.tree, errors, strict=True)}

    def useful(self, model: Propagation, most: float) -> dict[str, Any]:
        """The largest depth at which the error is small enough: by the model, as measured, and by recursion.

        Beyond the measured depths, the model's growth is the last measured one.
        """
        found: dict[str, Any] = {"rate": self.rate, "predicted": None, "endless": False}
        mine = [level for (rate, _), levels in self.runs.items() if rate == self.rate for level in levels]
        depths = sorted({int(level["depth"]) for level in mine})
        start = self._start()
        levels = None if start is None else model.useful_depth(start, *_shape(self.tree), most)
        if levels is not None:
            found |= {"predicted": depths[0] + levels, "endless": levels == DEEPEST}
        for key, name in (("error", "measured"), ("recursion", "recursion")):
            errors = {d: _mean([level[key]["mean"] for level in mine if level["depth"] == d]) for d in depths}
            found[name] = max((d for d, error in errors.items() if error is not None and error <= most), default=None)
        return found


def _shape(levels: Sequence[Level]) -> tuple[list[int], list[float]]:
    """Names, and different questions, by level."""
    return [level["names"] for level in levels], [level["different"] for level in levels]


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if len(values) else None
