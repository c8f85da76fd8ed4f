"""The command line: one module a command, imported only when that command is called.

To add a command `name`, write `rewardtree/cli/name.py` with `app = typer.Typer()` and one `@app.command()`
in it (or several, for a command with subcommands), import what is heavy inside the function, and enter the
name with its one-line help in `COMMANDS`. What a command does to a run goes inside `with resumable(run):`.
"""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from rewardtree import __version__
from rewardtree.errors import RewardtreeError

COMMANDS: dict[str, str] = {
    "run": "Train a tree, and what it must beat, on one ledger.",
    "resume": "Go on with a run from its last finished iteration.",
    "fetch": "Bring the data that a domain needs.",
    "pretrain": "Train a small language model from scratch on a domain's books.",
    "check": "Measure, before labels are spent, whether recursion can work.",
    "report": "Write the report of a finished run again.",
    "study": "Compare schemes, seeds and label budgets on one task.",
    "sandwich": "Compare unaided, assisted and expert evaluators on the same comparisons.",
    "propagation": "Plant faults in a helper and follow the error up the tree.",
    "drift": "Hold reward models against what policies make of them, refreshed or frozen.",
    "label": "Serve the page on which people compare a run's outputs.",
    "labels": "Export, import and judge the labels that people gave.",
    "list": "List the domains and protocols that are installed.",
    "apply": "Use a trained root on an input of your own.",
}
"""Each command's name and its line in `rewardtree --help`; a `-` in a name is a `_` in its module's."""


class _InterruptedRun(KeyboardInterrupt):
    """Ctrl-C during a run that can be gone on with."""

    def __init__(self, run: Path) -> None:
        super().__init__(str(run))
        self.run = run


@contextmanager
def resumable(run: Path) -> Iterator[None]:
    """Let Ctrl-C in this block say how to go on with `run`, the directory of a run that has begun."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise _InterruptedRun(run) from error


class _LazyGroup(TyperGroup):
    """Lists the commands without importing them, and turns what a user can mend into one sentence.

    `typer`'s own types for contexts and commands are private to it, hence `Any`.
    """

    def __init__(self, **settings: Any) -> None:
        listed = {name: TyperCommand(name=name, help=line) for name, line in COMMANDS.items()}
        super().__init__(**settings | {"commands": listed})

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name, listed, rest = super().resolve_command(ctx, args)
        return name, listed and _load(listed.name or ""), rest

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except RewardtreeError as error:
            typer.secho(str(error), fg="red", err=True)
            raise typer.Exit(2) from error
        except KeyboardInterrupt as error:
            typer.secho(_farewell(error), fg="yellow", err=True)
            raise typer.Exit(130) from error


def _load(name: str) -> Any:
    module = importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
    command = typer.main.get_command(module.app)
    command.name = name
    return command


def _farewell(interrupt: KeyboardInterrupt) -> str:
    if isinstance(interrupt, _InterruptedRun):
        return f"\nStopped; what was finished is kept. Go on with: rewardtree resume {interrupt.run}"
    return "\nStopped."


def _print_version(wanted: bool) -> bool:
    if wanted:
        typer.echo(f"rewardtree {__version__}")
        raise typer.Exit
    return wanted


app = typer.Typer(cls=_LazyGroup, no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Train a tree of policies whose outputs are judged with the help of their children."""


def main() -> None:
    """Run the command line; the entry point of the `rewardtree` script.

    What the user can mend (`RewardtreeError`) is printed as one sentence and exits with 2, as a wrong option
    does; Ctrl-C exits with 130 and says how to resume; any other exception keeps its traceback.
    """
    app()
