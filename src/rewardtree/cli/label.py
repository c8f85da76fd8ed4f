"""`rewardtree label RUN`: serve the page on which people compare a run's outputs, while the run goes on or apart."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rewardtree.cli.options import Key, Run, Store

if TYPE_CHECKING:
    from socket import socket

    from rewardtree.preferences.labelling import Labelling
    from rewardtree.studies.config import RunConfig
    from rewardtree.studies.run import Beside

app = typer.Typer()
PORT = 8765
USES = 50
"""Accounts that the first invitation for labellers allows."""
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port to serve the page at; 0 for any that is free.")]
Open = Annotated[bool, typer.Option("--open", help="One person at this machine, without signing in.")]


@app.command()
def label(
    run: Run = None,
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 for all of this machine.")] = "127.0.0.1",
    port: Port = PORT,
    open_: Open = False,
    store: Store = None,
    key: Key = None,
    wait: Annotated[bool, typer.Option("--wait", help="With --key: serve before that run has begun.")] = False,
    invite: Annotated[int | None, typer.Option(min=1, help="Print an invitation for so many labellers.")] = None,
    account: Annotated[str | None, typer.Option(help="Make this account or reset its password, and stop.")] = None,
    role: Annotated[str, typer.Option(help="Of that account: labeller or researcher.")] = "labeller",
    minutes: Annotated[float, typer.Option(min=0.1, help="A comparison is a labeller's own for so long.")] = 15.0,
    https: Annotated[bool, typer.Option("--https", help="A proxy serves the page by HTTPS.")] = False,
    name: Annotated[list[str] | None, typer.Option(help="Further host name of the page, such as the proxy's.")] = None,
    proxy: Annotated[str, typer.Option(help="Address of the proxy whose word on who asks is taken.")] = "",
    reliability: Annotated[bool, typer.Option(help="Show how reliable each helper was measured to be.")] = True,
) -> None:
    """Serve the page on which people compare a run's outputs."""
    from rewardtree.errors import ConfigError
    from rewardtree.preferences.labelling import open_labelling
    from rewardtree.web.serve import listen, serve

    if open_ and (https or name or proxy):
        raise ConfigError("--open is for one person at this very machine; behind a proxy let people sign in")
    target, project = place_of(run, store, key)
    waits = wait or (run is not None and key is None)
    labelling = open_labelling(target, project, lease_seconds=60 * minutes, new=waits)
    try:
        expect_run(labelling, waits=waits)
        if account is not None:
            set_account(labelling, account, role)
            return
        open_as = person(labelling) if open_ else None
        with listen(host, port, alone=open_) as listening:
            scheme = "https" if https else "http"
            shown = (name or [host])[0] if host not in ("0.0.0.0", "::") else (name or ["THIS-MACHINE"])[0]
            ending = "" if https else f":{listening.getsockname()[1]}"
            greet(labelling, f"{scheme}://{shown}{ending}", open_=open_, uses=invite)
            serve(
                labelling, host, listening=listening, hosts=tuple(name or ()), proxies=proxy,
                title=title_of(run, project), open_as=open_as, secure=https, show_reliability=reliability,
            )  # fmt: skip
    finally:
        labelling.close()


def place_of(run: Path | None, store: str | None, key: str | None) -> tuple[str, str]:
    """The store and key that are meant, by a run's folder or by themselves.

    Raises:
        RunError: where the folder holds no run that people label.
        ConfigError: where neither a folder nor store and key are given.
    """
    from rewardtree.errors import ConfigError
    from rewardtree.studies.places import labelled

    if run is None and (store is None or key is None):
        raise ConfigError("give the run's folder, or --store and --key where that is elsewhere")
    if run is not None and not run.is_dir():
        raise ConfigError(f"there is no run in {run}; give a run's folder, or a database by --store and --key")
    if run is None:
        assert store is not None and key is not None, "checked above"
        return store, key
    target, found = labelled(run)
    return store or target, key or found


def expect_run(labelling: "Labelling", *, waits: bool) -> None:
    """Make sure that a run has begun, or say that it has not.

    Args:
        labelling: the store's side.
        waits: whether a run that begins later is waited for.

    Raises:
        NoRunError: where none has begun and none is waited for.
    """
    from rewardtree.errors import NoRunError

    try:
        labelling.check_runs()
    except NoRunError as error:
        if not waits:
            raise NoRunError(f"{error}; or add --wait for one that begins later") from error
        typer.echo(f"No run {labelling.key} has begun in this store yet; its comparisons are shown once it has.")


@contextmanager
def beside_of(config: "RunConfig", *, page: bool, port: int, open_: bool) -> Iterator["Beside"]:
    """What goes on beside a run: the page on which people label, where they do and it is wanted.

    Its port is taken before the run makes anything.
    """
    from rewardtree.studies.run import nothing

    if not page or not config.asks_people:
        yield nothing
        return
    from rewardtree.web.serve import listen

    with listen("127.0.0.1", port) as listening:
        yield partial(page_beside, listening=listening, open_=open_)


@contextmanager
def page_beside(run: Path, *, listening: "socket", open_: bool) -> Iterator[None]:
    """Serve a run's page from this process while the block lasts."""
    from rewardtree.preferences.labelling import open_labelling
    from rewardtree.web.serve import serving

    target, project = place_of(run, None, None)
    labelling = open_labelling(target, project)
    try:
        open_as = person(labelling) if open_ else None
        with serving(labelling, listening=listening, title=title_of(run, project), open_as=open_as) as address:
            greet(labelling, address, open_=open_, uses=None)
            yield
    finally:
        labelling.close()


def greet(labelling: "Labelling", address: str, *, open_: bool, uses: int | None) -> None:
    """Say where the page is, and how to get in: by new invitations where nobody has an account yet, or where asked."""
    typer.echo(f"People label at {address}" + (" (open to whoever sits at this machine)" if open_ else ""))
    if open_:
        return
    kinds: list[tuple[Literal["labeller", "researcher"], int, str]] = []
    if not labelling.accounts():
        kinds = [("researcher", 1, "you, who see all answers"), ("labeller", uses or USES, "labellers")]
    elif uses is not None:
        kinds = [("labeller", uses, "labellers")]
    for role, count, whom in kinds:
        code = labelling.invite(role, uses=count)
        typer.echo(f"  to join, for {whom} ({count} at most, 7 days): {address}/join/{code}")


def set_account(labelling: "Labelling", name: str, role: str) -> None:
    """Make an account, or give it a new password, which is asked for."""
    from rewardtree.errors import AccountError

    if role not in ("labeller", "researcher"):
        raise AccountError(f"there is no role {role!r}; give labeller or researcher")
    password = os.environ.get("REWARDTREE_PASSWORD") or typer.prompt(
        "Password", hide_input=True, confirmation_prompt=True
    )
    labelling.set_password(name, password, "researcher" if role == "researcher" else "labeller")
    typer.echo(f"{name} may sign in as a {role}.")


def title_of(run: Path | None, project: str) -> str:
    """What the page is called."""
    return run.resolve().name if run is not None else project


def person(labelling: "Labelling") -> str:
    """The name under which the one person at this machine answers, as a researcher.

    Raises:
        AccountError: where an account of that name may not sign in, or is a labeller's.
    """
    import getpass

    from rewardtree.preferences.accounts import is_name

    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        name = "me"
    name = name if is_name(name) else "me"
    labelling.check_open(name, "researcher")
    return name
