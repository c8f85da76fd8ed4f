"""`rewardtree list`: the domains and protocols that are installed."""

import typer

app = typer.Typer()


@app.command(name="list")
def list_() -> None:
    """List the domains that can be run, and the protocols that a study can compare."""
    from rich.console import Console
    from rich.table import Table

    from rewardtree.studies.installed import DOMAINS, PROTOCOLS, find_domain, find_protocol, installed

    table = Table("domain", "what", "nodes, leaves first", box=None)
    for name in sorted(installed(DOMAINS)):
        domain = find_domain(name)
        table.add_row(name, domain.summary, ", ".join(domain.nodes))
    schemes = Table("protocol", "what", "after", box=None)
    for name in sorted(installed(PROTOCOLS)):
        scheme = find_protocol(name)
        schemes.add_row(name, scheme.title, scheme.paper)
    console = Console()
    console.print(table)
    console.print(schemes)
