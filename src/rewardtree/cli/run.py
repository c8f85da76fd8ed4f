"""`rewardtree run DOMAIN`: train a tree and what it must beat, on one ledger."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from rewardtree.cli import resumable
from rewardtree.cli.label import PORT, Open, Port, beside_of
from rewardtree.cli.options import Seeds, Settings

app = typer.Typer()


@app.command()
def run(
    domain: Annotated[str, typer.Argument(help="Domain to train on; see `rewardtree list`.")],
    preset: Annotated[str | None, typer.Option(help="tiny, quick or full.")] = None,
    seed: Annotated[int | None, typer.Option(help="First seed.")] = None,
    seeds: Seeds = None,
    workers: Annotated[int | None, typer.Option(help="Seeds trained at a time.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run; runs/DOMAIN if not given.")] = None,
    store: Annotated[str | None, typer.Option(help="Database URL; an SQLite file a seed if not given.")] = None,
    schedule: Annotated[str | None, typer.Option(help="leaves_first or interleaved.")] = None,
    evaluator: Annotated[str | None, typer.Option(help="simulated, human, mixed (with people) or judge.")] = None,
    page: Annotated[bool, typer.Option(help="Serve the page on which people label; see `rewardtree label`.")] = True,
    port: Port = PORT,
    open_: Open = False,
    config: Annotated[Path | None, typer.Option(help="YAML file with the same names; flags come over it.")] = None,
    env: Annotated[str | None, typer.Option(help="Gymnasium id for control; the same as --set options.env=ID.")] = None,
    set_: Settings = None,
) -> None:
    """Train a tree of helpers and its root, and what the tree must beat, and write results.json and report.html."""
    from rewardtree.cli.progress import Screen
    from rewardtree.studies.config import parse, read_config
    from rewardtree.studies.run import start

    flags = {
        "preset": preset,
        "seed": seed,
        "seeds": seeds,
        "workers": workers,
        "store": store,
        "schedule": schedule,
        "evaluator": evaluator,
    }
    given: dict[str, Any] = read_config(config) if config else {}
    given |= {name: value for name, value in flags.items() if value is not None}
    named = [f"options.env={env}"] if env else []
    given = pairs([*named, *(set_ or [])], given) | {"domain": domain}
    wanted, folder = parse(given), out or Path("runs") / domain
    with (
        beside_of(wanted, page=page, port=port, open_=open_) as beside,
        resumable(folder),
        Screen(wanted) as screen,
    ):
        screen.finish(start(wanted, folder, screen.show, beside), folder)


def pairs(words: list[str], under: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """`NAME=VALUE` words as names and values; `models.facts=tiny` sets one of the names in `models`.

    Args:
        words: as given.
        under: what they come over.

    Raises:
        ConfigError: where a word has no `=`, or a name with a dot is of what has no names in it.
    """
    from rewardtree.errors import ConfigError
    from rewardtree.yaml_text import read_yaml

    found = dict(under or {})
    for word in words:
        name, sign, value = word.partition("=")
        if not sign:
            raise ConfigError(f"--set takes NAME=VALUE, not {word!r}")
        *outer, last = name.split(".")
        inside = found
        for one in outer:
            held = inside.get(one, {})
            if not isinstance(held, dict):
                raise ConfigError(f"--set {word}: there are no names in {one} = {held!r}")
            inside[one] = inside = dict(held)
        inside[last] = read_yaml(value)
    return found
