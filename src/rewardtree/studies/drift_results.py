"""From what every seed measured to the results of `rewardtree drift`.

Results have schema 1 and are JSON; an estimate is `{mean, low, high, n, unit}` with a 95 % interval.

- `hacking`: rows `{node, depth, kind, improvements, true, predicted, vain}`; `kind` is `refreshed` or `frozen`, `true`
  and `predicted` are gains over the untrained policy's proposals in their standard deviations, `vain` is predicted
  less true.
- `shift`: rows `{node, depth, improvements, fresh, stale, frozen, evaluator, evaluator_of_frozen}`: how often the
  better of two newest outputs is put first; None where nobody could be asked.
- `nodes.<node>`: `{depth, refreshed, frozen, difference, stale, fresh, frozen_right, evaluator, evaluator_of_frozen}`;
  `refreshed` and `frozen` are `{true, vain, lost}` at the end, `lost` against the best on the way; `difference` is
  true reward, refreshed less frozen, paired over seeds; accuracies are means of `shift` over all improvements but 0.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rewardtree import __version__
from rewardtree.diagnostics.distribution_shift import ASKED
from rewardtree.diagnostics.reward_hacking import lost
from rewardtree.studies.comparing_schemes import SHARES, cut
from rewardtree.studies.estimates import Estimate, over_seeds

SCHEMA = 1
KINDS = ("refreshed", "frozen")
Fact = Mapping[str, Any]


def drift_results(
    facts: Sequence[Fact], *, task: str, config: Mapping[str, Any], command: str, seconds: float
) -> dict[str, Any]:
    """Put seeds together.

    Args:
        facts: one a seed and node: `{seed, node, depth, hacking, shift}`.
        task: of the tree.
        config: as it was resolved.
        command: that made it.
        seconds: that it took.
    """
    nodes = dict.fromkeys(fact["node"] for fact in facts)
    by_node = {name: [fact for fact in facts if fact["node"] == name] for name in nodes}
    return {
        "schema": SCHEMA, "kind": "drift", "task": task, "seeds": sorted({fact["seed"] for fact in facts}),
        "hacking": [row for name, mine in by_node.items() for row in _hacking(name, mine)],
        "shift": [row for name, mine in by_node.items() for row in _shift(name, mine)],
        "nodes": {name: _ends(mine) for name, mine in by_node.items()},
        "config": dict(config), "command": command, "seconds": seconds, "version": __version__,
    }  # fmt: skip


def _hacking(name: str, facts: Sequence[Fact]) -> list[dict[str, Any]]:
    steps = range(len(facts[0]["hacking"][KINDS[0]]))
    return [
        {"node": name, "depth": facts[0]["depth"], "kind": kind, "improvements": step}
        | {what: over_seeds([fact["hacking"][kind][step][what] for fact in facts])
           for what in ("true", "predicted", "vain")}
        for kind in KINDS for step in steps
    ]  # fmt: skip


def _shift(name: str, facts: Sequence[Fact]) -> list[dict[str, Any]]:
    rows = []
    for step in range(len(facts[0]["shift"])):
        found: dict[str, Estimate | None] = {}
        for who in ASKED:
            known = [fact["shift"][step][who] for fact in facts if who in fact["shift"][step]]
            estimate = over_seeds(known)
            found[who] = cut(estimate, SHARES) if estimate["n"] else None
        rows.append({"node": name, "depth": facts[0]["depth"], "improvements": step} | found)
    return rows


def _ends(facts: Sequence[Fact]) -> dict[str, Any]:
    found: dict[str, Any] = {"depth": facts[0]["depth"]}
    for kind in KINDS:
        steps = [fact["hacking"][kind] for fact in facts]
        ends = {what: over_seeds([mine[-1][what] for mine in steps]) for what in ("true", "vain")}
        found[kind] = ends | {"lost": _of([lost([step["true"]["mean"] for step in mine]) for mine in steps])}
    last = [[fact["hacking"][kind][-1]["true"]["mean"] for fact in facts] for kind in KINDS]
    found["difference"] = _of((np.array(last[0]) - np.array(last[1])).tolist())
    for who in ASKED:
        means = []
        for fact in facts:
            known = [step[who]["mean"] for step in fact["shift"][1:] if who in step and step[who]["n"]]
            means += [float(np.mean(known))] if known else []
        found["frozen_right" if who == "frozen" else who] = cut(_of(means), SHARES) if means else None
    return found


def _of(values: Sequence[float]) -> Estimate:
    """Of one number a seed."""
    found = over_seeds([{"mean": value, "error": 0.0, "n": 1} for value in values])
    return found if len(values) > 1 else found | {"low": None, "high": None}
