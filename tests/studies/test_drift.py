"""`rewardtree drift`: configuration, shared jobs, going on, results from known facts, the page."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from rewardtree.errors import ConfigError, RunError
from rewardtree.studies.drift import run_drift
from rewardtree.studies.drift_config import parse_drift
from rewardtree.studies.drift_report import render, verdict
from rewardtree.studies.drift_results import drift_results

Json = dict[str, Any]
SMALL: Json = {
    "domain": "algorithms", "task": "powering", "depth": 1, "seeds": 1, "labels": [24], "executor": "serial",
    "settings": {
        "options": {"size": 7, "layers": 1, "width": 16}, "updates": 2, "helper_updates": 2, "helper_iterations": 2,
        "root_iterations": 2, "test_pairs": 40, "test_inputs": 30,
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"node": ["level_0"]}, "did you mean 'nodes'"),
        ({"labels": [10, 20]}, "labels"),
        ({"schemes": ["flat_unaided"]}, "schemes"),
        ({"nodes": ["level_7"]}, "there is no node 'level_7'; choose among level_0, level_1"),
        ({"settings": {"root_iterations": 1, "helper_iterations": 2}}, "'level_1' is improved once"),
    ],
)
def test_what_is_wrong_with_a_configuration_is_said(given: Json, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        parse_drift(SMALL | given)


def test_only_measured_nodes_need_several_improvements() -> None:
    config = parse_drift(SMALL | {"settings": {"root_iterations": 1, "helper_iterations": 2}, "nodes": ["level_0"]})
    assert config.nodes == ("level_0",)


def figures(results: Json) -> Json:
    return json.loads(json.dumps({k: v for k, v in results.items() if k not in ("seconds", "command", "config")}))


@pytest.mark.slow
def test_a_drift_is_measured_and_gone_on_with(tmp_path: Path) -> None:
    keys: list[str] = []
    out = tmp_path / "drift"
    results = run_drift(parse_drift(SMALL), out, lambda key, done, jobs: keys.append(key.rpartition("/")[2]))
    assert sorted(keys) == ["drift-level_0", "drift-level_1", "node-level_0", "node-level_1"]
    assert [(row["node"], row["kind"], row["improvements"]) for row in results["hacking"]] == [
        (node, kind, step) for node in ("level_0", "level_1") for kind in ("refreshed", "frozen") for step in range(3)
    ]
    begun = [row for row in results["hacking"] if row["improvements"] == 0]
    assert all(row["true"]["mean"] == pytest.approx(0) for row in begun)
    assert [row["stale"] is None for row in results["shift"]] == [True, False, False] * 2
    assert [row["fresh"] is None for row in results["shift"]] == [False, False, True] * 2
    assert json.loads((out / "results.json").read_text()) == json.loads(json.dumps(results))
    assert "<svg" in (out / "report.html").read_text()
    lost = next(out.rglob("drift-level_1"))
    (lost / "result.json").unlink()
    shutil.rmtree(lost / "frozen_reward_model" / "level_1" / "iteration-001")
    assert figures(run_drift(parse_drift(SMALL), out, lambda *_: None)) == figures(results)


def estimate(mean: float) -> Json:
    return {"mean": float(mean), "error": 0.01, "n": 100}


def results_of(ends: dict[str, tuple[float, float]], seeds: int = 3) -> Json:
    """What would be measured if nodes ended with these true rewards, refreshed and frozen."""
    facts = []
    for seed in range(seeds):
        for node, last in ends.items():
            hacking = {
                kind: [
                    {"true": estimate(true), "predicted": estimate(2 * step), "vain": estimate(2 * step - true)}
                    for step, true in enumerate((0.0, 1.0, end + 0.01 * seed * (1 if kind == "frozen" else -1)))
                ]
                for kind, end in zip(("refreshed", "frozen"), last, strict=True)
            }
            asked = {"frozen": estimate(0.6), "evaluator": estimate(0.8), "evaluator_of_frozen": estimate(0.7)}
            shift = [asked | {"fresh": estimate(0.9)}, asked | {"fresh": estimate(0.8), "stale": estimate(0.7)},
                     asked | {"stale": estimate(0.6)}]  # fmt: skip
            facts.append({"seed": seed, "node": node, "depth": 0, "hacking": hacking, "shift": shift})
    return drift_results(facts, task="<b>", config={}, command="rewardtree drift CONFIG", seconds=1.0)


def test_what_is_lost_and_promised_in_vain_is_told() -> None:
    results = results_of({"a": (1.5, 0.4), "b": (1.2, 1.2), "c": (0.5, 1.5)})
    found = results["nodes"]["a"]
    assert found["difference"]["mean"] == pytest.approx(1.08) and found["difference"]["low"] > 1
    assert found["frozen"]["lost"]["mean"] == pytest.approx(0.59) and found["refreshed"]["lost"]["mean"] == 0
    assert found["frozen"]["vain"]["mean"] == pytest.approx(3.59)
    assert found["stale"]["mean"] == pytest.approx(0.65) and found["fresh"]["mean"] == pytest.approx(0.8)
    assert verdict(results) == (
        "With a frozen reward model a ends with less true reward; with a frozen one c ends with more; of the other "
        "node no difference is shown."
    )
    html = render(results)
    assert "<b>" not in html and "<script" not in html and html.count('class="chart"') == 6
    with pytest.raises(RunError, match="this page is for kind 'drift'"):
        render({"kind": "study", "schema": 1})


def test_one_seed_shows_no_difference() -> None:
    results = results_of({"a": (1.5, 0.4)}, seeds=1)
    assert verdict(results).startswith("No node's true reward is shown to differ") and "one seed" in render(results)
