"""`rewardtree labels export|import|quality`: what people's labels came to, and data out and in."""

import json
import shlex
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from rewardtree.cli.label import place_of
from rewardtree.cli.options import Key, Run, Store

if TYPE_CHECKING:
    from rich.table import Table

    from rewardtree.preferences.exchange import Project
    from rewardtree.preferences.quality import Figure, Quality

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def _labels() -> None:
    """Export, import and judge the labels that people gave."""


@app.command()
def export(
    out: Annotated[Path, typer.Option(help="File to write, .jsonl or .parquet; one that is there is replaced.")],
    run: Run = None,
    format_: Annotated[
        Literal["jsonl", "parquet", "preference"],
        typer.Option(
            "--format", help="jsonl, parquet: a row an answer. preference: prompt, chosen, rejected, as --out is named."
        ),
    ] = "jsonl",
    store: Store = None,
    key: Key = None,
    per_rater: Annotated[
        bool, typer.Option("--per-rater", help="preference: a row an answer, not one a comparison.")
    ] = False,
    ties: Annotated[bool, typer.Option("--ties", help="preference: keep ties, with margin 0.")] = False,
    least_margin: Annotated[float, typer.Option(help="preference: leave out rows with less.", min=0, max=1)] = 0.0,
) -> None:
    """Write people's answers to a file; docs/labels.md describes the columns."""
    from rewardtree.preferences.exchange import export_file

    project = _project(run, store, key)
    count = export_file(project, out, format_, aggregated=not per_rater, ties=ties, least_margin=least_margin)
    typer.echo(f"{out}: {count:,} rows")


@app.command(name="import")
def import_(
    file: Annotated[Path, typer.Argument(help="JSONL or Parquet: an export, or rows of prompt and two outputs.")],
    store: Annotated[str, typer.Option(help="Database's URL or file; a file is made where there is none.")],
    key: Annotated[str | None, typer.Option(help="Key of the run that it goes to; for an export, its own.")] = None,
    question: Annotated[str, typer.Option(help="What people are asked, for rows of prompt and two outputs.")] = (
        "Which answer is better?"
    ),
    overlap: Annotated[int, typer.Option(help="Labellers a comparison, for such rows.", min=1)] = 1,
    gold: Annotated[bool, typer.Option("--gold", help="Labels in such rows are known answers to measure by.")] = False,
) -> None:
    """Read answers that were exported, or comparisons for people to label, into a store."""
    from rewardtree.preferences.exchange import Wishes, import_file

    wishes = None if key is None else Wishes(run=key, question=question, overlap=overlap, gold=gold)
    done = import_file(file, store, run=key, wishes=wishes)
    typer.echo(f"{done.rows:,} rows: {done.comparisons:,} new comparisons, {done.answers:,} new answers")
    for name in dict.fromkeys(name.partition("/")[0] for name in done.runs):
        typer.echo(f"To label them: rewardtree label --store {shlex.quote(store)} --key {shlex.quote(name)}")


@app.command()
def quality(
    run: Run = None,
    store: Store = None,
    key: Key = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all figures as JSON.")] = False,
) -> None:
    """Show how good people's answers are, and what the helpers' claims did for them."""
    import time

    from rich.console import Console

    from rewardtree.preferences.quality import summarise

    found = summarise(_project(run, store, key).records, now=time.time())
    if as_json:
        typer.echo(json.dumps(asdict(found), allow_nan=False))
        return
    console = Console()
    if not found.answers:
        console.print("Nobody has answered anything yet.")
        return
    console.print(
        f"{found.answers:,} answers by {len(found.labellers)} labellers to {found.comparisons:,} comparisons; "
        f"{found.withdrawn:,} taken back; {found.open_reports:,} reported as broken"
    )
    for table in (_labellers(found), _habits(found), _agreement(found), _sandwich(found), *_helpers(found)):
        console.print()
        console.print(table)
    console.print()
    for flag in found.flags:
        console.print(f"! {flag}", style="yellow", markup=False, highlight=False)


def _project(run: Path | None, store: str | None, key: str | None) -> "Project":
    from rewardtree.preferences.exchange import read_project

    return read_project(*place_of(run, store, key))


def _labellers(found: "Quality") -> "Table":
    table = _table("labeller", "answers", "median s", "right", "same again", "too fast", "can't tell", "ties", "agree")
    for one in found.labellers:
        figures = (one.accuracy, one.consistency.same_side, one.too_fast, one.cannot_tell, one.ties, one.agreement)
        _add(table, [one.name, f"{one.answers:,}", _plain(one.seconds, ".1f"), *map(_percent, figures)])
    return table


def _habits(found: "Quality") -> "Table":
    """Where labellers look, and how far they go with the helpers."""
    table = _table(
        "labeller", "displayed first", "follows right helpers", "follows wrong ones", "claims opened", "readings each"
    )
    for one in found.labellers:
        trust = one.reliance
        figures = (one.displayed_first, trust.followed_right, trust.followed_wrong, one.opened)
        _add(table, [one.name, *map(_percent, figures), _plain(one.readings, ".1f")])
    return table


def _agreement(found: "Quality") -> "Table":
    table = _table("agreement", "figure", "95 %", "of")
    alphas = (("Krippendorff's alpha, ordinal", found.alpha_ordinal), ("nominal", found.alpha_nominal))
    for name, figure in alphas:
        _add(table, [name, _plain(figure.mean, ".2f"), _between(figure, 1, ".2f"), f"{figure.n:,} comparisons"])
    shadow = found.shadow_agreement
    _add(table, ["with the simulated evaluator", _percent(shadow), _between(shadow), f"{shadow.n:,} answers"])
    return table


def _sandwich(found: "Quality") -> "Table":
    table = _table("on known comparisons", "%", "95 %", "of", "interval by")
    one = found.sandwich
    shares = {
        "right unaided": one.unaided, "right with claims": one.assisted, "right revised": one.revised,
        "revised - unaided, same comparison": one.revised_against_unaided,
        "with claims - unaided, same labeller": one.assisted_against_unaided,
        "wrong to right": one.changes.wrong_to_right, "right to wrong": one.changes.right_to_wrong,
    }  # fmt: skip
    for name, figure in shares.items():
        sign = "+" if " - " in name else ""
        mean = _plain(None if figure.mean is None else 100 * figure.mean, f"{sign}.0f")
        _add(table, [name, mean, _between(figure, sign=sign), f"{figure.n:,}", figure.by])
    return table


def _helpers(found: "Quality") -> Iterable["Table"]:
    if found.helpers:
        table = _table("helper", "right", "followed", "reliability shown")
        for one in found.helpers:
            _add(table, [one.name, _percent(one.right), _percent(one.followed), _plain(one.reliability, ".2f")])
        yield table


def _table(*headings: str) -> "Table":
    from rich.table import Table

    return Table(*headings, box=None, padding=(0, 2, 0, 0))


def _add(table: "Table", cells: Iterable[str]) -> None:
    """Adds a row of plain text: names are what people chose, and no markup."""
    from rich.text import Text

    table.add_row(*map(Text, cells))


def _plain(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _percent(figure: "Figure") -> str:
    return "-" if figure.mean is None else f"{100 * figure.mean:.0f} %"


def _between(figure: "Figure", times: int = 100, form: str = ".0f", sign: str = "") -> str:
    ends: list[Any] = [figure.low, figure.high]
    return "-" if None in ends else " to ".join(format(times * end, sign + form) for end in ends)
