"""`rewardtree resume RUN`: go on with a run from its last finished iteration."""

from pathlib import Path
from typing import Annotated

import typer

from rewardtree.cli import resumable

app = typer.Typer()


@app.command()
def resume(run: Annotated[Path, typer.Argument(help="Folder of the run.")]) -> None:
    """Go on with a run from its last finished iteration."""
    from rewardtree.cli.progress import Screen
    from rewardtree.errors import RunError
    from rewardtree.studies.config import parse
    from rewardtree.studies.run import CONFIG, read_json
    from rewardtree.studies.run import resume as go_on

    if not (run / CONFIG).is_file():
        raise RunError(f"there is no run in {run}; start one with: rewardtree run chip --out {run}")
    with resumable(run), Screen(parse(read_json(run / CONFIG))) as screen:
        screen.finish(go_on(run, screen.show), run)
