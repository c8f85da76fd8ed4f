"""Which scheme is better, and how sure one may be: from the figures of several seeds at equal label budgets.

The statistics are those of Agarwal et al. 2021, "Deep reinforcement learning at the edge of the statistical
precipice" (arXiv 2108.13264), sections 4.1 and 4.3, by their package `rliable`: the interquartile mean, which is the
mean of the middle half of the runs (of all of them where there are fewer than four), the probability of improvement,
and intervals by a bootstrap that draws runs anew within every task.

Such intervals are too narrow where seeds are few. On normal data, intervals of a nominal 95 % held the truth in
`COVERAGE` of 2,000 trials.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from rewardtree.errors import ConfigError, RunError
from rewardtree.studies.estimates import Estimate, over_seeds
from rewardtree.studies.wording import mean_of

RESAMPLES = 2000
"""Bootstrap draws an interval, as many as the package's authors advise for the probability of improvement."""
COVERAGE: Mapping[int, float] = {2: 0.50, 3: 0.76, 4: 0.88, 5: 0.89, 6: 0.91}
"""Share of nominal 95 % intervals of the interquartile mean that hold the truth, by the number of seeds."""
EVERYWHERE, AMOUNT, SHARES = (-math.inf, math.inf), (0.0, math.inf), (0.0, 1.0)
"""What an estimate can be: anything, no less than nothing, a share."""
COSTS = ("labels", "readings", "seconds", "demonstrations", "verdicts")

Fact = Mapping[str, Any]
Scores = Float[np.ndarray, "seeds tasks"]
Others = Float[np.ndarray, "other_seeds tasks"]


class Better(NamedTuple):
    """How one scheme compares with another: the chance that a run of it is better, and by how much it is."""

    improvement: Estimate
    difference: Estimate


def need_rliable() -> None:
    """Fail early where the statistics cannot be computed.

    Raises:
        ConfigError: where `rliable` is missing or does not work.
    """
    _rliable()


def interquartile_mean(scores: Scores, resamples: int = RESAMPLES) -> Estimate:
    """The mean of the middle half of all scores, with a 95 % interval by a bootstrap over seeds, stratified by task.

    Args:
        scores: one a seed and task.
        resamples: bootstrap draws.

    Returns:
        The estimate. Its ends are None with fewer than two seeds; nothing is known without any.

    Example:
        >>> interquartile_mean(np.array([[0.2], [0.8], [0.9], [1.0]]), resamples=50)["mean"]
        0.85
    """
    library, metrics = _rliable()
    if len(scores) == 0:
        return _estimate(None, 0)
    if len(scores) == 1:
        return _estimate(metrics.aggregate_iqm(scores), 1)

    def statistic(drawn: NDArray[Any]) -> NDArray[Any]:
        return np.array([metrics.aggregate_iqm(drawn)])

    (found,) = _bootstrap(library, scores, statistic, resamples, len(scores))
    return found


def compare(ours: Scores, theirs: Others, resamples: int = RESAMPLES) -> Better:
    """Compare two schemes' scores on the same tasks; runs are drawn independently, so seeds need not match.

    Args:
        ours: of the scheme that may be better.
        theirs: of the other.
        resamples: bootstrap draws.

    Returns:
        The probability of improvement: that one of our runs on a task beats one of theirs, ties counting half, on
        average over tasks; and the difference of the interquartile means. `n` is the smaller number of seeds; ends
        are None where it is one, means too where it is none.
    """
    library, metrics = _rliable()
    seeds = min(len(ours), len(theirs))
    if seeds == 0:
        return Better(_estimate(None, 0), _estimate(None, 0))

    def statistic(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
        return np.array([probability_of_improvement(a, b), metrics.aggregate_iqm(a) - metrics.aggregate_iqm(b)])

    if seeds == 1:
        chance, difference = statistic(ours, theirs)
        return Better(_estimate(chance, 1), _estimate(difference, 1))
    return Better(*_bootstrap(library, [ours, theirs], statistic, resamples, seeds))


def probability_of_improvement(ours: Scores, theirs: Others) -> float:
    """Share of pairs of runs on a task of which ours is better, ties counting half, on average over tasks.

    Equals `rliable.metrics.probability_of_improvement`, which takes a hundred times as long by way of a rank test.

    Args:
        ours: of the scheme that may be better.
        theirs: of the other, on the same tasks.

    Example:
        >>> probability_of_improvement(np.array([[1.0], [2.0]]), np.array([[0.0], [2.0]]))
        0.625
    """
    a, b = ours[:, None], theirs[None]
    return float((a > b).mean() + (a == b).mean() / 2)


def average(values: Sequence[Any], *, within: tuple[float, float] = EVERYWHERE) -> Estimate:
    """Mean over seeds with Student's 95 % interval; what is unknown is passed over.

    Args:
        values: one a seed; None and nan are unknown.
        within: the least and the largest value there can be, where the interval is cut off.
    """
    known = [value for value in map(mean_of, values) if value is not None]
    found = over_seeds([{"mean": value, "error": 0.0, "n": 1} for value in known]) | {"unit": "seeds"}
    if len(known) < 2:
        return found | {"low": None, "high": None}
    return cut(found, within)


def cut(estimate: Estimate, within: tuple[float, float]) -> Estimate:
    """The estimate, its interval no wider than what can be: Student's knows nothing of the ends of a scale."""
    low, high = mean_of(estimate.get("low")), mean_of(estimate.get("high"))
    if low is None or high is None:
        return estimate
    return estimate | {"low": max(low, within[0]), "high": min(high, within[1])}


def costs(rows: Sequence[Fact]) -> dict[str, Estimate]:
    """What the runs of one scheme and budget took, on average over seeds."""
    return {name: average([row.get(name) for row in rows], within=AMOUNT) for name in COSTS}


def finished(row: Fact) -> bool:
    """Whether a run has a true reward to show."""
    return not row.get("failed") and mean_of(row.get("true_reward")) is not None


def scores_of(rows: Sequence[Fact]) -> Scores:
    """True rewards of finished runs, a seed a row, as of one task."""
    return np.array([[float(row["true_reward"])] for row in rows if finished(row)]).reshape(-1, 1)


def apart(one: Any, other: Any) -> bool:
    """Whether two estimates have intervals, and these do not touch."""
    return _above(one, other) or _above(other, one)


def _above(one: Any, other: Any) -> bool:
    if not isinstance(one, Mapping) or not isinstance(other, Mapping):
        return False
    low, high = mean_of(one.get("low")), mean_of(other.get("high"))
    return low is not None and high is not None and low > high


def clear_winner(estimates: Mapping[str, Any]) -> str | None:
    """The name whose interval lies above all others' intervals; None where there is no such one, or no other."""
    known = {name: value for name, e in estimates.items() if (value := mean_of(e)) is not None}
    if len(known) < 2:
        return None
    best = max(known, key=lambda name: known[name])
    return best if all(apart(estimates[best], estimates[name]) for name in known if name != best) else None


def _bootstrap(library: Any, scores: Any, statistic: Callable[..., Any], draws: int, seeds: int) -> list[Estimate]:
    with _same_draws():
        point, ends = library.get_interval_estimates({"it": scores}, statistic, reps=draws)
    low, high = ends["it"]
    return [_estimate(point["it"][i], seeds, low[i], high[i]) for i in range(len(low))]


@contextmanager
def _same_draws() -> Iterator[None]:
    """Seed numpy's global generator and put it back: rliable 1.2 draws from it, whatever it is given to draw from."""
    before = np.random.get_state()
    np.random.seed(0)
    try:
        yield
    finally:
        np.random.set_state(before)


def _estimate(mean: Any, seeds: int, low: Any = None, high: Any = None) -> Estimate:
    ends = {name: None if end is None else float(end) for name, end in (("low", low), ("high", high))}
    return {"mean": None if mean is None else float(mean), **ends, "n": seeds, "unit": "seeds"}


def _rliable() -> tuple[Any, Any]:
    """The package's two modules, imported late: they take two seconds."""
    try:
        from rliable import library, metrics  # type: ignore[import-untyped]
    except ImportError as error:
        raise ConfigError(
            f"comparing schemes needs the package rliable ({error}); pip install 'rewardtree[study]'"
        ) from error
    except TypeError as error:  # arch 7.2, which rliable imports, breaks so with pandas 3
        raise ConfigError(f"rliable does not work with this pandas ({error}); pip install 'pandas<3'") from error
    return library, metrics


def check(facts: Sequence[Fact]) -> None:
    """Refuse facts that cannot be compared.

    Raises:
        RunError: where a fact lacks its scheme, seed or budget, where two are of the same run, or where the facts are
            of several tasks.
    """
    seen: set[tuple[Any, ...]] = set()
    for fact in facts:
        key = tuple(fact.get(name) for name in ("scheme", "seed", "budget"))
        if any(part is None for part in key):
            raise RunError(f"a run's facts lack scheme, seed or budget: {key}; run the study again")
        if key in seen:
            raise RunError(f"scheme {key[0]}, seed {key[1]}, budget {key[2]} is there twice; keep one of the two")
        seen.add(key)
    tasks = sorted({str(fact.get("task")) for fact in facts})
    if len(tasks) > 1:
        raise RunError(
            f"these runs are of several tasks: {', '.join(tasks)}; compare the schemes of one task at a time"
        )
