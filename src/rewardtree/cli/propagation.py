"""`rewardtree propagation CONFIG`: see `rewardtree.studies.propagation`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer()


@app.command()
def propagation(
    config: Annotated[Path, typer.Argument(help="YAML file, such as examples/error_propagation.yaml.")],
    out: Annotated[Path | None, typer.Option(help="Folder; runs/ and the file's name if not given.")] = None,
    seeds: Annotated[int | None, typer.Option(help="Number of seeds.")] = None,
    executor: Annotated[str | None, typer.Option(help="processes, ray or serial.")] = None,
    workers: Annotated[int | None, typer.Option(help="Jobs at a time.")] = None,
    address: Annotated[str | None, typer.Option(help="Of a Ray cluster.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Any name of the configuration: NAME=VALUE.")] = None,
) -> None:
    """Plant faults in one helper, train the levels above it, and see how far up the tree their error grows."""
    from rewardtree.cli.comparing import carry_out
    from rewardtree.studies.propagation import run_propagation
    from rewardtree.studies.propagation_config import parse_propagation

    flags: dict[str, Any] = {"seeds": seeds, "executor": executor, "workers": workers, "address": address}
    carry_out(run_propagation, config, out, flags, set_ or [], parse=parse_propagation, show=_print)


def _print(results: Mapping[str, Any]) -> None:
    """The error by depth, a table a kind of fault, and the model."""
    from rich.console import Console
    from rich.table import Table

    from rewardtree.studies.propagation_verdict import verdict
    from rewardtree.studies.wording import middle

    console = Console()
    depths = sorted({row["depth"] for row in results["curves"]})
    for fault in dict.fromkeys(row["fault"] for row in results["curves"]):
        table = Table(f"{'no' if fault == 'none' else fault} faults", *(f"depth {depth}" for depth in depths), box=None)
        mine = [row for row in results["curves"] if row["fault"] == fault]
        for rate in dict.fromkeys(row["rate"] for row in mine):
            for key, words in (("error", "error"), ("recursion", "recursion")):
                found = {row["depth"]: middle(row[key], "share") for row in mine if row["rate"] == rate}
                table.add_row(f"{rate:.0%}, {words}", *(found.get(depth, "-") for depth in depths))
        console.print(table)
    console.print(verdict(results))
