"""The page of `rewardtree drift`: one HTML file that runs no script and fetches nothing."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rewardtree.studies import charts, sections
from rewardtree.studies.charts import Scale, Series, scale_of
from rewardtree.studies.drift_results import KINDS, SCHEMA
from rewardtree.studies.report import check_kind, page, write_page
from rewardtree.studies.wording import both, ends_of, mean_of, plain_words

Results = Mapping[str, Any]
Section = dict[str, Any]
SECTIONS = (
    ("hacking", "Predicted and true reward over optimisation"),
    ("shift", "Is the reward model right about the newest outputs?"),
    ("table", "All figures"),
    ("about", "Configuration and versions"),
)
REWARDS = (
    ("assisted", "refreshed", "true", "True, refreshed reward model"),
    ("ideal", "refreshed", "predicted", "Predicted, refreshed"),
    ("unaided", "frozen", "true", "True, frozen reward model"),
    ("ceiling", "frozen", "predicted", "Predicted, frozen"),
)
"""Kinds of lines, whose and what they show, and their names."""
RIGHT = (
    ("assisted", "fresh", "Refreshed, once fitted to these outputs too"),
    ("ideal", "stale", "Refreshed, before it saw any of them"),
    ("unaided", "frozen", "Frozen, on outputs of its own policy"),
    ("expert", "evaluator", "The evaluator, with its noise"),
    ("level", "evaluator_of_frozen", "The evaluator, on outputs of the frozen model's policy"),
)  # fmt: skip
"""Kinds of lines, who was asked, and their names."""


def write_drift_report(results: Results, path: Path) -> None:
    """Write the page.

    Args:
        results: of `drift_results`.
        path: the HTML file.

    Raises:
        RunError: where the results have another shape, or the file cannot be written.
    """
    write_page(render(results), path)


def render(results: Results) -> str:
    """The page as HTML.

    Raises:
        RunError: where the results have another shape.
    """
    check_kind(results, "drift", SCHEMA)
    title = f"{plain_words(results['task'])}: do reward models keep up with what policies make of them?"
    return page("drift.html.j2", results, dict(_parts(results)), SECTIONS, title=title)


def _parts(results: Results) -> Iterator[tuple[str, Any]]:
    yield "verdict", {"text": verdict(results), "more": more(results), "unit": unit(results)}
    yield "hacking", hacking(results)
    yield "shift", shift(results)
    yield "table", [{"name": name} | found for name, found in results["nodes"].items()]
    yield "about", sections.tables(results)


def verdict(results: Results) -> str:
    """The main finding: at which nodes a frozen reward model costs true reward."""
    nodes = results["nodes"]
    worse = [name for name, found in nodes.items() if (ends := ends_of(found["difference"])) and ends[0] > 0]
    better = [name for name, found in nodes.items() if (ends := ends_of(found["difference"])) and ends[1] < 0]
    told = []
    if worse:
        told.append(f"With a frozen reward model {_listed(worse)} {_ends(worse)} with less true reward")
    if better:
        told.append(f"with a frozen one {_listed(better)} {_ends(better)} with more")
    if not told:
        return "No node's true reward is shown to differ between a frozen and a refreshed reward model."
    rest = len(nodes) - len(worse) - len(better)
    none = "" if not rest else f"; of {'the other node' if rest == 1 else f'{rest} other nodes'} no difference is shown"
    sentence = "; ".join(told) + none
    return sentence[:1].upper() + sentence[1:] + "."


def more(results: Results) -> list[str]:
    """Of every node, what was promised in vain and how often its reward models are right."""
    return [_told(name, found) for name, found in results["nodes"].items()]


def _told(name: str, found: Results) -> str:
    told = [_gained(kind, found[kind]) for kind in KINDS]
    right = [
        f"{words} {both(found[who], 'share')}"
        for who, words in (("stale", "before a refresh"), ("fresh", "after it"), ("frozen_right", "frozen"))
        if found[who] is not None
    ]
    return f"{plain_words(name)}: {'; '.join(told)}. Newest outputs put in order: {', '.join(right)}."


def _gained(kind: str, ends: Results) -> str:
    told = f"{kind} {both(ends['true'])} true and {both(ends['vain'])} more promised in vain"
    return told + (f", {both(ends['lost'])} below the best on the way" if (mean_of(ends["lost"]) or 0) > 0 else "")


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _ends(names: Sequence[str]) -> str:
    return "ends" if len(names) == 1 else "end"


def unit(results: Results) -> str:
    """What intervals are of."""
    seeds = len(results["seeds"])
    return (
        f"Intervals hold 95 %: Student's, over {seeds} seeds."
        if seeds > 1
        else "Intervals hold 95 %, over the test inputs of one seed: they do not tell how seeds differ."
    )


def hacking(results: Results) -> Section | None:
    """A chart a node: gains, true and predicted."""
    rows = results["hacking"]
    y = scale_of([row[what] for row in rows for what in ("true", "predicted")], include=(0.0,))
    found = []
    for name in results["nodes"]:
        mine = [row for row in rows if row["node"] == name]
        lines = [
            Series(words, line, [(float(row["improvements"]), row[what]) for row in mine if row["kind"] == kind])
            for line, kind, what, words in REWARDS
        ]
        found.append({"title": plain_words(name), "svg": charts.lines(name, lines, _steps(mine), y)})
    return {"charts": found, "legend": [(line, words) for line, _, _, words in REWARDS]} if found else None


def shift(results: Results) -> Section | None:
    """A chart a node: how often the better of two newest outputs is put first."""
    rows = results["shift"]
    y = scale_of([row[who] for row in rows for _, who, _ in RIGHT], "share", include=(0.5, 1.0))
    found = []
    for name in results["nodes"]:
        mine = [row for row in rows if row["node"] == name]
        lines = [
            Series(words, line, [(float(row["improvements"]), row[who]) for row in mine]) for line, who, words in RIGHT
        ]
        found.append({"title": plain_words(name), "svg": charts.lines(name, lines, _steps(mine), y)})
    return {"charts": found, "legend": [(line, words) for line, _, words in RIGHT]} if found else None


def _steps(rows: Sequence[Results]) -> Scale:
    ticks = tuple(sorted({float(row["improvements"]) for row in rows}))
    return Scale(low=ticks[0] - 0.3, high=ticks[-1] + 0.3, ticks=ticks, style="count")
