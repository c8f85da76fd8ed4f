"""`rewardtree resume RUN`: go on with a run from its last finished iteration."""

from pathlib import Path
from typing import Annotated

import typer

from rewardtree.cli import resumable
from rewardtree.cli.label import PORT, Open, Port, beside_of

app = typer.Typer()


@app.command()
def resume(
    run: Annotated[Path, typer.Argument(help="Folder of the run.")],
    page: Annotated[bool, typer.Option(help="Serve the page on which people label, if they do.")] = True,
    port: Port = PORT,
    open_: Open = False,
) -> None:
    """Go on with a run from its last finished iteration."""
    from rewardtree.cli.progress import Screen
    from rewardtree.errors import RunError
    from rewardtree.studies.config import parse
    from rewardtree.studies.places import CONFIG
    from rewardtree.studies.run import read_json
    from rewardtree.studies.run import resume as go_on

    if not (run / CONFIG).is_file():
        raise RunError(f"there is no run in {run}; start one with: rewardtree run chip --out {run}")
    config = parse(read_json(run / CONFIG))
    with beside_of(config, page=page, port=port, open_=open_) as beside, resumable(run), Screen(config) as screen:
        screen.finish(go_on(run, screen.show, beside), run)
