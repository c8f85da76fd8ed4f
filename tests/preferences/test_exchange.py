"""Labels out and in: nothing is lost, nothing is stored twice or in part, and what others write and read fits."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from rewardtree.errors import InputFileError, StoreError
from rewardtree.preferences import Comparison, Preference, canonical_json, comparison_id, open_store
from rewardtree.preferences.exchange import (
    Project,
    Wishes,
    export_file,
    export_rows,
    import_file,
    read_project,
)
from rewardtree.preferences.exchange_files import read_rows, write_rows
from rewardtree.preferences.exchange_rows import COLUMNS, PREFERENCES, text_of
from rewardtree.preferences.labelling import open_labelling
from rewardtree.tasks.board import Board, Shown, ShownSide, pack, unpack

PAIR = {"prompt": "Name a prime.", "a": "7", "b": "9", "label": "a"}
SIDE = ShownSide(board=Board(kind="text", media_type="text/plain", data="an output"))


def asked(run: str, number: int, **more: Any) -> Comparison:
    shared: dict[str, Any] = {
        "run": run, "node": "root", "protocol": "recursive", "question": "Which is better?", "budget": 2,
        "policy_versions": {"helper": "3"},
    }  # fmt: skip
    payload = {
        "input": f"question {number}", "first": {"output": [number, 1 / 7], "claims": [1]},
        "second": {"output": "ä", "claims": []},
        "people": {"mode": "revise", "view": "evidence", "verdicts": {"h": "first"}},
    }  # fmt: skip
    name = comparison_id(payload=payload, **shared)
    shared.pop("run")
    return Comparison(id=name, payload=payload, fields=pack(Shown(first=SIDE, second=SIDE)), **shared | more)


@pytest.fixture
def labelled(tmp_path: Path) -> tuple[Path, str]:
    """A project of two runs that three people labelled: with revisions, answers taken back, ties and silence."""
    target, clock = tmp_path / "labels.db", iter(range(1000, 9000))
    for seed in (0, 1):
        run = f"demo/seed-{seed}"
        with open_store(target, run=run) as store:
            first = [asked(run, i, slots=3, priority=i / 3, shadow=0.3) for i in range(4)]
            known = asked(run, 90, slots=3, purpose="gold", known=1.0, priority=5.0)
            again = asked(run, 91, slots=1, purpose="repeat", original=first[0].id)
            store.submit([*first, known, again, asked(run, 92, slots=0)])
    page = open_labelling(target, "demo", clock=lambda: next(clock) / 3)
    for number, name in enumerate(("ada", "bob", "Ünal")):
        for turn in range(5 + number):
            work = page.next(name)
            assert work is not None
            for choice in ("slightly_first", "cannot_tell" if turn == 1 else "second"):
                page.answer(name, work.token, choice, rationale="so \n\u2028 it seems")  # type: ignore[arg-type]
            if turn == 2:
                page.undo(name)
    page.close()
    return target, "demo"


def same(one: Project, other: Project) -> None:
    """Everything but the order in which several runs' answers were stored, which only their times tell."""
    assert one.comparisons == other.comparisons
    assert sorted(one.records.answers, key=repr) == sorted(other.records.answers, key=repr)


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_a_round_trip_loses_nothing_and_a_second_changes_nothing(
    labelled: tuple[Path, str], fresh: str, tmp_path: Path, form: Any
) -> None:
    before = read_project(*labelled)
    assert {one.condition for one in before.records.answers} == {"unaided", "revised"}
    assert {one.withdrawn for one in before.records.answers} == {True, False}
    assert len(before.comparisons) == 12  # those for simulated evaluators only are no business of people
    file = tmp_path / f"out.{form}"
    rows = export_file(before, file, form)
    done = import_file(file, fresh)
    assert (done.rows, done.comparisons, done.answers) == (rows, 12, len(before.records.answers))
    assert done.runs == ("demo/seed-0", "demo/seed-1")
    same(read_project(fresh, "demo"), before)
    again = import_file(file, fresh)
    assert (again.comparisons, again.answers) == (0, 0)
    assert import_file(file, labelled[0]).answers == 0
    same(read_project(fresh, "demo"), before)
    same(read_project(*labelled), before)


def test_rows_may_come_in_any_order(labelled: tuple[Path, str], tmp_path: Path) -> None:
    before = read_project(*labelled)
    rows = export_rows(before)
    write_rows(reversed(rows), tmp_path / "out.jsonl", COLUMNS)
    import_file(tmp_path / "out.jsonl", tmp_path / "other.db")
    after = read_project(tmp_path / "other.db", "demo")
    assert dict(after.comparisons) == dict(before.comparisons)
    assert sorted(after.records.answers, key=repr) == sorted(before.records.answers, key=repr)


def test_imported_answers_take_slots_and_are_not_asked_again(labelled: tuple[Path, str], tmp_path: Path) -> None:
    before = read_project(*labelled)
    export_file(before, tmp_path / "out.jsonl", "jsonl")
    import_file(tmp_path / "out.jsonl", tmp_path / "other.db")
    answered = {one.comparison for one in before.records.answers if one.labeller == "ada" and not one.withdrawn}
    page = open_labelling(tmp_path / "other.db", "demo")
    given = set()
    while (work := page.next("ada")) is not None:
        given.add(work.comparison.id)
        for _ in range(2):
            page.answer("ada", work.token, "tie")
    page.close()
    assert not given & answered
    by_all = [
        name
        for name, (_, one) in before.comparisons.items()
        if len({a.labeller for a in before.records.answers if a.comparison == name and not a.withdrawn}) >= one.slots
    ]
    assert by_all and not given & set(by_all)


def test_an_answer_and_its_revision_take_one_slot(tmp_path: Path) -> None:
    with open_store(tmp_path / "a.db", run="demo") as store:
        store.submit([asked("demo", 0, slots=2)])
    page = open_labelling(tmp_path / "a.db", "demo")
    work = page.next("ada")
    assert work is not None
    for choice in ("first", "second"):
        page.answer("ada", work.token, choice)  # type: ignore[arg-type]
    page.close()
    export_file(read_project(tmp_path / "a.db", "demo"), tmp_path / "out.jsonl", "jsonl")
    assert import_file(tmp_path / "out.jsonl", tmp_path / "b.db").answers == 2
    page = open_labelling(tmp_path / "b.db", "demo")
    assert page.next("ada") is None and page.next("bob") is not None and page.next("cy") is None
    page.close()


def test_the_answer_that_stands_is_not_replaced(tmp_path: Path) -> None:
    for number, probability in enumerate((1.0, 0.0)):
        write(tmp_path / f"{number}.jsonl", [GOOD | {"probability": probability, "time": 5.0 + number}])
    assert import_file(tmp_path / "0.jsonl", tmp_path / "store.db").answers == 1
    assert import_file(tmp_path / "1.jsonl", tmp_path / "store.db").answers == 0
    (one,) = read_project(tmp_path / "store.db", "demo").records.answers
    assert one.probability == 1.0


def test_an_answer_taken_back_later_is_taken_back_by_a_later_import(tmp_path: Path) -> None:
    with open_store(tmp_path / "a.db", run="demo") as store:
        store.submit([asked("demo", 0)])
    page = open_labelling(tmp_path / "a.db", "demo")
    work = page.next("ada")
    assert work is not None
    page.answer("ada", work.token, "first")
    export_file(read_project(tmp_path / "a.db", "demo"), tmp_path / "early.jsonl", "jsonl")
    page.undo("ada")
    page.answer("ada", work.token, "second")
    page.close()
    late = read_project(tmp_path / "a.db", "demo")
    export_file(late, tmp_path / "late.jsonl", "jsonl")
    for name in ("early", "late", "early", "late"):
        import_file(tmp_path / f"{name}.jsonl", tmp_path / "b.db")
    assert read_project(tmp_path / "b.db", "demo").records == late.records


def test_exported_columns_are_those_that_are_described(labelled: tuple[Path, str]) -> None:
    rows = export_rows(read_project(*labelled), boards=False, unanswered=False)
    assert all(row.keys() == COLUMNS.keys() for row in rows)
    assert all(row["fields"] is None for row in rows)
    page = (Path(__file__).parents[2] / "docs" / "labels.md").read_text()
    assert not [name for name in COLUMNS if f"`{name}`" not in page]


GOOD = {
    "run": "demo", "comparison": "0" * 32, "node": "root", "protocol": "p", "question": "?", "budget": 1,
    "policy_versions": "{}", "payload": "{}", "labeller": "ada", "condition": "unaided", "probability": 1.0,
    "swapped": False, "seconds": 1.0, "readings": 0, "claims_seen": [], "rationale": "", "time": 5.0,
    "withdrawn": False,
}  # fmt: skip


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ("{", "is no JSON"),
        ("[1]", "write one object a line"),
        (b"\xff{}", "is no JSON"),
        ({"payload": None}, "has no payload"),
        ({"payload": "["}, "payload is no JSON"),
        ({"payload": 3}, "payload is a int"),
        ({"fields": "*"}, "not base64"),
        ({"comparison": "x"}, "comparison id 'x'"),
        ({"run": 3}, "run is 3"),
        ({"probability": 1.5}, "give a number in [0, 1]"),
        ({"probability": "first"}, "give a finite number"),
        ({"condition": "drunk"}, "give one of unaided"),
        ({"labeller": ""}, "labeller is ''"),
        ({"swapped": "no"}, "give true or false"),
        ({"withdrawn": None}, "give true or false"),
        ({"claims_seen": "0"}, "give a list of positions"),
        ({"claims_seen": [-1]}, "claims_seen"),
        ({"time": None}, "time is None"),
        ({"seconds": -1}, "at least 0"),
        ({"purpose": "fun"}, "purpose is 'fun'"),
        ({"rationale": 3}, "rationale is 3"),
    ],
)
@pytest.mark.usefixtures("shapes_unchecked")
def test_a_bad_row_is_named_and_nothing_is_stored(tmp_path: Path, broken: Any, says: str) -> None:
    if isinstance(broken, dict):
        broken = json.dumps(GOOD | broken)
    raw = broken if isinstance(broken, bytes) else broken.encode()
    file = tmp_path / "rows.jsonl"
    file.write_bytes(json.dumps(GOOD).encode() + b"\n\n" + raw + b"\n")
    with pytest.raises(InputFileError) as caught:
        import_file(file, tmp_path / "store.db")
    assert caught.value.line == 3 and says in str(caught.value) and "; " in str(caught.value)
    assert not (tmp_path / "store.db").exists()


@pytest.mark.parametrize("missing", ["time", "condition", "withdrawn", "budget"])
def test_a_missing_column_is_named(tmp_path: Path, missing: str) -> None:
    (tmp_path / "rows.jsonl").write_text(json.dumps({k: v for k, v in GOOD.items() if k != missing}))
    with pytest.raises(InputFileError, match=f"rows.jsonl:1: has no {missing}; export"):
        import_file(tmp_path / "rows.jsonl", tmp_path / "store.db")


@pytest.mark.parametrize(
    ("name", "body", "says"),
    [
        ("rows.csv", b"a,b", "name it rows.jsonl"),
        ("gone.jsonl", None, "cannot be read"),
        ("gone.parquet", None, "cannot be read"),
        ("rows.parquet", b"PAR1 not", "cannot be read"),
        ("rows.jsonl", b"", "holds no rows"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, name: str, body: bytes | None, says: str) -> None:
    if body is not None:
        (tmp_path / name).write_bytes(body)
    with pytest.raises(InputFileError, match=says):
        import_file(tmp_path / name, tmp_path / "store.db", run="demo")


def test_a_file_that_cannot_be_written_is_refused(labelled: tuple[Path, str], tmp_path: Path) -> None:
    project = read_project(*labelled)
    with pytest.raises(StoreError, match="give a path that can be written"):
        export_file(project, tmp_path / "no" / "out.jsonl", "jsonl")
    with pytest.raises(InputFileError, match=r"end its name in \.parquet"):
        export_file(project, tmp_path / "out.jsonl", "parquet")
    with pytest.raises(StoreError, match="has no run 'other'"):
        read_project(labelled[0], "other")


def write(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_set_from_elsewhere_can_be_labelled(tmp_path: Path) -> None:
    rows = [
        PAIR,
        PAIR | {"a": "11", "label": "tie", "labeller": "Eve", "time": 7.0, "source": "book"},
        {"prompt": "Name a prime.", "chosen": "2", "rejected": "<b>4</b>"},
        {"prompt": "Name a prime.", "response_a": "5", "response_b": "6"},
        PAIR | {"a": "13", "label": None, "probability": 0.25},
    ]
    wishes = Wishes(run="pairs", question="Which is right?", overlap=2)
    done = import_file(write(tmp_path / "set.jsonl", rows), tmp_path / "labels.db", run="pairs", wishes=wishes)
    assert (done.rows, done.comparisons, done.answers) == (5, 5, 4)
    project = read_project(tmp_path / "labels.db", "pairs")
    (eve,) = project.records.answers
    assert (eve.labeller, eve.probability, eve.time) == ("Eve", 0.5, 7.0)
    with open_store(tmp_path / "labels.db", run="pairs") as store:
        labels = store.answered(project.comparisons)
    favoured = {}
    for name, (_, one) in project.comparisons.items():
        probability = labels[name].probability if name in labels else None
        favoured[one.payload["first"], one.payload["second"]] = probability
    better = {
        frozenset(pair): p if pair[0] in ("7", "2", "13") else 1 - p for pair, p in favoured.items() if p is not None
    }
    assert better[frozenset(("7", "9"))] == 1 and better[frozenset(("2", "<b>4</b>"))] == 1
    assert better[frozenset(("13", "9"))] == 0.25
    page = open_labelling(tmp_path / "labels.db", "pairs")
    seen = {}
    while (work := page.next("ada")) is not None:
        assert work.comparison.fields is not None and work.left == 0 and not work.shows_claims
        shown = unpack(work.comparison.fields)
        assert (shown["question"], shown["guide"]) == ("Which is right?", "Name a prime.")
        assert shown["first"]["board"]["data"] == work.comparison.payload["first"]
        seen[work.comparison.id] = work.comparison
        page.answer("ada", work.token, "first")
    page.close()
    assert len(seen) == 5  # labels that came with the set take no labeller's place, Eve's only her own
    assert any(one.payload.get("more") == {"source": "book"} for one in seen.values())


def test_a_set_is_imported_once_and_chosen_is_not_always_the_first(tmp_path: Path) -> None:
    rows = [{"prompt": f"{i}", "chosen": "good", "rejected": "bad"} for i in range(200)]
    file = write(tmp_path / "set.jsonl", rows)
    assert import_file(file, tmp_path / "labels.db", run="pairs").comparisons == 200
    again = import_file(file, tmp_path / "labels.db", run="pairs")
    assert (again.comparisons, again.answers) == (0, 0)
    project = read_project(tmp_path / "labels.db", "pairs")
    good_first = {name: one.payload["first"] == "good" for name, (_, one) in project.comparisons.items()}
    assert 70 < sum(good_first.values()) < 130
    with open_store(tmp_path / "labels.db", run="pairs") as store:
        labels = store.answered(good_first)
    assert {name: label.probability == 1.0 for name, label in labels.items()} == good_first


def test_labels_of_a_set_may_be_known_answers(tmp_path: Path) -> None:
    file = write(tmp_path / "set.jsonl", [PAIR])
    done = import_file(file, tmp_path / "labels.db", run="pairs", wishes=Wishes(run="pairs", gold=True))
    ((_, one),) = read_project(tmp_path / "labels.db", "pairs").comparisons.values()
    assert done.answers == 0 and one.purpose == "gold"
    assert one.known == (1.0 if one.payload["first"] == "7" else 0.0)


def test_conversations_without_a_prompt_are_split_where_they_part(tmp_path: Path) -> None:
    def message(role: str, content: str) -> dict[str, str]:
        return {"role": role, "content": content}

    begin = [message("user", "Name a prime."), message("assistant", "Of which size?"), message("user", "Small.")]
    row = {"chosen": [*begin, message("assistant", "7")], "rejected": [*begin, message("assistant", "9")]}
    import_file(write(tmp_path / "set.jsonl", [row]), tmp_path / "labels.db", run="pairs")
    project = read_project(tmp_path / "labels.db", "pairs")
    ((name, (_, one)),) = project.comparisons.items()
    assert one.payload["prompt"] == begin
    assert {one.payload["first"][0]["content"], one.payload["second"][0]["content"]} == {"7", "9"}
    assert one.fields is not None
    shown = unpack(one.fields)
    assert shown["guide"].startswith("user: Name a prime.\n\nassistant: Of which")
    page = open_labelling(tmp_path / "labels.db", "pairs")
    work = page.next("ada")
    assert work is not None
    page.answer("ada", work.token, "first" if one.payload["first"][0]["content"] == "7" else "second")
    page.close()
    for form in ("jsonl", "parquet"):
        file = tmp_path / f"out.{form}"
        export_file(read_project(tmp_path / "labels.db", "pairs"), file, "preference")
        ((_, back),) = read_rows(file)
        assert (back["prompt"], back["comparison"]) == (begin, name)
        assert back["chosen"] == [message("assistant", "7")] and back["rejected"] == [message("assistant", "9")]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"prompt": "?", "a": "1"}, "has no run"),
        (PAIR | {"b": ""}, "b is ''"),
        (PAIR | {"b": 3}, "give a text or a list of messages"),
        (PAIR | {"label": "left"}, "give a, b or tie"),
        (PAIR | {"label": 0}, "give a, b or tie"),
        (PAIR | {"probability": 2}, "give the probability that a is better"),
        (PAIR | {"labeller": 3}, "labeller is 3"),
        ({"prompt": "?", "chosen": "1", "rejected": "2", "label": "b"}, "has a label beside chosen"),
    ],
)
def test_a_bad_row_of_a_set_is_named(tmp_path: Path, row: dict[str, Any], says: str) -> None:
    file = write(tmp_path / "set.jsonl", [PAIR, row])
    with pytest.raises(InputFileError) as caught:
        import_file(file, tmp_path / "store.db", run="pairs")
    assert caught.value.line == 2 and says in str(caught.value)
    assert not (tmp_path / "store.db").exists()


def test_a_set_needs_a_run(tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match="name the run that the comparisons go to with --key"):
        import_file(write(tmp_path / "set.jsonl", [PAIR]), tmp_path / "store.db")


@pytest.fixture
def rated(tmp_path: Path) -> Project:
    """Four comparisons of texts that ada, bob and cy answered: first; slightly second and cannot tell; tie; second."""
    rows = [{"prompt": f"question {i}", "a": f"one {i}", "b": f"two {i}"} for i in range(4)]
    import_file(
        write(tmp_path / "set.jsonl", rows), tmp_path / "labels.db", run="pairs", wishes=Wishes(run="pairs", overlap=3)
    )
    said = {"ada": [1.0, 0.25, 0.5, 0.0], "bob": [1.0, None, 0.5, 0.25], "cy": [1.0, 0.0, 0.5, 1.0]}
    project = read_project(tmp_path / "labels.db", "pairs")
    with open_store(tmp_path / "labels.db", run="pairs") as store:
        for name, (_, one) in project.comparisons.items():
            number = int(one.payload["prompt"][-1])
            for labeller, answers in said.items():
                p = answers[number]
                turned = one.payload["first"].startswith("two") and p is not None
                store.record(
                    [Preference(comparison=name, probability=1 - p if turned else p, evaluator=f"person/{labeller}")]
                )  # type: ignore[operator]
    return read_project(tmp_path / "labels.db", "pairs")


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_preferences_have_the_columns_that_trainers_read(rated: Project, tmp_path: Path, form: str) -> None:
    file = tmp_path / f"preferences.{form}"
    assert export_file(rated, file, "preference", aggregated=False) == 8
    rows = [row for _, row in read_rows(file)]
    assert all(row.keys() == PREFERENCES.keys() for row in rows)
    assert all(isinstance(row[name], str) for row in rows for name in ("prompt", "chosen", "rejected"))
    first = [row for row in rows if row["prompt"] == "question 0"]
    assert {(row["chosen"], row["rejected"], row["margin"], row["raters"]) for row in first} == {
        ("one 0", "two 0", 1.0, 3)
    }
    assert {row["labeller"] for row in first} == {"ada", "bob", "cy"}
    second = {row["labeller"]: row for row in rows if row["prompt"] == "question 1"}
    assert second.keys() == {"ada", "cy"} and second["ada"]["chosen"] == "two 1"
    assert (second["ada"]["margin"], second["ada"]["probability"], second["ada"]["raters"]) == (0.5, 0.75, 2)
    assert export_file(rated, file, "preference", aggregated=False, ties=True) == 11
    assert [row["margin"] for _, row in read_rows(file)].count(0.0) == 3
    assert export_file(rated, file, "preference", aggregated=False, least_margin=0.75) == 6


def test_aggregated_preferences_are_one_a_comparison(rated: Project, tmp_path: Path) -> None:
    file = tmp_path / "preferences.jsonl"
    export_file(rated, file, "preference", least_margin=0.1)
    rows = {row["prompt"]: row for _, row in read_rows(file)}
    assert rows["question 0"]["chosen"] == "one 0" and rows["question 0"]["labeller"] is None
    assert rows["question 0"]["probability"] > 0.9
    assert rows["question 3"]["chosen"] == "two 3"
    done = import_file(file, tmp_path / "back.db", run="again")  # what trainers read can be labelled once more
    assert (done.comparisons, done.answers) == (len(rows), len(rows))


def test_known_comparisons_and_repeats_are_no_training_data(labelled: tuple[Path, str], tmp_path: Path) -> None:
    project = read_project(*labelled)
    export_file(project, tmp_path / "p.jsonl", "preference", aggregated=False, ties=True)
    rows = [row for _, row in read_rows(tmp_path / "p.jsonl")]
    kept = {row["comparison"] for row in rows}
    assert any(one.purpose == "gold" and one.probability is not None for one in project.records.answers)
    assert kept and all(project.comparisons[name][1].purpose == "training" for name in kept)
    standing = {(a.comparison, a.labeller) for a in project.records.answers if not a.withdrawn}
    assert {(row["comparison"], row["labeller"]) for row in rows} <= standing
    revised = {
        (a.comparison, a.labeller): abs(2 * a.probability - 1)
        for a in project.records.answers
        if a.condition == "revised" and a.probability is not None and not a.withdrawn
    }
    margins = {(row["comparison"], row["labeller"]): row["margin"] for row in rows}
    assert revised and all(margins[key] == margin for key, margin in revised.items() if key[0] in kept)
    assert rows[0]["prompt"].startswith("question ") and json.loads(rows[0]["chosen"]) == {"claims": [], "output": "ä"}


def test_nothing_gives_a_file_of_nothing(tmp_path: Path) -> None:
    open_store(tmp_path / "store.db", run="demo").close()
    project = read_project(tmp_path / "store.db", "demo")
    for name, form in (
        ("a.jsonl", "jsonl"),
        ("a.parquet", "parquet"),
        ("p.jsonl", "preference"),
        ("p.parquet", "preference"),
    ):
        assert export_file(project, tmp_path / name, form) == 0  # type: ignore[arg-type]
        assert list(read_rows(tmp_path / name)) == []
    columns = {"p.parquet": PREFERENCES, "a.parquet": COLUMNS}
    for name, expected in columns.items():
        assert parquet.read_schema(tmp_path / name).names == list(expected)


@given(
    st.recursive(
        st.text(st.characters(exclude_categories=["Cs"])) | st.integers(0, 9), lambda inner: st.lists(inner, max_size=3)
    )
)
def test_any_value_has_a_text(value: Any) -> None:
    text = text_of(value)
    assert text == value if isinstance(value, str) else canonical_json(value).decode() == text


def test_thousands_of_rows_are_imported_in_portions(tmp_path: Path) -> None:
    rows = [PAIR | {"prompt": f"{i}", "labeller": f"labeller {i % 7}"} for i in range(2500)]
    done = import_file(write(tmp_path / "set.jsonl", rows), tmp_path / "labels.db", run="pairs")
    assert (done.comparisons, done.answers) == (2500, 2500)
