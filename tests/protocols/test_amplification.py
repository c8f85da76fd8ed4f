"""Amplification and its yardstick: they run on the ledger, count demonstrations, give the same twice, and learn."""

from pathlib import Path
from typing import Any

import pytest

from rewardtree.studies.study import RUNS, run_study
from rewardtree.studies.study_config import parse_study
from rewardtree.studies.tables import read_parquet

pytest.importorskip("rliable", reason="pip install 'rewardtree[study]'")


def facts(out: Path, updates: int, **given: Any) -> dict[str, dict[str, Any]]:
    config = {
        "task": "finding", "depth": 1, "seeds": 1, "labels": [200], "executor": "serial",
        "schemes": ["amplification", "supervised"],
        "settings": {
            "options": {"size": 8, "layers": 2}, "updates": updates, "helper_updates": updates, "test_inputs": 300,
        },
    }  # fmt: skip
    run_study(parse_study(config | given), out, lambda key, done, jobs: None)
    return {row["scheme"]: row for row in read_parquet(out / RUNS)}


def test_demonstrations_are_counted_and_runs_repeat(tmp_path: Path) -> None:
    first, again = (facts(tmp_path / name, 120) for name in "ab")
    assert first["amplification"]["failed"] is None
    assert 0 < first["amplification"]["demonstrations"] <= 400
    assert first["supervised"]["demonstrations"] == first["supervised"]["labels"] == 0
    for name in first:
        assert first[name]["true_reward"] == again[name]["true_reward"]


@pytest.mark.slow
def test_amplification_learns_a_level_above_the_facts(tmp_path: Path) -> None:
    found = facts(tmp_path / "a", 900)
    assert found["supervised"]["true_reward"] > 0.9
    assert found["amplification"]["true_reward"] > 0.9
