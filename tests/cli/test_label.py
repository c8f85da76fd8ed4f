"""`rewardtree label`: whom it lets in, which store it finds, and what it says before it serves."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from rewardtree import cli
from rewardtree.cli.label import person
from rewardtree.preferences import open_store
from rewardtree.preferences.labelling import open_labelling


def label(*arguments: object) -> Result:
    return CliRunner().invoke(cli.app, ["label", *map(str, arguments)], env={"COLUMNS": "160"})


def refused(done: Result) -> str:
    """The one sentence of a refusal."""
    assert done.exit_code == 2 and done.stdout == "", done.output
    (sentence,) = done.stderr.splitlines()
    return sentence


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with a run `pairs`."""
    open_store(tmp_path / "labels.db", run="pairs").close()
    return tmp_path / "labels.db"


@pytest.mark.parametrize("option", [("--https",), ("--name", "labels.example"), ("--proxy", "127.0.0.1")])
def test_a_page_without_signing_in_stands_behind_no_proxy(tmp_path: Path, option: tuple[str, ...]) -> None:
    done = label("--store", tmp_path / "labels.db", "--key", "pairs", "--open", *option)
    assert "behind a proxy let people sign in" in refused(done)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("active", "says"), [(True, "'ada' is a labeller's"), (False, "'ada' may no longer sign in")])
def test_an_account_of_the_same_name_is_left_as_it_is(
    store: Path, monkeypatch: pytest.MonkeyPatch, active: bool, says: str
) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "ada")
    labelling = open_labelling(store, "pairs")
    labelling.set_password("ada", "long enough", "labeller")
    if not active:
        labelling.deactivate("ada")
    assert says in refused(label("--store", store, "--key", "pairs", "--open"))
    (account,) = labelling.accounts()
    assert (account.role, account.active) == ("labeller", active)
    labelling.close()


@pytest.mark.parametrize(("login", "name"), [("ada", "ada"), ("_www", "me"), ("ada$", "me")])
def test_who_sits_at_this_machine_has_a_name(
    store: Path, monkeypatch: pytest.MonkeyPatch, login: str, name: str
) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: login)
    labelling = open_labelling(store, "pairs")
    assert person(labelling) == name
    assert labelling.open_session(name, "researcher")[1].account.name == name
    labelling.close()
