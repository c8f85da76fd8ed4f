"""`rewardtree study CONFIG`: see `rewardtree.studies.study`."""

from pathlib import Path
from typing import Annotated

import typer

from rewardtree.cli.options import Address, Executor, Out, Seeds, Settings, Workers

app = typer.Typer()


@app.command()
def study(
    config: Annotated[Path, typer.Argument(help="YAML file; names as in docs/studies.md.")],
    out: Out = None,
    seeds: Seeds = None,
    executor: Executor = None,
    workers: Workers = None,
    address: Address = None,
    set_: Settings = None,
) -> None:
    """Train by several schemes, seeds and label budgets on one task, and compare them at equal labels."""
    from rewardtree.cli.comparing import carry_out
    from rewardtree.studies.study import run_study

    flags = {"seeds": seeds, "executor": executor, "workers": workers, "address": address}
    carry_out(run_study, config, out, flags, set_ or [])
