"""`rewardtree check DOMAIN`: can recursion work on this tree?"""

from pathlib import Path
from typing import Annotated, Any

import typer

from rewardtree.cli.options import Settings

app = typer.Typer()


@app.command()
def check(
    domain: Annotated[str, typer.Argument(help="Domain whose tree is checked.")],
    seed: Annotated[int, typer.Option(help="Of the evaluators' experience.")] = 0,
    config: Annotated[Path | None, typer.Option(help="YAML file with the names of `run`.")] = None,
    set_: Settings = None,
) -> None:
    """Measure whether helpers' tasks are easier and their answers sufficient; exits with 1 if not."""
    from rich.console import Console
    from rich.table import Table

    from rewardtree.cli.run import pairs
    from rewardtree.studies.config import parse, read_config
    from rewardtree.studies.installed import find_domain
    from rewardtree.tree.check import check as measure

    given: dict[str, Any] = pairs(set_ or [], read_config(config) if config else {}) | {"domain": domain, "seed": seed}
    wanted = parse(given)
    findings = measure(find_domain(domain).build(wanted.settings(seed)), seed=seed, pairs=wanted.test_pairs)
    console = Console()
    table = Table(
        "node",
        "depth",
        "unaided",
        "ideal helpers",
        "expert",
        "easier helpers",
        "sufficient",
        box=None,
        title=f"{domain}, {wanted.budget} readings a comparison",
        title_justify="left",
    )
    for found in findings:
        leaf = found.ideal is None
        table.add_row(
            found.node,
            str(found.depth),
            f"{found.unaided:.1%}",
            "" if leaf else f"{found.ideal:.1%}",
            f"{found.expert:.1%}",
            "leaf" if leaf else _word(found.all_easier),
            _word(found.sufficient) if not leaf else "",
        )
    console.print(table)
    for found in findings:
        if found.silent:
            costs = sorted(found.silent.items(), key=lambda item: item[1])
            said = ", ".join(f"{name} {(found.ideal or 0) - value:.1%}" for name, value in costs)
            console.print(f"{found.node}: accuracy lost when one ideal helper is silent: {said}")
        if found.missing:
            said = ", ".join(f"{name} {value:+.2f}" for name, value in list(found.missing.items())[:3])
            console.print(f"{found.node}: what wrong answers overlook with ideal helpers, in spreads: {said}")
    bad = [f.node for f in findings if not (f.all_easier and f.sufficient)]
    if bad:
        console.print(
            f"Recursion is in doubt at {', '.join(bad)}: change the questions, the instruments or the budget there."
        )
        raise typer.Exit(1)
    console.print("Every helper's task is judged better unaided than its parent's, and ideal helpers suffice.")


def _word(good: bool) -> str:
    return "[green]yes[/green]" if good else "[red]no[/red]"
