import copy
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from rewardtree.errors import RunError
from rewardtree.studies.embedding import embedded
from rewardtree.studies.report import render, verdict, write_report

Json = dict[str, Any]
HOSTILE = "<script>alert('x')</script>\" onload=\"x & <b>"
UNKNOWN: Json = {"mean": None, "low": None, "high": None, "n": 0, "unit": "seeds"}
VOID = {"meta", "link", "br", "hr", "img", "input", "col"}
CONDITIONS = {
    "unaided": 0.583,
    "expert": 0.901,
    "assisted": 0.712,
    "ideal": 0.84,
    "untrained": 0.55,
    "shuffled": 0.52,
    "random_places": 0.66,
    "heuristic": 0.63,
    "adversarial": 0.47,
    "claims_without_meter": 0.68,
    "meter_without_claims": 0.61,
}
PROTOCOLS = {
    "recursive_reward_modeling": ("Recursive reward modelling", "assisted", -13.9),
    "flat_unaided": ("Flat, unaided", "unaided", -16.6),
    "flat_expert": ("Flat, expert", "expert", -12.4),
    "oracle": ("Trained on the true reward", "none", -11.4),
    "ceiling": ("Simulated annealing", "none", -9.7),
}


def estimate(mean: float, half: float = 0.014, n: int = 5, unit: str = "seeds") -> Json:
    return {"mean": mean, "low": mean - half, "high": mean + half, "n": n, "unit": unit}


def curve(first: float, last: float) -> list[Json]:
    return [
        {"iteration": i + 1, "labels": 300 * (i + 1), "true_reward": estimate(first + i * (last - first) / 2, 0.3)}
        for i in range(3)
    ]


def leaf(accuracy: float) -> Json:
    return {
        "helpers": [],
        "depth": 0,
        "task": "Point at a place and give a value.",
        "labels": 1200,
        "accuracy": {"unaided": estimate(accuracy), "expert": estimate(accuracy)},
        "true_reward": {"trained": estimate(4.5, 0.3), "untrained": estimate(0.5, 0.3), "ideal": estimate(6.0, 0.2)},
        "reward_model": {
            "accuracy": estimate(0.78, 0.05),
            "true_accuracy": estimate(0.9),
            "calibration_error": estimate(0.05),
        },
        "curve": curve(2.1, 4.5),
    }


def example() -> Json:
    """Results as a run of five seeds makes them."""
    root = leaf(0.583) | {
        "helpers": ["energy", "heat"],
        "depth": 1,
        "labels": 900,
        "task": "Place blocks.",
        "accuracy": {kind: estimate(value) for kind, value in CONDITIONS.items()},
        "accuracy_noise_free": {kind: estimate(value + 0.02) for kind, value in CONDITIONS.items()},
        "accuracy_by_budget": {
            str(b): {"unaided": estimate(0.52 + b / 100), "assisted": estimate(0.7 + b / 200)}
            for b in (0, 1, 2, 4, 8, 16)
        },
        "accuracy_by_stratum": {
            name: {kind: estimate(0.55 + i / 12) for kind in ("unaided", "assisted", "expert")}
            for i, name in enumerate(("0-0.5", "0.5-1", "1-2", "over 2"))
        },
        "trust": {"energy": estimate(0.95), "exposure": estimate(0.54)},
        "measures": {"side": estimate(11.2)},
    }
    return {
        "schema": 1,
        "domain": "chip",
        "preset": "quick",
        "seeds": [0, 1, 2, 3, 4],
        "version": "0.1.0",
        "command": "rewardtree run chip --seeds 5",
        "seconds": 4210.0,
        "root": "floorplan",
        "config": {"budget": 2, "store": None, "evaluator": {"lapse": 0.02}},
        "versions": {"numpy": "2.4.1"},
        "nodes": {"heat": leaf(0.88), "energy": leaf(0.87), "floorplan": root},
        "protocols": {
            name: {
                "title": title,
                "evaluator": who,
                "reward_model_sees": "output and claims",
                "true_reward": estimate(reward, 0.3),
                "labels": estimate(3300.0, 0.0),
                "readings": estimate(14952.0, 0.0),
                "seconds": estimate(63.7, 2.0),
                "measures": {"side": 11.2, "energy": estimate(-9.9)},
                "surest": {"side": estimate(10.125)} if who != "none" else {},
                "curve": curve(-17.0, reward) if who != "none" else [],
            }
            for name, (title, who, reward) in PROTOCOLS.items()
        },
        "gap_recovered": {
            "accuracy": estimate(0.406, 0.06),
            "true_reward": estimate(0.64, 0.1),
            "true_reward_output": "undefined",
        },
        "errors": [
            {"source": "helper error", "measure": "accuracy", "loss": estimate(0.122), "meaning": "no ideal ones"},
            {"source": "answer noise", "measure": "accuracy", "loss": estimate(-0.01), "meaning": "noise"},
            {"source": "optimisation", "measure": "true reward", "loss": estimate(3.7, 0.3), "meaning": "no search"},
        ],
        "ledger": [
            {
                "protocol": "flat_unaided",
                "node": "floorplan",
                "evaluator": "sim",
                "condition": "unaided",
                "labels": 4500,
                "readings": 9000,
                "abstentions": 0,
                "seconds": 0.0,
                "demonstrations": 0,
                "verdicts": 12,
            }
        ],
        "stages": {
            "height_0": {
                "untrained": {"told": estimate(0.2), "gaps": estimate(0.25)},
                "trained": {"told": estimate(0.3)},
            },
        },
        "outlines": [
            {
                "title": "A book",
                "note": "3 words of 9",
                "text": "It ended well.",
                "parts": [
                    {
                        "title": "Chapter 1",
                        "note": "",
                        "text": "It began.",
                        "parts": [
                            {"title": "The text", "note": "", "text": "Once upon a time.", "parts": []},
                        ],
                    },
                ],
            },
        ],
        "profile": {"helpers": 12.5, "policy_optimisation": 220.0},
        "pictures": [
            {
                "title": "c432",
                "svg": '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 4"><path d="M0 0h9"/></svg>',
                "caption": "Two layouts.",
            }
        ],
    }


class Page(HTMLParser):
    """Checks that every tag is closed in order; keeps texts, tags and attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
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


def test_it_is_one_small_page_that_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_report(example(), path)
    html = path.read_text(encoding="utf-8")
    page = Page(html)
    assert len(html.encode()) < 300_000
    names = {tag for tag, _ in page.tags}
    assert not names & {"script", "link", "img", "iframe", "object", "embed", "form", "base", "foreignobject"}
    for tag, attributes in page.tags:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            assert name not in ("href", "src", "xlink:href") or value.startswith("#"), (tag, value)
    assert re.findall(r"https?://(?!www\.w3\.org/)", html) == []
    assert "@import" not in html and "url(" not in html


def test_headings_stand_in_order_and_every_link_leads_somewhere() -> None:
    page = Page(render(example()))
    titles = re.findall(r"<h2[^>]*>(.*?)</h2>", render(example()))
    assert titles == [
        "Summaries, down to the text",
        "Pictures",
        "What each stage of training is worth",
        "How often the evaluator is right",
        "Every level of the tree",
        "Readings and difficulty",
        "What training is worth",
        "Learning curves",
        "Where the error comes from",
        "Trust in the helpers",
        "Reward models",
        "What was spent",
        "Configuration and versions",
    ]
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for tag, attributes in page.tags:
        if tag == "a":
            assert attributes["href"][1:] in ids
    assert [tag for tag, _ in page.tags].count("h1") == 1
    assert all("scope" in attributes for tag, attributes in page.tags if tag == "th")


def test_every_chart_says_in_words_what_it_shows() -> None:
    html = render(example())
    for chart in re.findall(r'<svg [^>]*role="img"[^>]*>.*?</svg>', html):
        assert re.match(r"<svg [^>]*>(<title>[^<]+</title>|<path)", chart), chart[:200]


def test_every_estimate_is_shown_with_sensible_digits() -> None:
    text = Page(render(example())).text
    for shown in (
        "71.2 %",
        "69.8 to 72.6 %",
        "90.1 %",
        "\N{MINUS SIGN}13.90",
        "\N{MINUS SIGN}14.20 to \N{MINUS SIGN}13.60",
        "14,952",
        "3,300",
        "1 min 4 s",
        "1 h 10 min",
        "40.6 %",
        "12.2 %",
        "95.0 %",
        "rewardtree run chip --seeds 5",
        "evaluator.lapse",
        "2.4.1",
        "3 min 40 s",
    ):
        assert shown in text, shown
    assert not re.search(r"\d\.\d{5,}|\bnan\b|\binf\b|None", text)


def test_the_verdict_is_a_sentence_with_its_interval() -> None:
    assert verdict(example()).replace("\N{NO-BREAK SPACE}", " ") == (
        "With its helpers' claims, floorplan's evaluator is right on 71.2 % (69.8 to 72.6 %) of comparisons, without "
        "them on 58.3 % (56.9 to 59.7 %): 12.9 points more, which recovers 40.6 % (34.6 to 46.6 %) of the gap to an "
        "expert with unlimited readings (90.1 %)."
    )


@pytest.mark.parametrize(
    ("gap", "said"),
    [
        ("undefined", "is undefined, as that gap may be zero."),
        (estimate(0.05, 0.2), "this may be chance, as the interval is \N{MINUS SIGN}15 to 25"),
        (UNKNOWN, "12.9 points more."),
    ],
)
def test_the_verdict_claims_no_more_than_is_known(gap: Any, said: str) -> None:
    results = example()
    results["gap_recovered"]["accuracy"] = gap
    assert said in verdict(results)


def test_a_run_without_answers_of_people_says_so() -> None:
    counts = {"asked": 40, "given": 0, "aside": 0, "simulated": 0, "trained_on": 0}
    text = Page(render(example() | {"answers": {"floorplan": counts}})).text
    assert "Warning: 40 of 40 answers at floorplan are missing: its reward model was trained on nothing" in text
    assert "People gave 0 of 40 answers at floorplan." in text and "0 of 40" in text
    assert "floorplan's simulated evaluator is right on" in text and "Simulated evaluator's accuracy" in text
    assert text.count("Measured with the simulated evaluator, not with people.") == 2
    assert "True reward after training, people gave no answers" in text
    text = Page(render(example() | {"answers": {"floorplan": counts | {"given": 40, "trained_on": 40}}})).text
    assert "Warning" not in text and "True reward after training, by people's answers" in text
    assert "simulated evaluator" not in Page(render(example())).text


def test_a_loss_is_called_one() -> None:
    results = example()
    results["nodes"]["floorplan"]["accuracy"]["assisted"] = estimate(0.5)
    assert "8.3 points less" in verdict(results)


def test_undefined_and_unmeasured_are_said() -> None:
    results = example()
    results["protocols"]["flat_expert"]["true_reward"] = {
        "mean": None,
        "low": None,
        "high": None,
        "n": 0,
        "unit": "seeds",
    }
    results["nodes"]["floorplan"]["accuracy"]["ideal"] = "undefined"
    text = Page(render(results)).text
    assert text.count("undefined") >= 3  # the explanation, the gap, the condition
    assert "not measured" in text


def test_measures_of_the_most_probable_outputs_stand_beside_those_of_samples() -> None:
    results = example()
    text = Page(render(results)).text
    assert text.index("Measures by protocol") < text.index("most probable outputs") < text.index("10.1")
    for found in results["protocols"].values():
        del found["surest"]
    assert "most probable outputs" not in Page(render(results)).text


def test_one_seed_is_not_taken_for_several() -> None:
    assert "Intervals hold 95 %, over 5 seeds." in render(example())
    assert "they do not tell how much seeds differ" in render(example() | {"seeds": [0]})


def test_whatever_is_optional_may_be_missing() -> None:
    results = example()
    for key in [*results]:
        if key not in ("schema", "nodes"):
            Page(render({k: v for k, v in results.items() if k != key}))
    for key in results["nodes"]["floorplan"]:
        smaller = copy.deepcopy(results)
        del smaller["nodes"]["floorplan"][key]
        Page(render(smaller))
    for key in results["protocols"]["oracle"]:
        smaller = copy.deepcopy(results)
        del smaller["protocols"]["flat_unaided"][key]
        Page(render(smaller))


def test_a_bare_tree_makes_a_page_of_what_there_is() -> None:
    html = render({"schema": 1, "nodes": {"only": {"accuracy": {"unaided": estimate(0.7)}}}})
    assert re.findall(r"<h2[^>]*>(.*?)</h2>", html) == ["How often the evaluator is right", "Every level of the tree"]
    assert "did not measure" in Page(html).text
    Page(render({"schema": 1, "nodes": {}}))


def test_texts_open_into_those_that_they_are_made_from_and_stages_are_charted() -> None:
    html = render(example())
    opened = html.split('id="outlines"')[1].split("</section>")[0]
    assert opened.count('<details class="outline">') == 2
    assert opened.index("It ended well.") < opened.index("It began.") < opened.index("Once upon a time.")
    staged = Page(html.split('id="stages"')[1].split("</section>")[0].partition(">")[2]).text
    assert "Height 0" in staged and "0.25" in staged and staged.count("untrained") == 3
    bare = {key: value for key, value in example().items() if key not in ("stages", "outlines")}
    assert 'id="stages"' not in render(bare) and 'id="outlines"' not in render(bare)


def hostile(value: Any) -> Any:
    """The same, with every name and text hostile."""
    if isinstance(value, dict):
        fixed = {"mean", "low", "high", "n", "unit", "labels", "true_reward"} & set(value)
        same = {key: hostile(item) for key, item in value.items()}
        return same | ({} if fixed else {key + HOSTILE: item for key, item in same.items()})
    if isinstance(value, list):
        return [hostile(item) for item in value]
    return value + HOSTILE if isinstance(value, str) and value != "undefined" else value


def test_hostile_names_stay_text() -> None:
    results = hostile(example()) | {"schema": 1, "root": "floorplan" + HOSTILE}
    results["pictures"] = [{"title": HOSTILE, "svg": example()["pictures"][0]["svg"], "caption": HOSTILE}]
    html = render(results)
    assert "<script" not in html and "<b>" not in html
    page = Page(html)
    assert not {tag for tag, _ in page.tags} & {"script", "b"}
    assert all(not name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert HOSTILE in " ".join(page.texts)


SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20">{}</svg>'


@pytest.mark.parametrize(
    "inside",
    [
        "<script>alert(1)</script>",
        "<!--> <script>alert(1)</script> --><script/>",
        '<rect onclick="x()"/>',
        '<image href="https://example.org/a.png"/>',
        '<use href="https://example.org/a.svg#b"/>',
        '<rect fill="url(https://example.org/a)"/>',
        '<rect style="background:\\75 rl(https://example.org/a)"/>',
        "<style>@import 'https://example.org/a.css';</style>",
        "<style>rect{fill:url( 'https://example.org/a')}</style>",
        '<foreignObject><p xmlns="http://www.w3.org/1999/xhtml">a</p></foreignObject>',
        '<b xmlns="http://www.w3.org/1999/xhtml">a</b>',
        "<set attributeName='href' to='javascript:x'/>",
        "<rect",
    ],
)
def test_a_picture_that_does_more_than_draw_is_left_out(inside: str) -> None:
    assert embedded(SVG.format(inside)) is None


def test_a_picture_is_taken_over_without_its_comments() -> None:
    drawn = embedded(SVG.format('<!--> <b>x</b> --><g fill="url(#a)"><text>1 &lt; 2</text></g>'))
    assert drawn is not None and drawn.wide
    assert drawn.svg.startswith('<svg width="40"') and "1 &lt; 2" in drawn.svg and "<b>" not in drawn.svg
    assert len(ET.fromstring(drawn.svg)) == 1
    assert embedded("<p>no picture</p>") is None


def test_results_of_another_shape_and_places_that_cannot_be_written_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="schema 2"):
        render(example() | {"schema": 2})
    with pytest.raises(RunError, match=r"of kind 'study' and this report is for runs; .* again: rewardtree study x"):
        render({"kind": "study", "schema": 1, "command": "rewardtree study x"})
    with pytest.raises(RunError, match="cannot write the report"):
        write_report(example(), tmp_path / "nowhere" / "report.html")


def test_the_same_results_make_the_same_page() -> None:
    assert render(example()) == render(example())
