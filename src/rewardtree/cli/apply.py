"""`rewardtree apply RUN INPUT`: use a trained root on an input of your own."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from rewardtree.domains.chip.applying import Placed
    from rewardtree.domains.chip.floorplan import FloorplanTask
    from rewardtree.domains.chip.formats import Reading

app = typer.Typer()

DOMAIN = "chip"
WRITTEN = 1000.0
"""What `write_placement` multiplies lengths by, as it takes mm and writes microns."""
LARGE = 2
"""Times as many blocks as trained on from which on a warning is given."""


@app.command()
def apply(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    netlist: Annotated[Path, typer.Argument(help="Netlist to place: a .blocks file (with its .nets) or a .yal file.")],
    seed: Annotated[int | None, typer.Option(help="Which seed's tree; the first if not given.")] = None,
    samples: Annotated[int, typer.Option(min=0, max=100_000, help="Layouts to choose among.")] = 64,
    chance: Annotated[int, typer.Option(min=0, help="Seed of the samples.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for NAME.pl and NAME.svg.")] = Path(),
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that are there.")] = False,
) -> None:
    """Place a netlist by a run's trained root, and show what its helpers say beside what a simulation says."""
    import numpy as np
    from rich.console import Console

    from rewardtree.domains.chip.applying import place
    from rewardtree.domains.chip.floorplan import FloorplanTask
    from rewardtree.domains.chip.formats import read_file
    from rewardtree.errors import ConfigError, RunError
    from rewardtree.studies.places import CONFIG
    from rewardtree.studies.run import read_json
    from rewardtree.studies.trained import load_tree

    if (run / CONFIG).is_file() and (domain := read_json(run / CONFIG).get("domain")) != DOMAIN:
        raise RunError(f"{run} is a run of {domain!r}, whose inputs cannot be read; give a run of {DOMAIN!r}")
    trained = load_tree(run, seed)
    root = trained.tree.nodes[trained.tree.root]
    assert isinstance(root.task, FloorplanTask)
    reading = read_file(netlist)
    targets = [out / f"{netlist.stem}{end}" for end in (".pl", ".svg")]
    if (there := [str(path) for path in targets if path.exists()]) and not force:
        raise ConfigError(f"{' and '.join(there)} would be overwritten; choose another --out, or give --force")
    console = Console()
    _warn(console, reading, root.task)
    with console.status("Placing ..."):
        rng = np.random.default_rng(chance)
        reward = trained.reward
        placed = place(root.task, trained.policy, reward, reward.assist, reading.netlist, rng, samples)
    _write(placed, reading, *targets)
    _show(console, placed, root.task, samples)
    console.print(f"Written: {targets[0]} (corners in the units of {netlist.name}) and {targets[1]}", soft_wrap=True)


def _warn(console: "Console", reading: "Reading", task: "FloorplanTask") -> None:
    """Say what was dropped and filled in, and where the netlist is far from those trained on."""
    counts = {
        "terminals, which are not placed": reading.terminals,
        "nets of fewer than two blocks, left out": reading.dropped,
        "nets joined with others on the same blocks": reading.bundled,
        "blocks given a rectangle": reading.reshaped,
    }
    said = [f"{count} {what}" for what, count in counts.items() if count]
    blocks, nets = reading.netlist.blocks, reading.netlist.nets
    console.print(f"{reading.netlist.name}: {blocks} blocks, {nets} nets" + (f" ({', '.join(said)})" if said else ""))
    if not reading.has_power:
        console.print("[yellow]There is no .power.csv, so power and tags are made up.[/yellow]")
    usual = int(task.pools["train"].netlists.mask.sum(axis=1).max())
    if blocks > LARGE * usual:
        console.print(
            f"[yellow]The root was trained on {usual} blocks; at {blocks} neither its layouts nor its helpers' claims "
            "have been tested.[/yellow]"
        )


def _write(placed: "Placed", reading: "Reading", corners: Path, picture: Path) -> None:
    """Write the placement and the picture."""
    from rewardtree.domains.chip.bookshelf import write_placement
    from rewardtree.domains.chip.drawing import draw_layout
    from rewardtree.errors import ConfigError

    layouts = placed.layouts
    unit = reading.millimetres * WRITTEN
    svg = draw_layout(
        placed.designs, layouts, 0, placed.claims, names=placed.netlist.block_names, title=placed.netlist.name
    )
    try:
        corners.parent.mkdir(parents=True, exist_ok=True)
        write_placement(placed.netlist, corners, layouts.plan.x[0] / unit, layouts.plan.y[0] / unit, layouts.rotated[0])
        picture.write_text(svg, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write {corners.parent}: {error.strerror}; choose another --out") from error


def _show(console: "Console", placed: "Placed", task: "FloorplanTask", samples: int) -> None:
    """Print claims beside the simulation, and rewards beside those of random layouts."""
    from rich.table import Table

    from rewardtree.domains.chip.applying import describe

    table = Table("helper", "says", "simulated there", "simulated overall", box=None, title_justify="left")
    for said in describe(task, placed):
        table.add_row(said.helper, said.claim, said.there, said.overall)
    console.print(table)
    mine, others = placed.rewards
    which = "the most probable layout" if placed.chosen == 0 else f"sample {placed.chosen}"
    console.print(f"Chosen by the reward model among {samples + 1} layouts: {which}.")
    console.print(
        f"Reward model: {placed.scores[0]:+.1f} nats, random layouts {placed.scores[1]:+.1f} on average.\n"
        f"Simulation: true reward {mine:.2f}; {len(others)} random layouts {others.mean():.2f} on average, "
        f"{others.max():.2f} at best; better than {(mine > others).mean():.0%} of them."
    )
