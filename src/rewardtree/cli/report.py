"""`rewardtree report RUN`: write the report of a finished run again."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def report(run: Annotated[Path, typer.Argument(help="Folder of a finished run.")]) -> None:
    """Write report.html from the results of a finished run."""
    from rewardtree.errors import RunError
    from rewardtree.studies.report import write_report
    from rewardtree.studies.run import REPORT, RESULTS, read_json

    if not (run / RESULTS).is_file():
        raise RunError(f"{run} has no results yet; finish the run first: rewardtree resume {run}")
    write_report(read_json(run / RESULTS), run / REPORT)
    typer.echo(f"Report: {run / REPORT}")
