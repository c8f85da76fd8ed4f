"""`rewardtree label`: whom it lets in, which store it finds, and what it says before it serves."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from rewardtree import cli


def label(*arguments: object) -> Result:
    return CliRunner().invoke(cli.app, ["label", *map(str, arguments)], env={"COLUMNS": "160"})


def refused(done: Result) -> str:
    """The one sentence of a refusal."""
    assert done.exit_code == 2 and done.stdout == "", done.output
    (sentence,) = done.stderr.splitlines()
    return sentence


@pytest.mark.parametrize("option", [("--https",), ("--name", "labels.example"), ("--proxy", "127.0.0.1")])
def test_a_page_without_signing_in_stands_behind_no_proxy(tmp_path: Path, option: tuple[str, ...]) -> None:
    done = label("--store", tmp_path / "labels.db", "--key", "pairs", "--open", *option)
    assert "behind a proxy let people sign in" in refused(done)
    assert list(tmp_path.iterdir()) == []
