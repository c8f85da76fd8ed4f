"""`rewardtree drift CONFIG`: see `rewardtree.studies.drift`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from rewardtree.cli.options import Address, Executor, Out, Seeds, Settings, Workers

app = typer.Typer()


@app.command()
def drift(
    config: Annotated[Path, typer.Argument(help="YAML file, such as examples/drift.yaml.")],
    out: Out = None,
    seeds: Seeds = None,
    executor: Executor = None,
    workers: Workers = None,
    address: Address = None,
    set_: Settings = None,
) -> None:
    """Freeze reward models or refresh them: see where policies exploit them, and whether they know newest outputs."""
    from rewardtree.cli.comparing import carry_out
    from rewardtree.studies.drift import run_drift
    from rewardtree.studies.drift_config import parse_drift

    flags = {"seeds": seeds, "executor": executor, "workers": workers, "address": address}
    carry_out(run_drift, config, out, flags, set_ or [], parse=parse_drift, show=_print)


def _print(results: Mapping[str, Any]) -> None:
    """A row a node: true reward, what was promised in vain, and how often newest outputs are put in order."""
    from rich.console import Console
    from rich.table import Table

    from rewardtree.studies.drift_report import verdict
    from rewardtree.studies.wording import both, middle

    console = Console()
    table = Table("node", "true, refreshed", "true, frozen", "difference", "in vain", "in vain, frozen", box=None)
    right = Table("node", "before a refresh", "after it", "evaluator", "frozen", "evaluator there", box=None)
    for name, found in results["nodes"].items():
        ends = [found["refreshed"], found["frozen"]]
        table.add_row(name, *(middle(end["true"]) for end in ends), both(found["difference"]),
                      *(middle(end["vain"]) for end in ends))  # fmt: skip
        asked = ("stale", "fresh", "evaluator", "frozen_right", "evaluator_of_frozen")
        right.add_row(name, *("-" if found[who] is None else middle(found[who], "share") for who in asked))
    console.print(table, right, verdict(results), sep="\n")
