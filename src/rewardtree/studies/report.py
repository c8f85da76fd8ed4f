"""One HTML file that says what a run found: no script, nothing fetched, made to be sent to somebody.

What is missing in the results is left out of the report; what is undefined is said to be.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined

from rewardtree.errors import RunError
from rewardtree.studies import asked, charts, judged, readers, sections, wording
from rewardtree.studies.wording import both, interval, mean_of, middle, plain_words

SCHEMA = 1
PROTOCOLS = ("recursive_reward_modeling", "flat_unaided", "flat_expert")
SECTIONS = (
    ("outlines", "Summaries, down to the text"),
    ("readers", "What readers prefer"),
    ("pictures", "Pictures"),
    ("stages", "What each stage of training is worth"),
    ("accuracy", "How often the evaluator is right"),
    ("tree", "Every level of the tree"),
    ("detail", "Readings and difficulty"),
    ("protocols", "What training is worth"),
    ("curves", "Learning curves"),
    ("errors", "Where the error comes from"),
    ("people", "What people answered"),
    ("judge", "What the language model judged"),
    ("trust", "Trust in the helpers"),
    ("rewards", "Reward models"),
    ("ledger", "What was spent"),
    ("about", "Configuration and versions"),
)

Results = Mapping[str, Any]


def write_report(results: Results, path: Path) -> None:
    """Write the report of a run.

    Args:
        results: as in `results.json`; see `rewardtree.studies.results`.
        path: the HTML file.

    Raises:
        RunError: where the results have another shape, or the file cannot be written.
    """
    write_page(render(results), path)


def write_page(html: str, path: Path) -> None:
    """Write a page that is made to be sent to somebody.

    Raises:
        RunError: where the file cannot be written.
    """
    try:
        path.write_text(html, encoding="utf-8", errors="replace")
    except OSError as error:
        raise RunError(f"cannot write the report {path}: {error.strerror}; give a path that can be written") from error


def render(results: Results) -> str:
    """The report as HTML.

    Raises:
        RunError: where the results have another shape.
    """
    if "kind" in results:
        raise RunError(
            f"these results are of kind {results['kind']!r} and this report is for runs; the command that made them "
            f"writes their page again: {results.get('command')}"
        )
    if results.get("schema") != SCHEMA or not isinstance(results.get("nodes"), Mapping):
        raise RunError(
            f"these results have schema {results.get('schema')!r} and this version reports schema {SCHEMA}; "
            "make the report with the version that made the results"
        )
    return page("report.html.j2", results, dict(_sections(results)), SECTIONS, title=_title(results))


def page(
    template: str, results: Results, parts: Mapping[str, Any], sections: Iterable[tuple[str, str]], **known: Any
) -> str:
    """A page of some results as HTML.

    Args:
        template: a file of this folder.
        results: what it shows.
        parts: what is in a section, by its name; a section with nothing in it is left out.
        sections: names and headings, in order.
        known: what else the template uses, a `title` always.
    """
    shown = [pair for pair in sections if parts[pair[0]]]
    return environment().get_template(template).render(results=results, parts=parts, sections=shown, **known)


def check_kind(results: Results, kind: str, schema: int) -> None:
    """Let only results of one kind and schema pass.

    Raises:
        RunError: where they are others.
    """
    if (results.get("kind"), results.get("schema")) != (kind, schema):
        raise RunError(
            f"these results are of kind {results.get('kind')!r}, schema {results.get('schema')!r}, and this page is "
            f"for kind {kind!r}, schema {schema}; make it with the version that made the results"
        )


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Templates, with the filters and charts that they use."""
    folder = files("rewardtree.studies")
    environment = Environment(
        loader=FunctionLoader(lambda name: folder.joinpath(name).read_text(encoding="utf-8")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"both": both, "middle": middle, "interval": interval, "words": plain_words}
    environment.globals |= {"swatch": charts.swatch, "axis": charts.axis}
    return environment


def _sections(results: Results) -> Iterator[tuple[str, Any]]:
    root = _root(results)
    node = results["nodes"].get(root, {})
    told = {"warnings": asked.warnings(results), "simulated": asked.SIMULATED if results.get("answers") else ""}
    yield "verdict", {"text": verdict(results), "measures": _gaps(results, node), "unit": _unit(results)} | told
    yield "outlines", results.get("outlines") or None
    yield "pictures", sections.pictures(results)
    yield "readers", readers.section(results)
    yield "stages", sections.stages(results)
    yield "accuracy", sections.accuracy(root, node)
    yield "people", sections.people(results)
    yield "judge", judged.section(results)
    yield "tree", sections.tree(results, root)
    yield "detail", sections.detail(node)
    yield "protocols", sections.protocols(results, node)
    yield "curves", sections.curves(results, node)
    yield "errors", sections.errors(results)
    yield "trust", sections.trust(results)
    yield "rewards", sections.reward_models(results)
    spent = {key: results.get(key) for key in ("ledger", "profile")}
    yield "ledger", spent if any(spent.values()) else None
    yield "about", sections.tables(results)


def verdict(results: Results) -> str:
    """The main finding in one sentence, with its interval."""
    if results.get("readers"):
        return readers.verdict(results)
    root = _root(results)
    accuracy = results["nodes"].get(root, {}).get("accuracy", {})
    unaided, assisted, expert = (accuracy.get(kind) for kind in ("unaided", "assisted", "expert"))
    low, high = mean_of(unaided), mean_of(assisted)
    if results["nodes"].get(root, {}).get("helpers", True) == []:
        return _learnt(results, root)
    if low is None or high is None:
        return f"This run did not measure the accuracy of {root}'s evaluator with and without help."
    judge = f"{root}'s {'simulated ' if results.get('answers') else ''}evaluator"
    change = f"{wording.points(high - low)} {'more' if high >= low else 'less'}"
    told = (
        f"With its helpers' claims, {judge} is right on {both(assisted, 'share')} of comparisons, "
        f"without them on {both(unaided, 'share')}: {change}"
    )
    gap = results.get("gap_recovered", {}).get("accuracy")
    to_expert = f"the gap to an expert with unlimited readings ({middle(expert, 'share')})"
    if gap == wording.UNDEFINED:
        return f"{told}; the share of {to_expert} that this recovers is undefined, as that gap may be zero."
    if mean_of(gap) is None:
        return f"{told}."
    ends = wording.ends_of(gap)
    if ends and ends[0] <= 0 <= ends[1]:
        chance = f"this may be chance, as the interval is {interval(gap, 'share')}"
        return f"{told}, {middle(gap, 'share')} of {to_expert}; {chance}."
    return f"{told}, which recovers {both(gap, 'share')} of {to_expert}."


def _learnt(results: Results, root: str) -> str:
    """The main finding where nobody helps: what the policy is worth."""
    node, protocols = results["nodes"][root], results.get("protocols", {})
    worth, start = node.get("true_reward", {}).get("trained"), node.get("true_reward", {}).get("untrained")
    told = f"Trained by {node.get('labels')} comparisons, {root}'s policy has a true reward of {both(worth)}"
    best = protocols.get("oracle", {}).get("true_reward")
    beside = f"untrained {both(start)}" + (f", trained as long on the true reward itself {both(best)}" if best else "")
    return f"{told}; {beside}."


def _root(results: Results) -> str:
    nodes = results["nodes"]
    helping = {helper for node in nodes.values() for helper in node.get("helpers", ())}
    free = [name for name in nodes if name not in helping]
    return str(results.get("root") or (free or [*nodes] or ["the root"])[-1])


def _title(results: Results) -> str:
    root = _root(results)
    if results.get("readers"):
        return f"{root}: do readers prefer it after training?"
    helped = results["nodes"].get(root, {}).get("helpers", True)
    return f"{root}: does assistance work?" if helped else f"{root}: learnt from comparisons"


def _unit(results: Results) -> str:
    """What intervals are over."""
    seeds = len(results.get("seeds", ()))
    if seeds > 1:
        return f"Intervals hold 95 %, over {seeds} seeds."
    return "Intervals hold 95 %, over the test items of one seed: they do not tell how much seeds differ."


def _gaps(results: Results, node: Results) -> list[dict[str, Any]]:
    """The two measures, and what of the gap each recovers."""
    found, gaps, protocols = [], results.get("gap_recovered", {}), results.get("protocols", {})
    accuracy = node.get("accuracy", {})
    if "accuracy" in gaps:
        values = [accuracy.get(kind) for kind in ("unaided", "assisted", "expert")]
        name = "Simulated evaluator's accuracy" if results.get("answers") else "Evaluator's accuracy"
        found.append({"name": name, "values": values, "style": "share", "gap": gaps["accuracy"]})
    for key, suffix, name in (
        ("true_reward", "", f"True reward after training{asked.taught(results, _root(results))}"),
        ("true_reward_output", "_output", "True reward, reward model sees the output alone"),
    ):
        if key in gaps:
            names = [f"{PROTOCOLS[i]}{suffix}" for i in (1, 0, 2)]
            values = [protocols.get(protocol, {}).get("true_reward") for protocol in names]
            found.append({"name": name, "values": values, "style": "plain", "gap": gaps[key]})
    return found
