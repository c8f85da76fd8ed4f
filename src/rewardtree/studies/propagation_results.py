"""From what every seed measured to the results of `rewardtree propagation`, and the model fitted to them.

Results have schema 2 and are JSON; an estimate is `{mean, low, high, n, unit}` with a 95 % interval.

- `curves`: rows `{task, fault, node, rate, depth, error, runs, different, recursion, null, null_different, model}`;
  `runs` counts the seeds that were learnt; `fault` is `none` at rate 0; `different` is the mean number of different
  questions that recursion puts to the faulty node; `null` is 1 - (1 - rate)^calls, `null_different` the same with
  `different` in place of calls; `model` is the fitted model's error, begun with the measured error of the faulty node.
- `enters`: rows `{task, fault, node, rate, depth, error, adds, changes, reading_noise}`; the estimates of `adds`, by
  source, add up to `error`.
- `model.<fault>`: `{floor, share, growth, fitted, tested, says, tests, useful}`, fitted to depths up to the last of
  `fitted`; `growth` is that of `different` from level to level, the geometric mean over all; `tests` are rows `{rate,
  predicted, measured, naive, naive_different, difference, held}` at depth `tested`, where naive predictions are as
  `null` and `null_different`, from the measured error of the faulty node; `useful` are rows `{rate, predicted, endless,
  measured, recursion}`: the largest depth with an error up to `threshold`, None where there is none; `endless` where
  the model's error never rises above that. Beyond depth `tested` the model grows as it last did.
- `unlearnt`: levels whose policies did not learn what their reward models ask for; they, and all above them, count in
  no figure.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from rewardtree import __version__
from rewardtree.diagnostics.error_propagation import compounded
from rewardtree.studies.comparing_schemes import EVERYWHERE
from rewardtree.studies.estimates import Estimate
from rewardtree.studies.propagation_model import Level, modelled, over_runs

SCHEMA = 2
NONE = "none"
"""The kind of fault of a tree without faults."""
LOST = 0.25
"""Error that optimisation may add at a level before the level is taken not to have been learnt at all."""
Fact = Mapping[str, Any]
Run = tuple[str, float, int]
"""Kind of fault, rate and seed."""


def propagation_results(
    facts: Sequence[Fact], *, task: str, node: str, useful: float, config: Mapping[str, Any], command: str,
    seconds: float,
) -> dict[str, Any]:  # fmt: skip
    """Put seeds together, and fit the model.

    Args:
        facts: one a seed, kind of fault and rate: `{seed, fault, rate, levels}`; `levels` as `measure_levels` has them.
        task: of the tree.
        node: the faulty one.
        useful: error up to which a tree is of use.
        config: as it was resolved.
        command: that made it.
        seconds: that it took.
    """
    runs = {(fact["fault"], fact["rate"], fact["seed"]): _rising(fact) for fact in facts}
    learnt, unlearnt = {}, []
    for (fault, rate, seed), levels in runs.items():
        lost = next(
            (i for i, level in enumerate(levels) if level["enters"]["optimisation"]["mean"] > LOST), len(levels)
        )
        learnt[fault, rate, seed] = levels[:lost]
        if lost < len(levels):
            unlearnt.append({"fault": fault, "rate": rate, "seed": seed} | _failure(levels[lost]))
    seeds = sorted({fact["seed"] for fact in facts})
    head = {"task": task, "node": node}
    kinds = dict.fromkeys(fault for fault, _, _ in runs if fault != NONE)
    tree = next(iter(runs.values()))
    depths = [level["depth"] for level in tree]
    models = {kind: modelled(_of(learnt, kind), tree, useful) for kind in kinds}
    rows = [
        (fault, rate, depth, _at(learnt, fault, rate, depth))
        for fault, rate in dict.fromkeys((fault, rate) for fault, rate, _ in runs)
        for depth in depths
    ]
    rows = [row for row in rows if row[3]]
    return {
        "schema": SCHEMA, "kind": "error_propagation", **head, "unit": "share", "threshold": useful,
        "seeds": seeds,
        "curves": [head | _curve(*row, len(seeds), models.get(row[0])) for row in rows],
        "enters": [head | _enters(*row, len(seeds)) for row in rows],
        "model": {kind: {k: v for k, v in model.items() if k != "lines"} for kind, model in models.items() if model},
        "unlearnt": unlearnt, "config": dict(config), "command": command, "seconds": seconds, "version": __version__,
    }  # fmt: skip


def _rising(fact: Fact) -> list[Level]:
    return sorted(fact["levels"].values(), key=lambda level: int(level["depth"]))


def _failure(level: Level) -> dict[str, Any]:
    policy, added = level["error"]["mean"], level["enters"]["optimisation"]["mean"]
    return {"depth": level["depth"], "policy": policy, "added": added}


def _at(learnt: Mapping[Run, Sequence[Level]], fault: str, rate: float, depth: int) -> list[Level]:
    """What each seed found of a level."""
    mine = [levels for (kind, at, _), levels in learnt.items() if (kind, at) == (fault, rate)]
    return [level for levels in mine for level in levels if level["depth"] == depth]


def _of(learnt: Mapping[Run, Sequence[Level]], kind: str) -> dict[tuple[float, int], Sequence[Level]]:
    """The runs with a kind of fault, and those without any, by rate and seed."""
    return {(rate, seed): levels for (fault, rate, seed), levels in learnt.items() if fault in (kind, NONE)}


def _curve(fault: str, rate: float, depth: int, found: Sequence[Level], seeds: int, model: Any) -> dict[str, Any]:
    line = {} if model is None else model["lines"].get(rate, {})
    return {
        "fault": fault, "rate": rate, "depth": depth, "error": _over(found, "error", seeds),
        "runs": len(found), "different": found[0]["different"], "recursion": _over(found, "recursion", seeds),
        "null": compounded(rate, float(found[0]["calls"])), "null_different": compounded(rate, found[0]["different"]),
        "model": line.get(depth),
    }  # fmt: skip


def _enters(fault: str, rate: float, depth: int, found: Sequence[Level], seeds: int) -> dict[str, Any]:
    sources = list(found[0]["enters"])
    return {
        "fault": fault, "rate": rate, "depth": depth, "error": _over(found, "error", seeds),
        "adds": {s: over_runs([level["enters"][s] for level in found], seeds, EVERYWHERE) for s in sources},
        "changes": {s: over_runs([level["changed"][s] for level in found], seeds) for s in sources},
        "reading_noise": _over(found, "reading_noise", seeds),
    }  # fmt: skip


def _over(found: Sequence[Level], key: str, seeds: int) -> Estimate:
    return over_runs([level[key] for level in found], seeds)
