"""Studies: configuration, jobs, figures that do not depend on where or how often they ran, plug-in protocols."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from rewardtree.errors import ConfigError, RunError
from rewardtree.studies.config import read_config
from rewardtree.studies.study import LADDER, RESULTS, RUNS, run_sandwich, run_study
from rewardtree.studies.study_config import parse_study
from rewardtree.studies.tables import read_ladder, read_parquet
from rewardtree.studies.wording import mean_of

pytest.importorskip("rliable", reason="pip install 'rewardtree[study]'")

SMALL: dict[str, Any] = {
    "task": "powering",
    "depth": 1,
    "seeds": 2,
    "labels": [24],
    "executor": "serial",
    "settings": {
        "options": {"size": 7, "layers": 1, "width": 16}, "updates": 2, "helper_updates": 2, "helper_iterations": 1,
        "root_iterations": 1, "test_pairs": 40, "test_inputs": 16,
    },
}  # fmt: skip


def quiet(key: str, done: int, jobs: int) -> None:
    pass


def figures(results: dict[str, Any]) -> dict[str, Any]:
    """Without what differs from run to run: times."""

    def timeless(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: timeless(v) for k, v in value.items() if k not in ("seconds", "command", "config")}
        return [timeless(v) for v in value] if isinstance(value, list) else value

    found: dict[str, Any] = timeless(results)
    return found


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"label": [3]}, "did you mean 'labels'"),
        ({"schemes": ["flat_unaidid"]}, "there is no protocol 'flat_unaidid'; installed are amplification"),
        ({"labels": [5, 5]}, "labels holds something twice"),
        ({"settings": {"seeds": 3}}, "settings cannot hold seeds"),
        ({"settings": {"evaluator": "human"}}, "asks simulated evaluators alone, not 'human'; leave evaluator out of"),
        ({"settings": {"budgit": 3}}, "unknown key 'budgit'; did you mean 'budget'"),
        ({"ladder": {"powering": 0}}, "need a depth of 1 or more"),
        ({"domain": "chess"}, "there is no domain 'chess'"),
        ({"seeds": 0, "workers": -1}, "seeds = 0.*workers = -1"),
    ],
)
def test_what_is_wrong_with_a_configuration_is_said(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        parse_study(given)


def test_an_unknown_task_is_named_before_anything_is_trained(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no task 'sorting'; choose among powering"):
        run_study(parse_study(SMALL | {"task": "sorting"}), tmp_path / "s", quiet)


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("study") / "a"
    config = parse_study(SMALL | {"ladder": {"powering": 1}})
    return out, run_study(config, out, quiet)


def test_a_study_writes_figures_tables_and_a_report(studied: tuple[Path, dict[str, Any]]) -> None:
    out, results = studied
    assert json.loads((out / RESULTS).read_text()) == json.loads(json.dumps(results))
    rows = read_parquet(out / RUNS)
    assert {(row["scheme"], row["seed"], row["budget"]) for row in rows} == {
        (scheme, seed, 24) for scheme in ("recursive_reward_modeling", "flat_unaided", "flat_expert") for seed in (0, 1)
    }
    assert all(0 <= row["true_reward"] <= 1 and row["failed"] is None for row in rows)
    assert {row["labels"] for row in rows} == {48}, "schemes are compared at equal labels, those of helpers too"
    assert "<svg" in (out / "report.html").read_text()
    ladder = read_ladder(out / LADDER)
    assert [(row["depth"], row["seed"]) for row in ladder] == [(0, 0), (1, 0), (0, 1), (1, 1)]
    assert {row["task"] for row in results["ladder"]} == {"powering"}
    for row in results["ladder"]:
        names = {"task", "depth", "unaided_optimum", "unaided", "assisted", "root_accuracy", "expert_root_accuracy"}
        assert names | {"seconds"} <= set(row)
        outputs_alone = [mean_of(row[name]) for name in ("root_accuracy_output", "expert_root_accuracy_output")]
        assert all((mean is None) == (row["depth"] == 0) for mean in outputs_alone), "a leaf's model sees no claims"


def test_the_command_in_the_results_makes_them_again(studied: tuple[Path, dict[str, Any]]) -> None:
    words = shlex.split(studied[1]["command"])
    assert words[:2] == ["rewardtree", "study"] and Path(words[-1]) == studied[0]
    again = parse_study(read_config(Path(words[2])))
    assert again == parse_study(SMALL | {"ladder": {"powering": 1}})


@pytest.mark.slow
def test_whatever_the_root_an_output_alone_costs_what_the_tree_costs(tmp_path: Path) -> None:
    """A rung in the middle of a ladder too: the expert's labels there are those of the tree under it."""
    run_study(parse_study(SMALL | {"ladder": {"powering": 2}, "seeds": 1, "schemes": []}), tmp_path / "s", quiet)
    for level in (1, 2):
        for scheme in ("flat_expert_output", "recursive_reward_modeling_output"):
            (kept,) = tmp_path.rglob(f"{scheme}-level_{level}/result.json")
            assert json.loads(kept.read_text())["facts"]["labels"] == 24 * (level + 1), (scheme, level)


def test_the_same_figures_from_processes_and_again_from_what_is_kept(
    studied: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    out, results = studied
    config = parse_study(SMALL | {"ladder": {"powering": 1}, "executor": "processes", "workers": 2})
    assert figures(run_study(config, tmp_path / "b", quiet)) == figures(results)
    kept = tmp_path / "kept"
    shutil.copytree(out, kept)
    lost = [path for path in kept.rglob("result.json") if "level_1" in str(path) or "flat_unaided" in str(path)]
    assert len(lost) > 3
    for path in lost:
        path.unlink()
    assert figures(run_study(config, kept, quiet)) == figures(results)


def test_a_folder_of_another_study_is_refused(studied: tuple[Path, dict[str, Any]]) -> None:
    with pytest.raises(RunError, match="holds another study"):
        run_study(parse_study(SMALL | {"seeds": 3}), studied[0], quiet)


def test_a_scheme_that_cannot_train_here_is_shown_as_failed(tmp_path: Path) -> None:
    """A root that sees no claims has no variant with claims."""
    config = parse_study(SMALL | {"depth": 0, "seeds": 1, "schemes": ["flat_expert", "flat_expert_output"]})
    run_study(config, tmp_path / "s", quiet)
    failed = {row["scheme"]: row["failed"] for row in read_parquet(tmp_path / "s" / RUNS)}
    assert failed == {"flat_expert": "the root's reward model sees no claims anyway", "flat_expert_output": None}


def test_jobs_that_share_a_database_do_not_count_each_other_s_labels(tmp_path: Path) -> None:
    one = {"schemes": ["recursive_reward_modeling"], "seeds": 1, "labels": [24, 48]}
    shared = {"store": f"sqlite:///{tmp_path / 'all.db'}"}
    run_study(parse_study(SMALL | one | {"settings": SMALL["settings"] | shared}), tmp_path / "s", quiet)
    assert {row["budget"]: row["labels"] for row in read_parquet(tmp_path / "s" / RUNS)} == {24: 48, 48: 96}


def test_a_sandwich_compares_three_evaluators_on_the_same_pairs(tmp_path: Path) -> None:
    results = run_sandwich(parse_study(SMALL), tmp_path / "s", quiet)
    assert set(results["conditions"]) == {"unaided", "assisted", "expert"}
    assert results["conditions"]["expert"]["accuracy"]["mean"] > 0.95
    assert results["conditions"]["expert"]["readings"]["mean"] > results["conditions"]["unaided"]["readings"]["mean"]
    assert results["true_reward"]["assisted"]["n"] == 2
    assert (tmp_path / "s" / "report.html").is_file()


PLUGIN = '''
from dataclasses import replace
from rewardtree.protocols import recursive_reward_modeling
from rewardtree.protocols.scheme import Scheme

def run(setting):
    """Recursive reward modelling by another name, to show that a scheme may use the package's own."""
    return replace(recursive_reward_modeling.run(setting), title="By another name")

SCHEME = Scheme(name="by_another_name", title="By another name", paper="none", run=run)
'''


def wheel(folder: Path) -> Path:
    """A package with a protocol in it, as anybody would publish it."""
    info = "rewardtree_plugin-1.0.dist-info"
    files = {
        "rewardtree_plugin.py": PLUGIN,
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: rewardtree-plugin\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "[rewardtree.protocols]\nby_another_name = rewardtree_plugin:SCHEME\n",
    }
    record = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    path = folder / "rewardtree_plugin-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in (files | {f"{info}/RECORD": record}).items():
            archive.writestr(name, text)
    return path


def test_a_protocol_of_another_package_is_installed_and_run(tmp_path: Path) -> None:
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", str(site)]
    subprocess.run([*pip, "--disable-pip-version-check", str(wheel(tmp_path))], check=True)
    config = SMALL | {"seeds": 1, "schemes": ["recursive_reward_modeling", "by_another_name"]}
    (tmp_path / "study.yaml").write_text(json.dumps(config))
    path = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "rewardtree", "study", str(tmp_path / "study.yaml"), "--out", str(tmp_path / "s")]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    ours, theirs = read_parquet(tmp_path / "s" / RUNS)
    assert theirs["title"] == "By another name"
    assert theirs["true_reward"] == ours["true_reward"]
