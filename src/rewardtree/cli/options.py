"""Options that several commands have, as types."""

from pathlib import Path
from typing import Annotated

import typer

Out = Annotated[Path | None, typer.Option(help="Folder; runs/ and the file's name if not given.")]
Seeds = Annotated[int | None, typer.Option(help="Number of seeds.")]
Executor = Annotated[str | None, typer.Option(help="processes, ray or serial.")]
Workers = Annotated[int | None, typer.Option(help="Jobs at a time.")]
Address = Annotated[str | None, typer.Option(help="Of a Ray cluster.")]
Run = Annotated[Path | None, typer.Argument(help="Folder of a run that asks people; or give --store and --key.")]
Store = Annotated[str | None, typer.Option(help="Database's URL or file, where that folder is elsewhere.")]
Key = Annotated[str | None, typer.Option(help="The run's key there: the text in RUN/.key, or the name of an import.")]
Settings = Annotated[list[str] | None, typer.Option("--set", help="Any name of the configuration: NAME=VALUE.")]
