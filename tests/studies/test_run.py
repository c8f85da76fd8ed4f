"""Whole runs by the command line: figures, files, and what happens to users who get something wrong."""

import json
import os
import shlex
import shutil
import stat
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from rewardtree import cli
from rewardtree.cli.run import pairs
from rewardtree.errors import ConfigError, RunError
from rewardtree.studies.config import RunConfig, parse
from rewardtree.studies.run import claimed, command_of, find_domain, locked, read_json

TINY = ["--preset", "tiny", "--set", "helper_labels=24", "--set", "root_labels=24", "--set", "test_pairs=16"]


def rewardtree(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rewardtree", *words], capture_output=True, text=True, timeout=500,
        env=os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "160"},
    )  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with two seeds."""
    out = tmp_path_factory.mktemp("runs") / "tiny"
    done = rewardtree("run", "chip", "--seeds", "2", "--out", str(out), *TINY)
    assert done.returncode == 0, done.stderr
    assert "Gap recovered" in done.stdout and "report.html" in done.stdout
    return out


@pytest.fixture(scope="module")
def results(run: Path) -> dict[str, Any]:
    return read_json(run / "results.json")


CONDITIONS = {"unaided", "assisted", "ideal", "expert", "untrained", "shuffled", "random_places", "heuristic",
              "claims_without_meter", "meter_without_claims", "adversarial"}  # fmt: skip


def test_a_run_that_nobody_answered_says_so(tmp_path: Path) -> None:
    asks = ["--evaluator", "human", "--no-page", "--set", "people_wait=0"]
    done = rewardtree("run", "chip", "--out", str(tmp_path / "asks"), *TINY, *asks)
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert "floorplan waits for people: 0 of 24 answers are there, 24 wait for anybody" in said
    assert "iteration 1/1 0 of 24 labels" in said and "simulated evaluator of the root" in said
    assert "Gap recovered: accuracy of the simulated evaluator" in said and ", people gave no answers" in said
    assert "People gave 0 of 24 answers at floorplan." in said
    assert "Warning: 24 of 24 answers at floorplan are missing: its reward model was trained on nothing" in said
    found = read_json(tmp_path / "asks" / "results.json")
    counts = {"asked": 24, "given": 0, "aside": 0, "simulated": 0, "trained_on": 0}
    assert found["answers"] == {"floorplan": counts} and found["people"]["answers"] == 0
    assert found["protocols"]["recursive_reward_modeling"]["labels"]["mean"] == 5 * 24


def test_results_have_the_documented_shape(results: dict[str, Any]) -> None:
    assert results["schema"] == 1 and results["seeds"] == [0, 1] and results["root"] == "floorplan"
    assert set(results["nodes"]) == {"heat", "current", "lifetime", "energy", "security", "floorplan"}
    for name in ("lifetime", "floorplan"):
        assert set(results["nodes"][name]["accuracy"]) == CONDITIONS
    assert set(results["nodes"]["heat"]["accuracy"]) == {"unaided", "expert"}
    assert {"recursive_reward_modeling", "flat_unaided", "flat_expert", "oracle", "ceiling"} <= set(
        results["protocols"]
    )
    for estimate in (
        results["nodes"]["floorplan"]["accuracy"]["assisted"],
        results["nodes"]["floorplan"]["accuracy_by_budget"]["2"]["assisted"],
        results["nodes"]["heat"]["reward_model"]["calibration_error"],
        results["protocols"]["flat_unaided"]["readings"],
    ):
        assert (
            set(estimate) == {"mean", "low", "high", "n", "unit"} and estimate["unit"] == "seeds" and estimate["n"] == 2
        )


def test_labels_are_the_same_for_every_scheme(results: dict[str, Any]) -> None:
    labels = {
        name: found["labels"]["mean"] for name, found in results["protocols"].items() if found["evaluator"] != "none"
    }
    assert set(labels.values()) == {5 * 24 + 24}


def test_budgets_hold_everywhere(results: dict[str, Any]) -> None:
    rows = [row for row in results["ledger"] if row["evaluator"] != "expert"]
    assert rows and all(row["readings"] <= 2 * row["labels"] for row in rows)


def test_the_ceiling_is_above_all_else(results: dict[str, Any]) -> None:
    rewards = {name: found["true_reward"]["mean"] for name, found in results["protocols"].items()}
    assert max(rewards, key=rewards.__getitem__) == "ceiling"


def test_a_finished_run_is_read_not_repeated(run: Path) -> None:
    before = (run / "seed-0" / "facts.json").stat().st_mtime_ns
    done = rewardtree("resume", str(run))
    assert done.returncode == 0, done.stderr
    assert (run / "seed-0" / "facts.json").stat().st_mtime_ns == before


def test_a_moved_and_half_lost_run_ends_with_the_same_figures(run: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(run, moved)
    (moved / "seed-0" / "facts.json").unlink()
    shutil.rmtree(moved / "seed-0" / "flat_expert_output")
    done = rewardtree("resume", str(moved))
    assert done.returncode == 0, done.stderr
    found, whole = (read_json(place / "results.json") for place in (moved, run))
    assert found["nodes"] == whole["nodes"] and found["ledger"] == whole["ledger"]
    for name, protocol in whole["protocols"].items():
        assert found["protocols"][name]["true_reward"] == protocol["true_reward"]


def test_the_report_is_written_again(run: Path) -> None:
    (run / "report.html").unlink()
    assert rewardtree("report", str(run)).returncode == 0
    assert "<html" in (run / "report.html").read_text()


def test_another_run_is_not_written_over(run: Path) -> None:
    done = rewardtree("run", "chip", "--seeds", "3", "--out", str(run), *TINY)
    assert done.returncode == 2 and "holds another run" in done.stderr and "Traceback" not in done.stderr


def test_a_folder_in_use_is_refused(run: Path) -> None:
    with locked(run):
        done = rewardtree("resume", str(run))
    assert done.returncode == 2 and "another process is running" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "chop"], "there is no domain 'chop'; installed are algorithms, books, chip"),
        (["run", "chip", "--preset", "slow"], "there is no preset 'slow'"),
        (["run", "chip", "--set", "helper_label=3"], "did you mean 'helper_labels'"),
        (["run", "chip", "--set", "budget"], "NAME=VALUE"),
        (["run", "chip", "--set", "budget=-1"], "budget = -1"),
        (["resume", "nowhere"], "there is no run in nowhere"),
        (["report", "nowhere"], "has no results yet"),
    ],
)
def test_mistakes_are_answered_in_one_sentence(words: list[str], said: str) -> None:
    done = CliRunner().invoke(cli.app, words)
    assert done.exit_code == 2 and said in done.stderr.replace("\n", " ") and "Traceback" not in done.output


def test_files_that_are_no_run_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    done = rewardtree("run", "chip", "--out", str(tmp_path), *TINY)
    assert done.returncode == 2 and "choose an empty folder" in done.stderr.replace("\n", " ")
    assert [p.name for p in tmp_path.iterdir() if p.name != ".lock"] == ["thesis.tex"]


def test_the_command_of_a_run_makes_the_same_run() -> None:
    config = parse({"domain": "chip", "preset": "full", "seeds": 5, "budget": 3})
    assert command_of(config) == "rewardtree run chip --preset full --seeds 5 --set budget=3"


def test_the_command_of_a_run_names_what_is_inside_by_dots() -> None:
    options = {"env": "ALE/Pong-v5", "ppo": {"learning_rate": 3e-4, "policy_kwargs": {"net_arch": [32, 32]}}}
    command = command_of(parse({"domain": "control", "options": options}))
    assert "--set options.env=ALE/Pong-v5 --set options.ppo.learning_rate=0.0003" in command
    words = shlex.split(command)
    assert pairs([word for mark, word in pairwise(words) if mark == "--set"]) == {"options": options}


def test_unknown_domains_are_named() -> None:
    with pytest.raises(ConfigError, match="there is no domain"):
        find_domain("nothing")


def test_broken_run_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(RunError, match=r"config\.json"):
        read_json(tmp_path / "config.json")


def test_a_runs_key_is_its_owners_only(tmp_path: Path) -> None:
    (tmp_path / ".key.partial").touch(0o666)  # left by a run that was killed
    before = os.umask(0)
    try:
        with claimed(tmp_path, {}, "run", lambda kept: True, "another") as key:
            assert (tmp_path / ".key").read_text() == key
    finally:
        os.umask(before)
    assert (tmp_path / ".key").stat().st_mode & 0o777 == 0o600


def test_a_databases_password_is_shown_nowhere(tmp_path: Path) -> None:
    config = RunConfig(store="postgresql://ada:hunter2@db.example/labels")
    assert "hunter2" not in command_of(config) and "ada:***@db.example/labels" in command_of(config)
    assert "hunter2" not in json.dumps(config.to_show())
    with claimed(tmp_path / "run", config.model_dump(mode="json"), "run", lambda known: True, ""):
        kept = tmp_path / "run" / "config.json"
        assert "hunter2" in kept.read_text() and stat.S_IMODE(kept.stat().st_mode) == 0o600  # to go on with
