"""Data out and in: people's answers as JSONL, Parquet or a preference data set, and both back into a store.

    >>> import tempfile
    >>> from pathlib import Path
    >>> folder = tempfile.TemporaryDirectory()
    >>> here = Path(folder.name)
    >>> row = '{"prompt": "Name a prime.", "chosen": "7", "rejected": "9"}'
    >>> _ = (here / "pairs.jsonl").write_text(row)
    >>> done = import_file(here / "pairs.jsonl", here / "labels.db", run="pairs")
    >>> done.comparisons, done.answers
    (1, 1)
    >>> import_file(here / "pairs.jsonl", here / "labels.db", run="pairs").comparisons  # again: nothing new
    0
    >>> folder.cleanup()

A row an answer keeps every rater: see `exchange_rows`; sets of comparisons from elsewhere: see `exchange_sets`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from rewardtree.errors import InputFileError, StoreError
from rewardtree.preferences import recording
from rewardtree.preferences.checks import check_name
from rewardtree.preferences.exchange_files import FORMATS, Row, portions_of, read_rows, write_rows
from rewardtree.preferences.exchange_rows import (
    COLUMNS,
    PREFERENCES,
    Given,
    answer_in,
    comparison_in,
    preference_rows,
    rows_of,
)
from rewardtree.preferences.exchange_sets import Wishes, is_set, question_in
from rewardtree.preferences.exchange_storing import add_answers
from rewardtree.preferences.faults import translated
from rewardtree.preferences.keys import runs_under
from rewardtree.preferences.opening import open_engine, writing
from rewardtree.preferences.quality import aggregate
from rewardtree.preferences.records import Records, records_of
from rewardtree.preferences.rows import comparison_of
from rewardtree.preferences.schema import comparison
from rewardtree.preferences.schema import run as run_table
from rewardtree.preferences.store import open_store
from rewardtree.preferences.values import Comparison

__all__ = ["Format", "Imported", "Project", "Wishes", "export_file", "export_rows", "import_file", "read_project"]

Format = Literal["jsonl", "parquet", "preference"]
TIMEOUT = 30.0


@dataclass(frozen=True, kw_only=True)
class Project:
    """Everything that people gave in a project's runs, and what they were asked.

    Attributes:
        records: answers and reports.
        comparisons: name of the run, and comparison, by id, in the order in which they were stored: those that people
            answered or may still be given.
    """

    records: Records
    comparisons: Mapping[str, tuple[str, Comparison]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Imported:
    """What an import stored.

    Attributes:
        rows: rows of the file.
        comparisons: comparisons that were new.
        answers: answers that were new.
        runs: names of the runs that the rows belong to.
    """

    rows: int
    comparisons: int
    answers: int
    runs: tuple[str, ...]


def read_project(target: str | Path, key: str) -> Project:
    """Reads what people gave, and what they were asked, at one moment.

    Args:
        target: a file's path or a URL, as for `open_store`.
        key: name of a run; runs whose names begin with it and a slash belong to it, as the seeds of a run do.

    Raises:
        StoreError: the store is not there or cannot be read.
        NoRunError: it has no such run.
    """
    engine, where = open_engine(target, TIMEOUT, new=False)
    try:
        with translated(where), engine.connect() as connection:
            runs = runs_under(connection, where, key)
            records = records_of(connection, list(runs))
            asked = {one.comparison for one in records.answers}
            query = sa.select(comparison).where(comparison.c.run.in_(list(runs))).order_by(comparison.c.seq)
            found = {
                row.id: (runs[row.run], comparison_of(row))
                for row in connection.execute(query.execution_options(yield_per=1000))
                if row.id in asked or row.slots > 0
            }
    finally:
        engine.dispose()
    return Project(records=records, comparisons=found)


def export_rows(project: Project, *, boards: bool = True, unanswered: bool = True) -> list[dict[str, Any]]:
    """One row an answer, of every rater; those that were taken back say so.

    Args:
        project: what people gave.
        boards: whether to write what people were shown, in the first row of each comparison.
        unanswered: whether comparisons without an answer get a row without a labeller, at the end.

    Returns:
        Rows whose keys are `exchange_rows.COLUMNS`.
    """
    return list(rows_of(project.records, project.comparisons, boards=boards, unanswered=unanswered))


def export_file(
    project: Project,
    path: Path,
    form: Format,
    *,
    aggregated: bool = True,
    ties: bool = False,
    least_margin: float = 0.0,
) -> int:
    """Writes people's answers to a file.

    Args:
        project: what people gave.
        path: the file; one that is there is replaced.
        form: `jsonl` or `parquet`, a row an answer; or `preference`, rows of prompt, chosen and rejected, in JSONL or
            Parquet by the file's name.
        aggregated: one preference a comparison, by `quality.aggregate`, instead of one an answer.
        ties: keep tied preferences.
        least_margin: leave out preferences with less.

    Returns:
        How many rows.

    Raises:
        StoreError: the file cannot be written.
        InputFileError: its name and format differ.
    """
    named = FORMATS.get(path.suffix.lower())
    if form == "preference" and named is None:
        problem = "preferences are written as JSONL or Parquet, and its name says neither"
        raise InputFileError(path, None, problem, "end it in .jsonl or .parquet")
    if form not in ("preference", named):
        raise InputFileError(
            path, None, f"is not named as {form}", f"end its name in .{form}, or choose another format"
        )
    if form != "preference":
        return write_rows(rows_of(project.records, project.comparisons, boards=True, unanswered=True), path, COLUMNS)
    weighed = aggregate(project.records) if aggregated else None
    rows = preference_rows(
        project.records, project.comparisons, aggregated=weighed, ties=ties, least_margin=least_margin
    )
    return write_rows(rows, path, PREFERENCES)


def import_file(path: Path, target: str | Path, *, run: str | None = None, wishes: Wishes | None = None) -> Imported:
    """Reads a file of answers that was exported, or a set of comparisons from elsewhere, into a store.

    The whole file is checked before anything is stored; then it is stored in portions, and what is there already is
    left as it is. So an import that was broken off can be made again.

    Args:
        path: a JSONL or Parquet file.
        target: a file's path or a URL, as for `open_store`.
        run: name of the run that it goes to; needed for a set of comparisons; as in the file if None.
        wishes: how a set is put to people.

    Returns:
        What was new.

    Raises:
        InputFileError: a row is wrong; names its line. Nothing is stored.
        StoreError: the store cannot be written.
    """
    reading = _reader(path, run, wishes)
    rows, bearers, runs = _check(path, reading)
    for name in runs:
        open_store(target, run=name).close()
    engine, where = open_engine(target, TIMEOUT)
    asked = answers = 0
    try:
        writer = engine.execution_options(writes=True)
        for name, number in _numbers(engine, where, runs).items():
            own = (found for found in reading() if found.run == name and bearers[found.comparison.id] == found.line)
            for portion in portions_of(own, 1000):
                with writing(writer, where, number) as connection:
                    asked += recording.add_comparisons(connection, number, [found.comparison for found in portion])
            said = (found.given for found in reading() if found.run == name and found.given is not None)
            for some in portions_of(said, 1000):
                with writing(writer, where, number) as connection:
                    answers += add_answers(connection, number, some)
    finally:
        engine.dispose()
    return Imported(rows=rows, comparisons=asked, answers=answers, runs=runs)


def _numbers(engine: Engine, where: str, runs: tuple[str, ...]) -> dict[str, int]:
    """Each run's number."""
    with translated(where), engine.connect() as connection:
        rows = connection.execute(sa.select(run_table.c.name, run_table.c.seq).where(run_table.c.name.in_(runs)))
        return {str(row.name): int(row.seq) for row in rows}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Found:
    """What a row holds, and where."""

    line: int
    run: str
    comparison: Comparison
    given: Given | None
    shown: bool
    """Whether the row holds what people are shown."""


_Reading = Callable[[], Iterator[_Found]]


def _reader(path: Path, run: str | None, wishes: Wishes | None) -> _Reading:
    """How to read the file, from its beginning each time."""

    def reading() -> Iterator[_Found]:
        for line, row in read_rows(path):
            try:
                yield _read(line, row, run, wishes)
            except StoreError as error:
                problem, _, remedy = str(error).partition("; ")
                raise InputFileError(path, line, problem, remedy or "mend the row") from error

    return reading


def _read(line: int, row: Row, run: str | None, wishes: Wishes | None) -> _Found:
    if "payload" not in row and is_set(row):
        if wishes is None and run is None:
            raise StoreError("belongs to no run; name the run that the comparisons go to with --key")
        asked, given = question_in(row, wishes or Wishes(run=str(run)))
        return _Found(line=line, run=(wishes.run if wishes else str(run)), comparison=asked, given=given, shown=True)
    asked = comparison_in(row)
    check_name("run", row["run"])
    given = answer_in(row, asked.policy_versions)
    return _Found(line=line, run=run or row["run"], comparison=asked, given=given, shown=asked.fields is not None)


def _check(path: Path, reading: _Reading) -> tuple[int, dict[str, int], tuple[str, ...]]:
    """Reads the whole file once.

    Returns:
        How many rows there are, the line that describes each comparison best, and the runs.
    """
    rows = 0
    bearers: dict[str, tuple[bool, int]] = {}
    runs: dict[str, None] = {}
    for found in reading():
        rows += 1
        runs[found.run] = None
        shown, best = bearers.get(found.comparison.id, (False, found.line))
        if found.shown and not shown:
            shown, best = True, found.line
        bearers[found.comparison.id] = shown, best
    if not rows:
        raise InputFileError(path, None, "holds no rows", "give a file with a row an answer or comparison")
    return rows, {name: line for name, (_, line) in bearers.items()}, tuple(runs)
