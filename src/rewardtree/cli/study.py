"""`rewardtree study CONFIG`: see `rewardtree.studies.study`."""

from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer()


@app.command()
def study(
    config: Annotated[Path, typer.Argument(help="YAML file; names as in docs/studies.md.")],
    out: Annotated[Path | None, typer.Option(help="Folder; runs/ and the file's name if not given.")] = None,
    seeds: Annotated[int | None, typer.Option(help="Number of seeds.")] = None,
    executor: Annotated[str | None, typer.Option(help="processes, ray or serial.")] = None,
    workers: Annotated[int | None, typer.Option(help="Jobs at a time.")] = None,
    address: Annotated[str | None, typer.Option(help="Of a Ray cluster.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Any name of the configuration: NAME=VALUE.")] = None,
) -> None:
    """Train by several schemes, seeds and label budgets on one task, and compare them at equal labels."""
    from rewardtree.cli.comparing import carry_out
    from rewardtree.studies.study import run_study

    flags: dict[str, Any] = {"seeds": seeds, "executor": executor, "workers": workers, "address": address}
    carry_out(run_study, config, out, flags, set_ or [])
