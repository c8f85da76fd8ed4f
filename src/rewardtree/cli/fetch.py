"""`rewardtree fetch novels`: bring the books that a domain is measured on."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def fetch(
    domain: Annotated[str, typer.Argument(help="Domain whose data are fetched; novels has some.")],
    to: Annotated[Path | None, typer.Option(help="Folder; $REWARDTREE_BOOKS or the user's cache if not given.")] = None,
) -> None:
    """Bring the books of the domain novels: six by Jane Austen and Moby-Dick, 5 MB of text; what is there is kept."""
    from rewardtree.domains.novels.books import default_folder
    from rewardtree.domains.novels.fetching import fetch_books
    from rewardtree.errors import ConfigError

    if domain != "novels":
        raise ConfigError(f"there is nothing to fetch for {domain!r}; only novels has data of its own")
    folder = to or default_folder()
    found = fetch_books(folder, typer.echo)
    typer.echo(f"{len(found)} books in {folder}; go on with: rewardtree check novels")
