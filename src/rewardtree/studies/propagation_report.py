"""The page of `rewardtree propagation`: one HTML file that runs no script and fetches nothing."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rewardtree.studies import charts, sections
from rewardtree.studies.charts import Scale, Series, scale_of
from rewardtree.studies.propagation_results import NONE, SCHEMA
from rewardtree.studies.propagation_verdict import SAYS, at, deepest, depth_of, more, share, unit, unlearnt, verdict
from rewardtree.studies.report import check_kind, page, write_page
from rewardtree.studies.wording import both, interval, middle, number, plain_words

Results = Mapping[str, Any]
Section = dict[str, Any]
SECTIONS = (
    ("curves", "Error against depth"),
    ("model", "The model, and how it fared"),
    ("enters", "Where the error enters"),
    ("table", "All figures"),
    ("about", "Configuration and versions"),
)
LINES = (
    ("assisted", "Trained, each level with the help of the one below"),
    ("unaided", "By recursion, nothing trained above the faulty node"),
    ("level", "If every fault spoils the answer"),
    ("ideal", "Fitted model"),
)
"""Kinds of lines, and what they show."""
WORDS = {
    "helper": "Helper", "reward_model": "Reward model", "optimisation": "Optimisation", "fault": "Planted fault",
}  # fmt: skip
MEANS = {
    "helper": "what the claims conclude is wrong",
    "reward_model": "the name it likes best, against what the claims conclude",
    "optimisation": "the policy's answer, against the reward model's best name",
    "fault": "what is planted in the node's answers while it helps",
}
TESTED = ("predicted", "measured", "naive", "naive_different")
"""What is shown of the test of a model."""


def write_propagation_report(results: Results, path: Path) -> None:
    """Write the page.

    Args:
        results: of `propagation_results`.
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
    check_kind(results, "error_propagation", SCHEMA)
    title = f"{plain_words(results['task'])}: how do errors grow with depth?"
    return page("propagation.html.j2", results, dict(_parts(results)), SECTIONS, title=title)


def _parts(results: Results) -> Iterator[tuple[str, Any]]:
    yield "verdict", {"text": verdict(results), "more": more(results), "unit": unit(results)}
    yield "unlearnt", unlearnt(results)
    yield "curves", curves(results)
    yield "model", model(results)
    yield "enters", enters(results)
    yield "table", table(results)
    yield "about", sections.tables(results)


def kinds(results: Results) -> dict[str, list[float]]:
    """Kinds of faults and their rates above 0; what has none stands alone, under its own name."""
    found: dict[str, list[float]] = {}
    for row in results["curves"]:
        rates = found.setdefault(row["fault"], [])
        if row["rate"] not in rates:
            rates.append(row["rate"])
    return {kind: rates for kind, rates in found.items() if kind != NONE} | (
        {NONE: found[NONE]} if NONE in found else {}
    )


def curves(results: Results) -> Section | None:
    """A chart a kind of fault and rate, all on the same scales."""
    rows = results["curves"]
    if not rows:
        return None
    y = scale_of([row[key] for row in rows for key in ("error", "recursion", "null", "model")], "share", include=(0.0,))
    depths = sorted({float(row["depth"]) for row in rows})
    x = Scale(low=depths[0] - 0.3, high=depths[-1] + 0.3, ticks=tuple(depths), style="count")
    groups = []
    for kind, rates in kinds(results).items():
        shown = []
        for rate in rates:
            mine = at(results, kind, rate)
            title = "No faults" if kind == NONE else f"{number(rate, 'share')} {kind} faults"
            shown.append({"title": title, "svg": charts.lines(title, _lines(mine), x, y)})
        groups.append({"title": "No faults" if kind == NONE else f"{plain_words(kind)} faults", "charts": shown})
    return {"groups": groups, "legend": LINES}


def _lines(rows: Sequence[Results]) -> list[Series]:
    keys = {"level": "null", "ideal": "model", "unaided": "recursion", "assisted": "error"}
    words = dict(LINES)
    found = [Series(words[kind], kind, [(float(row["depth"]), row[key]) for row in rows]) for kind, key in keys.items()]
    return [line for line in found if any(e is not None for _, e in line.points)]


def model(results: Results) -> list[Section]:
    """A kind of fault each: the model, its test and the useful depth."""
    found = []
    for kind, fitted in results["model"].items():
        tests = [
            {"rate": number(test["rate"], "share"), "values": [test[key] for key in TESTED],
             "held": {True: "holds", False: "does not hold", None: "not known"}[test["held"]]}
            for test in fitted["tests"]
        ]  # fmt: skip
        useful = [
            {"rate": number(row["rate"], "share"), "model": deepest(row),
             "measured": depth_of(row["measured"]), "recursion": depth_of(row["recursion"])}
            for row in fitted["useful"]
        ]  # fmt: skip
        told = (
            f"{SAYS[fitted['says']].format(kind=kind)}: a share of {share(fitted)}, and a floor of "
            f"{both(fitted['floor'])}. Different answers grow {fitted['growth']:.2f}-fold a level on the average, so "
            f"errors grow where the share is above {1 / fitted['growth']:.2f}"
        )
        found.append({
            "title": f"{plain_words(kind)} faults", "text": told[:1].upper() + told[1:] + ".", "tests": tests,
            "useful": useful, "tested": fitted["tested"], "fitted": fitted["fitted"],
        })  # fmt: skip
    return found


def enters(results: Results) -> list[Section]:
    """What each source adds to the error at the highest rate of each kind, or takes from it."""
    rates = {kind: found[-1] for kind, found in kinds(results).items() if kind != NONE}
    chosen = [row for row in results["enters"] if rates.get(row["fault"]) == row["rate"]]
    scale = scale_of([e for row in chosen for e in row["adds"].values()], "share", include=(0.0,))
    found = []
    for kind, rate in rates.items():
        rows = []
        for row in (row for row in chosen if row["fault"] == kind):
            for source, estimate in row["adds"].items():
                rows.append({
                    "name": WORDS[source], "note": "", "svg": charts.bar(scale, estimate, WORDS[source]),
                    "group": f"Depth {row['depth']}: error {middle(row['error'], 'share')}",
                    "text": middle(estimate, "share"), "ends": interval(estimate, "share"),
                })  # fmt: skip
        title = f"{number(rate, 'share')} {kind} faults in {results['node']}"
        found.append({"title": title, "scale": scale, "rows": rows})
    return found


def table(results: Results) -> Section | None:
    """Every figure of every level."""
    sources = [source for source in WORDS if any(source in row["adds"] for row in results["enters"])]
    rows = [
        {"fault": "No faults" if curve["fault"] == NONE else f"{number(curve['rate'], 'share')} {curve['fault']}",
         "depth": curve["depth"], "error": curve["error"], "recursion": curve["recursion"],
         "nulls": (curve["null"], curve["null_different"]), "different": curve["different"],
         "note": "" if curve["runs"] == len(results["seeds"]) else f"{curve['runs']} of {len(results['seeds'])} seeds",
         "adds": [row["adds"].get(source) for source in sources], "noise": row["reading_noise"]}
        for curve, row in zip(results["curves"], results["enters"], strict=True)
    ]  # fmt: skip
    means = [(WORDS[source], MEANS[source]) for source in sources]
    return {"rows": rows, "sources": [WORDS[source] for source in sources], "means": means} if rows else None
