"""`rewardtree list`: the domains that are installed."""

import typer

app = typer.Typer()


@app.command(name="list")
def list_() -> None:
    """List the domains that can be run."""
    from rich.console import Console
    from rich.table import Table

    from rewardtree.studies.run import domains, find_domain

    table = Table("domain", "what", "nodes, leaves first", box=None)
    for name in sorted(domains()):
        domain = find_domain(name)
        table.add_row(name, domain.summary, ", ".join(domain.nodes))
    Console().print(table)
