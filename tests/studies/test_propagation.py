"""`rewardtree propagation`: configuration, shared jobs, going on, results from known curves, the page."""

import json
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from rewardtree.diagnostics.error_propagation import Propagation
from rewardtree.errors import ConfigError, RunError
from rewardtree.studies import propagation_results
from rewardtree.studies.propagation import run_propagation
from rewardtree.studies.propagation_config import parse_propagation
from rewardtree.studies.propagation_model import jackknife, says
from rewardtree.studies.propagation_report import render
from rewardtree.studies.propagation_verdict import verdict

Json = dict[str, Any]
SMALL: Json = {
    "depth": 2,
    "seeds": 1,
    "labels": [24],
    "rates": [0, 0.2],
    "executor": "serial",
    "settings": {
        "options": {"size": 7, "layers": 1, "width": 16}, "updates": 2, "helper_updates": 2, "helper_iterations": 1,
        "root_iterations": 1, "test_pairs": 40, "test_inputs": 30,
    },
}  # fmt: skip


def quiet(key: str, done: int, jobs: int) -> None:
    pass


def figures(results: Json) -> Json:
    return json.loads(json.dumps({k: v for k, v in results.items() if k not in ("seconds", "command", "config")}))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"rate": [0, 0.1]}, "did you mean 'rates'"),
        ({"rates": [0.1]}, "rates hold 0"),
        ({"rates": [0, 1.0]}, "rates hold 0"),
        ({"rates": [0, 0.1, 0.1]}, "rates holds something twice"),
        ({"faults": ["random", "random"]}, "faults holds something twice"),
        ({"faults": ["rare"]}, "faults"),
        ({"schemes": ["flat_unaided"]}, "schemes"),
        ({"labels": [10, 20]}, "labels"),
        ({"node": "level_7"}, "there is no node 'level_7'; choose among level_0, level_1, level_2"),
        ({"node": "level_1"}, "'level_1' needs two levels or more above it"),
        ({"domain": "chip", "task": None, "depth": None, "settings": {}}, "there is no node 'level_0'"),
    ],
)
def test_what_is_wrong_with_a_configuration_is_said(given: Json, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        parse_propagation(SMALL | given)


def test_the_example_is_a_configuration() -> None:
    given = yaml.safe_load((Path(__file__).parents[2] / "examples" / "error_propagation.yaml").read_text())
    config = parse_propagation(given)
    assert config.seeds == 5 and config.rates[0] == 0


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Json, list[str]]:
    """Nothing is learnt in two updates; here that is no reason to leave levels out."""
    out, keys = tmp_path_factory.mktemp("propagation") / "a", list[str]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(propagation_results, "LOST", 2.0)
        results = run_propagation(parse_propagation(SMALL), out, lambda key, done, jobs: keys.append(key))
    return out, results, keys


def test_levels_that_a_fault_does_not_reach_are_trained_once(followed: tuple[Path, Json, list[str]]) -> None:
    names = [key.rpartition("/")[2] for key in followed[2]]
    assert len(names) == len(set(names))
    assert [name for name in names if "level_0" in name] == ["node-level_0"]
    assert {n for n in names if "level_2" in n} == {
        "node-level_2", "node-level_2-random-0.2", "node-level_2-systematic-0.2"
    }  # fmt: skip
    assert names.count("errors-clean") == 1


def test_shares_add_up_to_the_error_of_every_level(followed: tuple[Path, Json, list[str]]) -> None:
    out, results, _ = followed
    assert json.loads((out / "results.json").read_text()) == json.loads(json.dumps(results))
    cases = (("none", 0.0), ("random", 0.2), ("systematic", 0.2))
    found = [(row["fault"], row["rate"], row["depth"]) for row in results["curves"]]
    assert found == [(fault, rate, depth) for fault, rate in cases for depth in range(3)]
    for curve, row in zip(results["curves"], results["enters"], strict=True):
        assert sum(e["mean"] for e in row["adds"].values()) == pytest.approx(row["error"]["mean"], abs=1e-9)
        assert curve["error"] == row["error"] and 0 <= row["reading_noise"]["mean"] <= 0.5
        assert ("fault" in row["adds"]) == (row["depth"] == 0 and row["rate"] > 0)
        assert curve["null"] == pytest.approx(1 - (1 - row["rate"]) ** (2 ** row["depth"]))
        assert curve["different"] == 2 ** row["depth"] and curve["null_different"] == curve["null"]
    assert "<svg" in (out / "report.html").read_text()


def test_the_same_figures_from_what_is_kept(followed: tuple[Path, Json, list[str]], tmp_path: Path) -> None:
    out, results, _ = followed
    kept = tmp_path / "kept"
    shutil.copytree(out, kept)
    lost = [p for p in kept.rglob("result.json") if "systematic" in str(p) or "errors-clean" in str(p)]
    assert len(lost) == 4
    for path in lost:
        path.unlink()
    shutil.rmtree(next(kept.rglob("node-level_2-systematic-0.2")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(propagation_results, "LOST", 2.0)
        assert figures(run_propagation(parse_propagation(SMALL), kept, quiet)) == figures(results)
    with pytest.raises(RunError, match="holds another study"):
        run_propagation(parse_propagation(SMALL | {"rates": [0, 0.3]}), out, quiet)


def test_what_an_earlier_version_measured_is_refused(followed: tuple[Path, Json, list[str]], tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    shutil.copytree(followed[0], kept)
    for path in kept.rglob("errors-*/result.json"):
        found = json.loads(path.read_text())
        for level in found["facts"].values():
            del level["different"]
        path.write_text(json.dumps(found))
    with pytest.raises(RunError, match=r"by an earlier version; delete all folders errors-\* in it"):
        run_propagation(parse_propagation(SMALL), kept, quiet)


DIFFERENT = [1.0, 2.0, 4.0, 8.0, 11.0]
"""Questions that 1, 2, 4, 8 and 16 steps on a cycle of 11 put."""


def estimate(mean: float) -> Json:
    return {"mean": mean, "error": 0.01, "n": 500}


def facts_of(models: dict[str, Propagation], seeds: int = 3, rates: tuple[float, ...] = (0.0, 0.04, 0.1)) -> list[Json]:
    """What would be measured if errors followed these models, but for a little chance in each seed."""
    rng, facts = np.random.default_rng(0), []
    for seed in range(seeds):
        for kind, model in models.items():
            for rate in rates if kind == next(iter(models)) else rates[1:]:
                line = np.clip(model.predict(rate, [11] * 5, DIFFERENT) + 0.003 * rng.standard_normal(5), 0, 1)
                levels = {
                    f"level_{depth}": {
                        "depth": depth, "names": 11, "calls": 2**depth, "different": DIFFERENT[depth],
                        "error": estimate(error), "recursion": estimate(1 - (1 - rate) ** 2**depth),
                        "reading_noise": estimate(0.02),
                        "enters": {"helper": estimate(error), "optimisation": estimate(0.0)},
                        "changed": {"helper": estimate(error), "optimisation": estimate(0.0)},
                    }
                    for depth, error in enumerate(line.tolist())
                }  # fmt: skip
                facts.append({"seed": seed, "fault": kind if rate else "none", "rate": rate, "levels": levels})
    return facts


def results_of(facts: list[Json], task: str = "powering") -> Json:
    return propagation_results.propagation_results(
        facts, task=task, node="level_0", useful=0.1, config={}, command="rewardtree propagation CONFIG", seconds=1.0
    )


BOTH = {"random": Propagation(floor=0.0, share=0.0), "systematic": Propagation(floor=0.0, share=1.0)}


def test_known_curves_give_the_model_that_they_were_made_with() -> None:
    results = results_of(facts_of(BOTH))
    random, systematic = (results["model"][kind] for kind in ("random", "systematic"))
    assert (random["says"], systematic["says"]) == ("absorbed", "compounded")
    assert systematic["share"]["low"] < 1 < systematic["share"]["high"] < 1.1
    assert random["share"]["high"] < 0.1 and random["growth"] == systematic["growth"] == pytest.approx(11**0.25)
    assert systematic["fitted"] == [0, 1, 2, 3] and systematic["tested"] == 4
    for model in (random, systematic):
        assert [test["rate"] for test in model["tests"]] == [0.0, 0.04, 0.1]
        for test in model["tests"]:
            assert test["predicted"]["mean"] == pytest.approx(test["measured"]["mean"], abs=0.02) and test["held"]
            assert test["naive"]["mean"] == pytest.approx(1 - (1 - test["rate"]) ** 16, abs=0.05)
            assert test["naive_different"]["mean"] == pytest.approx(1 - (1 - test["rate"]) ** 11, abs=0.05)
    assert [row["endless"] for row in random["useful"]] == [True] * 3
    assert systematic["useful"][1] == {"rate": 0.04, "predicted": 1, "endless": False, "measured": 1, "recursion": 1}
    told = verdict(results)
    assert "Random faults are absorbed: of compounding over different answers, a share of 0.0" in told
    assert "systematic faults compound in full: of compounding over different answers, a share of 0.99" in told


def test_growth_is_known_where_no_seed_learnt_the_last_level() -> None:
    facts = facts_of(BOTH)
    for fact in facts:
        fact["levels"]["level_4"]["enters"]["optimisation"] = estimate(0.6)
    results = results_of(facts)
    model = results["model"]["systematic"]
    assert model["tests"] == [] and model["says"] == "compounded" and model["growth"] == pytest.approx(11**0.25)
    assert {row["predicted"] for row in model["useful"] if row["rate"]} == {0, 1}
    assert "compound in full" in render(results)


def test_depth_four_takes_no_part_in_the_fit() -> None:
    facts = facts_of(BOTH)
    before = results_of(facts)["model"]["systematic"]
    for fact in facts:
        fact["levels"]["level_4"]["error"] = estimate(0.5)
    after = results_of(facts)["model"]["systematic"]
    assert after["share"] == before["share"] and after["floor"] == before["floor"]
    assert after["tests"][0]["held"] is False, "it was nearly always right at rate 0"


def test_what_was_not_learnt_counts_in_no_figure_and_is_named() -> None:
    facts = facts_of(BOTH)
    bad = next(fact for fact in facts if fact["fault"] == "systematic" and fact["seed"] == 1 and fact["rate"] == 0.1)
    bad["levels"]["level_3"]["enters"]["optimisation"] = estimate(0.6)
    results = results_of(facts)
    assert [(row["seed"], row["rate"], row["depth"]) for row in results["unlearnt"]] == [(1, 0.1, 3)]
    runs = {r["depth"]: r["runs"] for r in results["curves"] if (r["fault"], r["rate"]) == ("systematic", 0.1)}
    assert runs == {0: 3, 1: 3, 2: 3, 3: 2, 4: 2}
    assert "count in no figure" in render(results) and "2 of 3 seeds" in render(results)


def test_one_seed_settles_nothing() -> None:
    results = results_of(facts_of(BOTH, seeds=1))
    assert {model["says"] for model in results["model"].values()} == {"unsettled"}
    assert "not settled" in verdict(results) and "one seed" in render(results)


@pytest.mark.parametrize(
    ("low", "high", "growth", "what"),
    [
        (0.0, 0.4, 2.0, "absorbed"), (0.9, 1.1, 2.0, "compounded"), (0.6, 0.95, 2.0, "less"), (0.3, 0.9, 2.0, "less"),
        (1.1, 1.5, 2.0, "more"), (0.4, 1.2, 2.0, "unsettled"), (1.0, 1.0, 1.0, "compounded"),
        (0.9, 1.1, 1.0, "unsettled"), (0.6, 0.9, 1.0, "absorbed"), (None, None, 2.0, "unsettled"),
    ],
)  # fmt: skip
def test_a_share_says_what_its_interval_allows(low: float | None, high: float | None, growth: float, what: str) -> None:
    assert says({"mean": 0.5, "low": low, "high": high}, growth) == what


def test_the_jackknife_of_a_mean_is_students_interval() -> None:
    values = {0: 0.3, 1: 0.5, 2: 0.1}
    found = jackknife([0, 1, 2], lambda some: float(np.mean([values[s] for s in some])))
    half = 4.302652729911275 * np.std(list(values.values()), ddof=1) / 3**0.5
    assert found["mean"] == pytest.approx(0.3)
    assert (found["low"], found["high"]) == (pytest.approx(0.3 - half), pytest.approx(0.3 + half))


class Page(HTMLParser):
    """Checks that every tag is closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in ("meta", "col", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_runs_nothing() -> None:
    html = render(results_of(facts_of(BOTH), task="<script>alert('x')</script>"))
    page = Page(html)
    assert "script" not in page.tags and page.tags.count("svg") > 10
    assert "http" not in html.replace("http-equiv", "")
    with pytest.raises(RunError, match="this page is for kind 'error_propagation'"):
        render({"kind": "study", "schema": 1})
    with pytest.raises(RunError, match="schema 1, and this page is for kind 'error_propagation', schema 2"):
        render({"kind": "error_propagation", "schema": 1})
