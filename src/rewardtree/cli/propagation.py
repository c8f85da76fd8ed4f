"""`rewardtree propagation CONFIG`: see `rewardtree.studies.propagation`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from rewardtree.cli.options import Address, Executor, Out, Seeds, Settings, Workers

app = typer.Typer()


@app.command()
def propagation(
    config: Annotated[Path, typer.Argument(help="YAML file, such as examples/error_propagation.yaml.")],
    out: Out = None,
    seeds: Seeds = None,
    executor: Executor = None,
    workers: Workers = None,
    address: Address = None,
    set_: Settings = None,
) -> None:
    """Plant faults in one helper, train the levels above it, and see how far up the tree their error grows."""
    from rewardtree.cli.comparing import carry_out
    from rewardtree.studies.propagation import run_propagation
    from rewardtree.studies.propagation_config import parse_propagation

    flags = {"seeds": seeds, "executor": executor, "workers": workers, "address": address}
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
