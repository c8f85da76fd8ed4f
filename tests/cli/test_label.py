"""`rewardtree label`: whom it lets in, which store it finds, and what it says before it serves."""

import importlib
import json
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
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


def invitations(store: Path) -> int:
    with closing(sqlite3.connect(store)) as connection:
        return int(connection.execute("SELECT count(*) FROM label_invitation").fetchone()[0])


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


def test_a_wrong_key_is_refused_and_the_right_ones_named(store: Path) -> None:
    open_store(store, run="3f2a/0").close()
    open_store(store, run="3f2a/1").close()
    sentence = refused(label("--store", store, "--key", "pear", "--account", "ada"))
    assert sentence == (
        f"the store {store} has no run 'pear'; give one of its keys with --key: 3f2a, pairs; "
        "or add --wait for one that begins later"
    )
    labelling = open_labelling(store, "pear")
    assert labelling.accounts() == []
    labelling.close()


def test_many_keys_are_not_all_named(store: Path) -> None:
    for number in range(12):
        open_store(store, run=f"k{number}").close()
    sentence = refused(label("--store", store, "--key", "pear"))
    assert "k11, k10, k9, k8, k7, k6, k5, k4, k3, k2 and 3 older ones" in sentence


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    assert "there is no store" in refused(label("--store", tmp_path / "labels.db", "--key", "pairs"))
    assert list(tmp_path.iterdir()) == []


def test_a_store_without_runs_says_so(tmp_path: Path) -> None:
    open_labelling(tmp_path / "labels.db", "pairs").close()
    sentence = refused(label("--store", tmp_path / "labels.db", "--key", "pairs"))
    assert "it holds none at all, so give another store" in sentence


@pytest.mark.parametrize("by_folder", [True, False])
def test_a_run_that_begins_later_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_folder: bool
) -> None:
    monkeypatch.setenv("REWARDTREE_PASSWORD", "long enough")
    (tmp_path / ".key").write_text("3f2a")
    (tmp_path / "config.json").write_text(json.dumps({"evaluator": "human"}))
    which = [tmp_path] if by_folder else ["--store", tmp_path / "labels.db", "--key", "3f2a", "--wait"]
    done = label(*which, "--account", "ada")
    assert done.exit_code == 0, done.output
    assert done.stdout == (
        "No run 3f2a has begun in this store yet; its comparisons are shown once it has.\n"
        "ada may sign in as a labeller.\n"
    )
    open_store(tmp_path / "labels.db", run="3f2a/0").close()
    assert label(*which, "--account", "ada").stdout == "ada may sign in as a labeller.\n"


@pytest.fixture
def taken() -> Iterator[int]:
    """A port at which another program listens."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


def test_a_taken_port_is_said_so_before_anything_else(store: Path, taken: int) -> None:
    sentence = refused(label("--store", store, "--key", "pairs", "--port", taken))
    assert sentence == (f"cannot listen at 127.0.0.1, port {taken}: address already in use; choose another with --port")
    assert invitations(store) == 0


def test_an_address_that_is_not_this_machines_is_said_so(store: Path) -> None:
    sentence = refused(label("--store", store, "--key", "pairs", "--host", "no.such.host.invalid"))
    assert sentence.startswith("cannot listen at no.such.host.invalid, port 8765: ")
    assert sentence.endswith("choose another with --host or --port") and "attempting" not in sentence
    assert "must not be open to others" in refused(
        label("--store", store, "--key", "pairs", "--open", "--host", "0.0.0.0")
    )


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_cannot_be_is_refused(store: Path, port: int) -> None:
    done = label("--store", store, "--key", "pairs", "--port", port)
    assert done.exit_code == 2 and "Invalid value for '--port'" in done.stderr


def test_invitations_are_made_for_the_port_that_is_served(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[int] = []
    monkeypatch.setattr(
        importlib.import_module("rewardtree.web.serve"),
        "serve",
        lambda labelling, host, *, listening, **page: served.append(listening.getsockname()[1]),
    )
    done = label("--store", store, "--key", "pairs", "--port", 0)
    assert done.exit_code == 0, done.output
    assert f"People label at http://127.0.0.1:{served[0]}\n" in done.stdout and served[0] > 0
    assert done.stdout.count(f"http://127.0.0.1:{served[0]}/join/") == invitations(store) == 2


def test_a_run_whose_page_has_no_port_makes_nothing(tmp_path: Path, taken: int) -> None:
    done = CliRunner().invoke(
        cli.app,
        [
            "run",
            "chip",
            "--preset",
            "tiny",
            "--evaluator",
            "human",
            "--port",
            str(taken),
            "--out",
            str(tmp_path / "run"),
        ],
    )
    assert "address already in use" in refused(done)
    assert list(tmp_path.iterdir()) == []
