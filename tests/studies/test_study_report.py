import copy
import json
import math
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from rewardtree.errors import RunError
from rewardtree.studies.study_charts import axis_of, spread
from rewardtree.studies.study_report import render, sandwich_results, study_results, write_study_report
from rewardtree.studies.study_verdict import more, unit, verdict

Json = dict[str, Any]
OURS = "recursive_reward_modeling"
HOSTILE = "<script>alert('x')</script>\" onload=\"x & <b>"
TITLES = {OURS: "Recursive reward modelling", "debate": "Debate", "flat_expert": "Flat, expert"}
LEVELS = {OURS: 0.9, "debate": 0.7, "flat_expert": 0.95}
VOID = {"meta", "col", "br"}


class Page(HTMLParser):
    """Checks that every tag is closed in order; keeps tags, attributes and texts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data.strip())

    @property
    def text(self) -> str:
        return " ".join(text for text in self.texts if text).replace("\N{NO-BREAK SPACE}", " ")


def fact(scheme: str, budget: int, seed: int, reward: float | None = None, **more: Any) -> Json:
    shown = LEVELS.get(scheme, 0.5) + budget / 1e5 + 0.004 * seed if reward is None else reward
    return {
        "scheme": scheme,
        "title": TITLES.get(scheme, scheme),
        "task": "permutation",
        "seed": seed,
        "budget": budget,
        "labels": budget,
        "readings": 2 * budget + seed,
        "demonstrations": 30 if scheme == "debate" else 0,
        "verdicts": 0,
        "seconds": 10.0 + seed,
        "true_reward": shown,
        "true_reward_error": 0.004,
        "evaluator_accuracy": {"level_0": {"unaided": 0.97}, "level_10": {"unaided": 0.6, "assisted": 0.9}}
        if scheme == OURS
        else {},
        "reward_model_sees": "output",
        "evaluator": {"flat_expert": "expert", "debate": "judge"}.get(scheme, "assisted"),
        "depth": 3,
        "failed": None,
    } | more


def facts(seeds: int = 3) -> list[Json]:
    return [fact(name, budget, seed) for name in TITLES for budget in (500, 4000) for seed in range(seeds)]


def ladder() -> list[Json]:
    return [
        {
            "task": "permutation",
            "depth": depth,
            "seed": seed,
            "unaided_optimum": 1 - 0.2 * depth,
            "unaided": 0.95 - 0.2 * depth,
            "assisted": 0.95 - 0.01 * seed,
            "root_accuracy": None if depth == 2 else 0.9 + 0.01 * seed,
            "expert_root_accuracy": 0.97,
            "seconds": 12.0,
            "labels": 400,
            "why": f"helpers were {HOSTILE}" if depth == 2 else None,
        }
        for depth in (1, 2)
        for seed in range(2)
    ]


def study(found: list[Json] | None = None, rungs: list[Json] | None = None) -> Json:
    made = study_results(
        facts() if found is None else found,
        ladder() if rungs is None else rungs,
        config={"task": {"elements": 8}, "store": None},
        command="rewardtree study permutation",
        seconds=4210.0,
        resamples=60,
    )
    return json.loads(json.dumps(made, allow_nan=False))


@pytest.fixture(scope="module")
def whole() -> Json:
    return study()


def sandwich(seeds: int = 3, **more: Any) -> Json:
    rows = [
        {
            "task": "permutation",
            "condition": condition,
            "seed": seed,
            "accuracy": {"mean": accuracy + 0.01 * seed * seed, "error": 0.01, "n": 400},
            "readings": readings,
            "seconds": 3.0 + seed,
            "true_reward": accuracy - 0.05,
        }
        | more
        for condition, accuracy, readings in (("unaided", 0.6, 2), ("assisted", 0.8, 2), ("expert", 0.85, 16))
        for seed in range(seeds)
    ]
    return json.loads(
        json.dumps(sandwich_results(rows, config={"a": 1}, command="rewardtree sandwich", seconds=4.0), allow_nan=False)
    )


def made_up(rewards: dict[str, tuple[float, float | None]], seeds: int = 5, unit_: str = "share") -> Json:
    """Results with given means and half intervals at one budget."""

    def estimate(mean: float, half: float | None) -> Json:
        low, high = (None, None) if half is None else (mean - half, mean + half)
        return {"mean": mean, "low": low, "high": high, "n": seeds, "unit": "seeds"}

    ours = rewards.get(OURS)
    return {
        "schema": 1,
        "kind": "study",
        "task": "permutation",
        "unit": unit_,
        "seeds": list(range(seeds)),
        "budgets": [4000],
        "schemes": {
            name: {
                "title": TITLES.get(name, name),
                "evaluator": "assisted",
                "yardstick": name == "flat_expert",
                "by_budget": {"4000": {"true_reward": estimate(*reward), "asked": seeds}},
            }
            for name, reward in rewards.items()
        },
        "difference": {}
        if ours is None
        else {
            "4000": {
                name: estimate(ours[0] - reward[0], None if reward[1] is None or ours[1] is None else 0.05)
                for name, reward in rewards.items()
                if name != OURS
            }
        },
        "improvement": {},
    }


def said(results: Json) -> str:
    return " ".join([verdict(results), *more(results)]).replace("\N{NO-BREAK SPACE}", " ")


def test_results_hold_estimates_of_every_scheme_and_budget(whole: Json) -> None:
    point = whole["schemes"][OURS]["by_budget"]["4000"]
    assert point["true_reward"]["mean"] == pytest.approx(stats.trim_mean([0.94, 0.944, 0.948], 0.25))
    assert point["true_reward"]["n"] == 3 and point["asked"] == 3
    low, high = stats.t.interval(0.95, 2, loc=8001, scale=stats.sem([8000, 8001, 8002]))
    assert (point["readings"]["low"], point["readings"]["high"]) == pytest.approx((low, high))
    assert whole["improvement"]["500"] == {
        "debate": {"mean": 1.0, "low": 1.0, "high": 1.0, "n": 3, "unit": "seeds"},
        "flat_expert": {"mean": 0.0, "low": 0.0, "high": 0.0, "n": 3, "unit": "seeds"},
    }
    assert whole["difference"]["4000"]["debate"]["mean"] == pytest.approx(0.2)
    assert whole["evaluators"][OURS]["4000"]["level_10"]["assisted"]["mean"] == pytest.approx(0.9)
    assert {name for name, scheme in whole["schemes"].items() if scheme["yardstick"]} == {"flat_expert"}
    assert (whole["seeds"], whole["budgets"], whole["unit"]) == ([0, 1, 2], [500, 4000], "share")


def test_a_ladder_has_estimates_over_seeds_and_its_reasons(whole: Json) -> None:
    first, second = whole["ladder"]
    assert first["root_accuracy"]["mean"] == pytest.approx(0.905) and first["unaided_optimum"] == 0.8
    assert first["root_accuracy"]["high"] <= 1.0
    assert second["root_accuracy"]["mean"] is None and second["why"] == [f"helpers were {HOSTILE}"]


def test_failed_runs_are_told_and_take_no_part() -> None:
    runs = facts()
    runs[3] |= {"failed": "the loss became nan; lower the learning rate", "true_reward": 0.01}
    runs[4] |= {"true_reward": math.nan}
    runs += [fact("broken", 4000, seed, failed=f"no labels in seed {seed}") for seed in range(3)]
    results = study(runs)
    ours = results["schemes"][OURS]["by_budget"]["4000"]
    assert (ours["true_reward"]["n"], ours["asked"]) == (1, 3)
    assert ours["true_reward"]["mean"] == pytest.approx(0.948) and ours["true_reward"]["low"] is None
    assert [run["why"] for run in results["failed"]] == [
        "the loss became nan; lower the learning rate",
        "no true reward was measured",
        "no labels in seed 0",
        "no labels in seed 1",
        "no labels in seed 2",
    ]
    text = Page(render(results)).text
    assert "5 runs failed and count in no figure" in text and "1 of 3 seeds" in text
    assert all(run["why"] in text for run in results["failed"])
    assert not re.search(r"\bnan\b(?!; lower)|None|\binf\b", text)


def test_a_study_of_which_nothing_finished_says_so() -> None:
    results = study([fact(OURS, 500, seed, failed="it broke") for seed in range(2)], [])
    assert verdict(results) == "No run of this study finished."
    assert "it broke" in Page(render(results)).text


def test_the_best_is_named_with_its_lead() -> None:
    assert said(made_up({OURS: (0.97, 0.01), "debate": (0.9, 0.02), "flat_expert": (0.99, 0.001)})) == (
        "With 4,000 labels, recursive reward modelling does best: 97.0 % (96.0 to 98.0 %), 7.0 points (2.0 to 12.0) "
        "more than debate, the next best, with 90.0 % (88.0 to 92.0 %); no other scheme's interval overlaps with the "
        "best's. For comparison, with what the schemes do not have: flat, expert reaches 99.0 % (98.9 to 99.1 %)."
    )


@pytest.mark.parametrize(
    ("rewards", "heard"),
    [
        (
            {OURS: (0.9, 0.03), "debate": (0.88, 0.02)},
            "their intervals overlap, so which of these two is better is not",
        ),
        ({OURS: (0.8, 0.03), "debate": (0.9, 0.02)}, "do not overlap: here recursive reward modelling is beaten"),
        (
            {OURS: (0.8, 0.03), "debate": (0.9, 0.02)},
            "debate does best: 90.0 % (88.0 to 92.0 %), 10.0 points (5.0 to 15.0)",
        ),
        ({OURS: (0.8, 0.03), "debate": (0.9, 0.02)}, "Ahead of recursive reward modelling, with intervals that do not"),
        (
            {OURS: (0.88, 0.03), "debate": (0.9, 0.02)},
            "their intervals overlap, so which of these two is better is not",
        ),
        (
            {OURS: (0.8, 0.01), "debate": (0.9, 0.02), "x": (0.89, 0.02)},
            "the best's interval overlaps with that of x, too",
        ),
        ({OURS: (1.0, 0.0), "debate": (1.0, 0.0)}, "recursive reward modelling and debate do equally well, and best"),
        ({OURS: (0.8, 0.0), "debate": (1.0, 0.0), "x": (1.0, 0.0)}, "recursive reward modelling (80 %) is behind"),
        ({OURS: (0.9, 0.03)}, "reaches 90.0 % (87.0 to 93.0 %); no other scheme finished"),
        (
            {"debate": (0.9, 0.02), "x": (0.8, 0.02)},
            "debate does best: 90.0 % (88.0 to 92.0 %), 10.0 points more than x",
        ),
    ],
)
def test_the_verdict_claims_no_more_than_is_known(rewards: Json, heard: str) -> None:
    assert heard in said(made_up(rewards))


def test_one_seed_is_not_taken_for_several() -> None:
    results = made_up({OURS: (0.97, None), "debate": (0.9, None)}, seeds=1)
    assert said(results).endswith(
        "7.0 points more than debate, the next best, with 90 %; with one seed each, this may be chance."
    )
    assert unit(results) == "One seed was run, so there are no intervals, and every difference may be chance."
    text = Page(render(study(facts(1), []))).text
    assert "every difference may be chance" in text and "How sure the order is" not in text
    assert "Lines are intervals" not in text and "★" not in text


def test_few_seeds_are_warned_of() -> None:
    few = unit(made_up({OURS: (0.97, 0.01)}, seeds=3)).replace("\N{NO-BREAK SPACE}", " ")
    assert "over 3 seeds" in few and "on normal data 76 % of them hold the truth" in few
    assert "too narrow" not in unit(made_up({OURS: (0.97, 0.01)}, seeds=10))


def test_rewards_that_are_no_shares_are_not_shown_as_such() -> None:
    results = study([run | {"true_reward": -10 * run["true_reward"]} for run in facts()], [])
    assert results["unit"] == "plain"
    assert "\N{MINUS SIGN}7" in verdict(results) and "%" not in verdict(results)
    assert "points" not in verdict(results)


def test_it_is_one_page_that_needs_nothing_from_elsewhere(whole: Json, tmp_path: Path) -> None:
    write_study_report(whole, tmp_path / "study.html")
    html = (tmp_path / "study.html").read_text(encoding="utf-8")
    page = Page(html)
    assert not {tag for tag, _ in page.tags} & {"script", "link", "img", "iframe", "object", "form", "base"}
    for tag, attributes in page.tags:
        for name, value in attributes.items():
            assert not name.startswith("on") and (name not in ("href", "src") or value.startswith("#")), (tag, name)
    assert re.findall(r"https?://(?!www\.w3\.org/)", html) == [] and "@import" not in html and "url(" not in html
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    links = [attributes["href"][1:] for tag, attributes in page.tags if tag == "a"]
    assert len(ids) == len(set(ids)) and set(links) <= set(ids)
    assert all("scope" in attributes for tag, attributes in page.tags if tag == "th")
    for chart in re.findall(r'<svg [^>]*role="img"[^>]*>.*?</svg>', html):
        assert re.match(r"<svg [^>]*><title>[^<]+</title>", chart), chart[:200]


def headings(html: str) -> list[str]:
    return re.findall(r"<h2[^>]*>(.*?)</h2>", html)


def test_sections_stand_in_order_and_those_without_data_are_left_out(whole: Json) -> None:
    assert headings(render(whole)) == [
        "Who does best",
        "What more labels bring",
        "Every scheme at every number of labels",
        "How sure the order is",
        "The depth ladder",
        "How often the evaluator is right",
        "What a run cost",
        "Configuration and versions",
    ]
    bare = study([run | {"evaluator_accuracy": {}, "readings": 0} for run in facts() if run["budget"] == 500], [])
    assert headings(render(bare)) == [
        "Who does best",
        "Every scheme at every number of labels",
        "How sure the order is",
        "What a run cost",
        "Configuration and versions",
    ]
    assert headings(render(study([], ladder()))) == ["The depth ladder", "Configuration and versions"]
    for key in (
        "improvement",
        "difference",
        "evaluators",
        "ladder",
        "failed",
        "config",
        "command",
        "seconds",
        "version",
    ):
        Page(render({name: value for name, value in whole.items() if name != key}))


def test_figures_are_on_the_page(whole: Json) -> None:
    text = Page(render(whole)).text
    for shown in ("94.4 %", "4,000 labels", "8,001", "30", "Level 10", "80.0 %", "elements", "1 h 10 min", "★", "11 s"):
        assert shown in text, shown
    assert text.index("Level 0") < text.index("Level 10")
    assert "Verdicts" not in text and "Demonstrations" in text  # what nobody spent has no column


def test_the_star_is_given_only_where_intervals_are_apart() -> None:
    clear = render(made_up({OURS: (0.97, 0.01), "debate": (0.9, 0.02), "flat_expert": (0.99, 0.001)}))
    assert clear.count('aria-label="clearly best"') == 1
    assert 'aria-label="clearly best"' not in render(made_up({OURS: (0.97, 0.06), "debate": (0.9, 0.02)}))


def test_a_chart_names_every_line_at_its_end() -> None:
    names = [f"Scheme {i}, variant with a long title" for i in range(9)]
    runs = [fact(name, budget, 0) for name in names for budget in (500, 1000, 4000)]
    html = render(study(runs, []))
    ends = re.findall(r'<svg class="ends full".*?</svg>', html, re.DOTALL)[0]
    written = re.findall(r'<text x="26" y="([\d.]+)"[^>]*>([^<]+)<', ends)
    assert len(written) == 9
    places = sorted(float(y) for y, _ in written)
    assert all(below - above >= 16.9 for above, below in pairwise(places))
    for name in names:
        assert name in html


def test_names_are_spread_as_little_as_needed() -> None:
    assert spread([50.0, 10.0, 52.0], 16.0, 0.0, 100.0) == pytest.approx([43.0, 10.0, 59.0])
    assert spread([99.0, 99.0], 16.0, 0.0, 100.0) == pytest.approx([84.0, 100.0])
    assert spread([0.0, 1.0, 2.0], 16.0, 0.0, 20.0) == pytest.approx([0.0, 16.0, 32.0])
    assert spread([], 16.0, 0.0, 20.0) == []


def test_an_axis_is_logarithmic_where_budgets_span_much() -> None:
    wide = axis_of([250.0, 500.0, 1000.0, 2000.0, 4000.0], [250.0, 500.0, 1000.0, 2000.0, 4000.0])
    places = [wide.at(value) for value in (250.0, 500.0, 1000.0)]
    assert wide.logged and places[1] - places[0] == pytest.approx(places[2] - places[1])
    narrow = axis_of([1000.0, 2000.0, 3000.0], [1000.0, 2000.0, 3000.0])
    assert not narrow.logged and narrow.at(2000.0) == pytest.approx(50.0)
    assert [name for _, name in narrow.names] == ["1,000", "2,000", "3,000"]
    assert not axis_of([0.0, 4000.0]).logged  # no logarithm of nothing


def hostile(value: Any) -> Any:
    """The same, with every text hostile, and names where they are free."""
    if isinstance(value, dict):
        return {key: hostile(item) for key, item in value.items()}
    if isinstance(value, list):
        return [hostile(item) for item in value]
    return value + HOSTILE if isinstance(value, str) else value


def test_hostile_texts_stay_text() -> None:
    runs = [
        run | {"scheme": run["scheme"] if run["scheme"] == OURS else run["scheme"] + HOSTILE, "title": HOSTILE}
        for run in facts()
    ]
    runs = [run | {"task": HOSTILE, "evaluator": HOSTILE, "reward_model_sees": HOSTILE} for run in runs]
    runs[0] |= {"failed": HOSTILE}
    for run in runs:
        run["evaluator_accuracy"] = {HOSTILE: {HOSTILE: 0.7}}
    rungs = [rung | {"task": HOSTILE} for rung in ladder()]
    results = study(runs, rungs)
    results |= {"config": {HOSTILE: {HOSTILE: HOSTILE}}, "command": HOSTILE, "version": HOSTILE}
    hostile_sandwich = hostile(sandwich()) | {"kind": "sandwich", "unit": "share", "config": {HOSTILE: HOSTILE}}
    hostile_sandwich["conditions"][HOSTILE] = hostile_sandwich["conditions"]["assisted"]
    for html in (render(results), render(hostile_sandwich)):
        page = Page(html)
        assert not {tag for tag, _ in page.tags} & {"script", "b"}
        assert all(not name.startswith("on") for _, attributes in page.tags for name in attributes)
        assert HOSTILE in " ".join(page.texts)


def test_a_ladder_alone_has_its_verdict(whole: Json) -> None:
    results = study([], ladder())
    assert said(results) == (
        "Permutation at depth 1: root right on 90.5 % (84.1 to 96.9 %), an unaided evaluator on no more than 80.0 % "
        "(depth 2 was not reached)."
    )
    assert "helpers were" in Page(render(results)).text


def test_a_sandwich_has_its_page() -> None:
    results = sandwich()
    assert results["gap_recovered"]["mean"] == pytest.approx(0.8)
    assert results["true_reward"]["gap_recovered"]["mean"] == pytest.approx(0.8)
    assert results["conditions"]["expert"]["readings"]["mean"] == 16
    assert "which recovers 80.0" in verdict(results)
    html = render(results)
    assert headings(html) == ["Unaided, assisted, expert", "What each condition took", "Configuration and versions"]
    assert "True reward after training" in html and "Measured on the test split." in html
    without = sandwich(true_reward=None)
    assert without["true_reward"] is None and "after training" not in render(without)


def test_a_sandwich_of_one_seed_goes_by_its_items() -> None:
    results = sandwich(1)
    assisted = results["conditions"]["assisted"]["accuracy"]
    assert (assisted["n"], assisted["unit"]) == (400, "items")
    assert assisted["high"] - assisted["low"] == pytest.approx(2 * 1.96 * 0.01)
    assert "they do not tell how seeds differ" in unit(results)


def test_an_undefined_gap_is_said_to_be() -> None:
    results = sandwich(accuracy=0.7)
    assert results["gap_recovered"] == "undefined"
    assert "is undefined, as that gap may be zero" in verdict(results)
    assert Page(render(results)).text.count("undefined") >= 3


def test_results_of_another_shape_and_places_that_cannot_be_written_are_refused(whole: Json, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="schema 2"):
        render(whole | {"schema": 2})
    with pytest.raises(RunError, match="'run'"):
        render(whole | {"kind": "run"})
    with pytest.raises(RunError, match="cannot write the report"):
        write_study_report(whole, tmp_path / "nowhere" / "study.html")
    with pytest.raises(RunError, match="twice"):
        study([*facts(), facts()[0]])


def test_the_same_facts_make_the_same_page(whole: Json) -> None:
    assert study() == whole and render(study()) == render(copy.deepcopy(whole))
