"""What every command gets: lazy loading, mendable errors in a sentence, a way to go on after Ctrl-C."""

import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType

import pytest
import typer
from typer.testing import CliRunner

from rewardtree import cli
from rewardtree.errors import ConfigError


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., None]], None]:
    """Make a function the command `try-it`."""

    def install(function: Callable[..., None]) -> None:
        module = ModuleType("rewardtree.cli.try_it")
        module.app = typer.Typer()  # type: ignore[attr-defined]
        module.app.command()(function)
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setitem(cli.COMMANDS, "try-it", "Only a trial.")

    return install


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_listed_command_exists(name: str) -> None:
    done = CliRunner().invoke(cli.app, [name, "--help"])
    assert done.exit_code == 0, done.output


def test_help_lists_commands_without_importing_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cli.COMMANDS, "not-there", "Has no module.")
    done = CliRunner().invoke(cli.app, ["--help"])
    assert done.exit_code == 0
    assert "not-there" in done.output and "Has no module." in done.output


def test_a_command_runs(command: Callable[..., None]) -> None:
    command(lambda: typer.echo("done"))
    done = CliRunner().invoke(cli.app, ["try-it"])
    assert (done.exit_code, done.stdout) == (0, "done\n")


def test_a_misspelt_command_is_put_right(command: Callable[..., None]) -> None:
    command(lambda: None)
    done = CliRunner().invoke(cli.app, ["tri-it"])
    assert done.exit_code == 2
    assert "Did you mean 'try-it'?" in done.stderr


def test_what_the_user_can_mend_is_one_sentence(command: Callable[..., None]) -> None:
    def broken() -> None:
        raise ConfigError("seeds is 0; give at least 1")

    command(broken)
    done = CliRunner().invoke(cli.app, ["try-it"], color=True)
    assert done.exit_code == 2
    assert done.stderr == "\x1b[31mseeds is 0; give at least 1\x1b[0m\n"
    assert done.stdout == ""


def test_what_nobody_foresaw_keeps_its_traceback(command: Callable[..., None]) -> None:
    def broken() -> None:
        raise ZeroDivisionError

    command(broken)
    with pytest.raises(ZeroDivisionError):
        CliRunner().invoke(cli.app, ["try-it"], catch_exceptions=False)


@pytest.mark.parametrize("begun", [True, False])
def test_ctrl_c_says_how_to_go_on(command: Callable[..., None], begun: bool) -> None:
    def interrupted() -> None:
        with cli.resumable(Path("runs/demo")) if begun else nullcontext():
            raise KeyboardInterrupt

    command(interrupted)
    done = CliRunner().invoke(cli.app, ["try-it"])
    assert done.exit_code == 130
    assert ("rewardtree resume runs/demo" in done.stderr) == begun
