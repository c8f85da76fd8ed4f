"""`rewardtree labels`: figures on the screen, files out and in, and where a run's store is found."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from rewardtree import cli
from rewardtree.preferences import open_store
from rewardtree.preferences.labelling import open_labelling


def labels(*arguments: object) -> Result:
    return CliRunner().invoke(cli.app, ["labels", *map(str, arguments)], env={"COLUMNS": "160"})


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """A store in which ada and the careless [bold]bob labelled a set of thirty pairs whose labels are known."""
    rows = [{"prompt": f"{i}", "a": f"good {i}", "b": f"bad {i}", "label": "a"} for i in range(30)]
    (tmp_path / "set.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    store = tmp_path / "labels.db"
    done = labels("import", tmp_path / "set.jsonl", "--store", store, "--key", "pairs", "--overlap", 2, "--gold")
    assert done.exit_code == 0, done.output
    assert "30 rows: 30 new comparisons, 0 new answers" in done.output
    assert f"rewardtree label --store {store} --key pairs" in done.output
    now = [1000.0]
    page = open_labelling(store, "pairs", clock=lambda: now[0])
    for name, seconds in (("ada", 8.0), ("[bold]bob", 0.5)):
        while (work := page.next(name)) is not None:
            right = name == "ada" or int(work.comparison.payload["prompt"]) % 2 == 0
            first = work.comparison.payload["first"].startswith("good") == right
            now[0] += seconds
            page.answer(name, work.token, "first" if first else "second")
    page.close()
    return store


def test_quality_is_shown(labelled: Path) -> None:
    done = labels("quality", "--store", labelled, "--key", "pairs")
    assert done.exit_code == 0, done.output
    assert "60 answers by 2 labellers to 30 comparisons" in done.output
    rows = {line.split()[0]: line.split() for line in done.output.splitlines() if line.startswith(("ada", "[bold]bob"))}
    assert rows.keys() == {"ada", "[bold]bob"}  # a name is no markup
    assert "100 %" in done.output and "50 %" in done.output
    assert "! Labeller [bold]bob answers faster than" in done.output
    assert done.output.index("! Labeller [bold]bob is right in 50 % of 30") > done.output.index("Krippendorff")


def test_quality_is_json_where_asked(labelled: Path) -> None:
    done = labels("quality", "--store", labelled, "--key", "pairs", "--json")
    found = json.loads(done.output, parse_constant=lambda what: pytest.fail(what))
    assert [one["accuracy"]["mean"] for one in found["labellers"]] == [0.5, 1.0]


def test_quality_of_nothing(tmp_path: Path) -> None:
    open_store(tmp_path / "store.db", run="pairs").close()
    done = labels("quality", "--store", tmp_path / "store.db", "--key", "pairs")
    assert (done.exit_code, done.output) == (0, "Nobody has answered anything yet.\n")


@pytest.mark.parametrize(("form", "name"), [("jsonl", "out.jsonl"), ("parquet", "out.parquet")])
def test_out_and_in_again(labelled: Path, tmp_path: Path, form: str, name: str) -> None:
    out = tmp_path / name
    done = labels("export", "--store", labelled, "--key", "pairs", "--format", form, "--out", out)
    assert (done.exit_code, done.output) == (0, f"{out}: 60 rows\n"), done.output
    done = labels("import", out, "--store", tmp_path / "other.db")
    assert done.exit_code == 0 and "60 rows: 30 new comparisons, 60 new answers" in done.output
    first, second = (
        labels("quality", "--store", store, "--key", "pairs", "--json").output
        for store in (labelled, tmp_path / "other.db")
    )

    def figures(text: str) -> Any:
        return {name: value for name, value in json.loads(text).items() if name != "at"}

    assert figures(first) == figures(second)


def test_preferences_are_exported(tmp_path: Path) -> None:
    rows = [{"prompt": "?", "chosen": "yes", "rejected": "no", "labeller": name} for name in ("ada", "bob")]
    (tmp_path / "set.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    labels("import", tmp_path / "set.jsonl", "--store", tmp_path / "store.db", "--key", "pairs")
    for flags, count in (((), 1), (("--per-rater",), 2), (("--least-margin", "0.999"), 0)):
        out = tmp_path / "out.jsonl"
        done = labels(
            "export", "--store", tmp_path / "store.db", "--key", "pairs", "--format", "preference", "--out", out, *flags
        )
        assert done.exit_code == 0, done.output
        found = [json.loads(line) for line in out.read_text().splitlines()]
        assert [(row["prompt"], row["chosen"], row["rejected"]) for row in found] == [("?", "yes", "no")] * count


@pytest.mark.parametrize(
    ("form", "name", "says"),
    [
        ("preference", "pairs", "written as JSONL or Parquet, and its name says neither; end it in .jsonl or .parquet"),
        ("preference", "pairs.csv", "its name says neither; end it in .jsonl or .parquet"),
        ("jsonl", "out.txt", "is not named as jsonl; end its name in .jsonl, or choose another format"),
        ("jsonl", "out.parquet", "is not named as jsonl; end its name in .jsonl, or choose another format"),
        ("parquet", "out.jsonl", "is not named as parquet; end its name in .parquet, or choose another format"),
    ],
)
def test_a_name_that_does_not_fit_the_format_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, name: str, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    open_store("store.db", run="pairs").close()
    done = labels("export", "--store", "store.db", "--key", "pairs", "--format", form, "--out", name)
    assert done.exit_code == 2 and done.stderr.startswith(f"{name}: ") and says in done.stderr
    assert not Path(name).exists() and len(done.stderr.splitlines()) == 1


def test_a_runs_folder_says_where_its_store_is(labelled: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / ".key").write_text("pairs\n")
    (run / "config.json").write_text(json.dumps({"evaluator": "human", "store": None}))
    os.replace(labelled, run / "labels.db")
    assert "60 answers" in labels("quality", run).output
    (run / "config.json").write_text(json.dumps({"evaluator": "human", "store": str(tmp_path / "moved.db")}))
    os.replace(run / "labels.db", tmp_path / "moved.db")
    assert "60 answers" in labels("quality", run).output


@pytest.mark.parametrize("command", [("label",), ("labels", "quality"), ("labels", "export", "--out", "out.jsonl")])
def test_every_command_names_a_store_in_the_same_way(
    command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "labels.db").touch()
    for where in ("labels.db", "nowhere"):
        done = CliRunner().invoke(cli.app, [*command, where])
        assert done.exit_code == 2
        assert done.stderr == f"there is no run in {where}; give a run's folder, or a database by --store and --key\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("quality", "nowhere"), "there is no run in nowhere"),
        (("quality", "postgresql://localhost/labels"), "a database by --store and --key"),
        (("quality", "--store", "store.db"), "give the run's folder, or --store and --key"),
        (("export", "nowhere", "--out", "out.jsonl"), "there is no run in nowhere"),
        (("quality", "--store", "store.db", "--key", "pairs"), "there is no store"),
        (("import", "gone.jsonl", "--store", "store.db", "--key", "pairs"), "gone.jsonl: cannot be read"),
    ],
)
def test_what_the_user_can_mend_is_one_sentence(
    arguments: tuple[str, ...], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = labels(*arguments)
    assert done.exit_code == 2
    assert says in done.stderr and len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["export", "import", "quality"])
def test_help(name: str) -> None:
    assert labels(name, "--help").exit_code == 0
