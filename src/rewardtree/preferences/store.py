"""The store: every question that a run asks and every answer it gets, durable, in one database."""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Engine

from rewardtree.preferences import leasing, recording
from rewardtree.preferences.checks import at_least_0, check_name
from rewardtree.preferences.faults import translated
from rewardtree.preferences.opening import open_engine, writing
from rewardtree.preferences.recording import portions
from rewardtree.preferences.rows import comparison_of, feedback_of
from rewardtree.preferences.schema import OPEN, STANDS, comparison, feedback, lease, run
from rewardtree.preferences.tallying import Tally, tally
from rewardtree.preferences.values import (
    Comparison,
    Condition,
    Critique,
    Demonstration,
    Feedback,
    LedgerRow,
    Preference,
    Rating,
    Remark,
    StepLabel,
)


def open_store(
    target: str | Path, *, run: str = "main", timeout: float = 30.0, clock: Callable[[], float] = time.time
) -> "Store":
    """Opens a store for one run; makes it where there is none, migrates it where it is older.

    Args:
        target: a file's path (SQLite), or a URL: `postgresql://USER@HOST/DATABASE`.
        run: key of the run. Several runs may share one database; each sees its own comparisons only.
        timeout: seconds to wait for another process's lock, and for a server to answer.
        clock: gives the seconds since 1970 by which leases expire.

    Returns:
        The store. Close it, or use it in a `with` statement.

    Raises:
        StoreError: the store cannot be opened, is another program's, or is newer than this code.
    """
    check_name("run", run)
    engine, where = open_engine(target, timeout)
    return Store(engine, where, run, clock)


class Store:
    """A run's comparisons and feedback. Open it with `open_store`.

    Threads may share a store, and a process forked from its owner may go on using it. When a writing method
    returns, its effect is on the disk. Every method raises StoreError, with the remedy, where the database
    fails.
    """

    def __init__(self, engine: Engine, where: str, name: str, clock: Callable[[], float]) -> None:
        """Enters the run in the database; see `open_store`."""
        self._engine, self._where, self._clock = engine, where, clock
        self._writer = engine.execution_options(writes=True)
        self._process = os.getpid()
        self.run = name
        with translated(where):
            self._run = self._enter_run(name)

    def __enter__(self) -> "Store":
        """Returns the store itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the store."""
        self.close()

    def close(self) -> None:
        """Closes every connection; what was stored stays."""
        self._engine.dispose()

    def submit(self, comparisons: Iterable[Comparison]) -> int:
        """Stores questions, in one transaction; those that are stored already (by id) are left as they are.

        Args:
            comparisons: the questions.

        Returns:
            How many were new.
        """
        asked = list(comparisons)
        if not asked:
            return 0
        with self._writing() as connection:
            return recording.add_comparisons(connection, self._run, asked)

    def record(self, given: Iterable[Feedback]) -> int:
        """Stores feedback from evaluators that need no lease, in one durable transaction.

        A preference is stored once for its comparison, evaluator and condition, and takes one of the
        comparison's slots if any is left; any other feedback is stored once for its content (time and seconds
        apart). What is stored already stays as it is.

        Args:
            given: preferences to submitted comparisons, ratings, critiques, demonstrations, step labels.

        Returns:
            How many were new.

        Raises:
            StoreError: a preference answers a comparison that was never submitted; nothing is stored.
        """
        everything = list(given)
        if not everything:
            return 0
        preferences = [one for one in everything if isinstance(one, Preference)]
        remarks = [one for one in everything if not isinstance(one, Preference)]
        with self._writing() as connection:
            new = recording.add_preferences(connection, self._run, preferences)
            return new + recording.add_remarks(connection, self._run, remarks)

    def collect(self, node: str, protocol: str, since: int | None = None) -> list[Preference]:
        """Returns the answers to a node's comparisons, in the order in which they were stored.

        Args:
            node: name of the node.
            protocol: name of the protocol.
            since: leave out the first `since` answers: `since=len(collected)` gives those that came later.

        Returns:
            The preferences of all evaluators and conditions, those taken back included. The order never
            changes; later answers come last.
        """
        query = self._feedback_query(Preference.kind, node, protocol, since)
        return [one for one in self._feedback(query) if isinstance(one, Preference)]

    def remarks(self, node: str, protocol: str, since: int | None = None) -> list[Remark]:
        """Returns a node's ratings, critiques, demonstrations and step labels, in the order they were stored.

        Args:
            node: name of the node.
            protocol: name of the protocol.
            since: leave out the first `since` of them.
        """
        query = self._feedback_query(None, node, protocol, since)
        return [one for one in self._feedback(query) if not isinstance(one, Preference)]

    def answered(
        self, ids: Iterable[str], *, evaluator: str | None = None, condition: Condition | None = None
    ) -> dict[str, Preference]:
        """Finds the answers that comparisons have already.

        Args:
            ids: ids of comparisons, stored or not.
            evaluator: look at this evaluator's answers only.
            condition: look at answers under this condition only.

        Returns:
            For each answered id, in the order of `ids`, the first answer that stands.
        """
        return {name: given[0] for name, given in self.answers(ids, evaluator=evaluator, condition=condition).items()}

    def answers(
        self, ids: Iterable[str], *, evaluator: str | None = None, condition: Condition | None = None
    ) -> dict[str, list[Preference]]:
        """Finds all answers that comparisons have; what was taken back is left out.

        Args:
            ids: ids of comparisons, stored or not.
            evaluator: look at this evaluator's answers only.
            condition: look at answers under this condition only.

        Returns:
            For each answered id, in the order of `ids`, its answers in the order in which they were stored.
        """
        wanted = list(dict.fromkeys(ids))
        found: dict[str, list[Preference]] = {}
        with self._reading() as connection:
            for portion in portions(wanted):
                query = (
                    sa.select(feedback, comparison.c.id)
                    .join(comparison, feedback.c.comparison == comparison.c.seq)
                    .where(comparison.c.run == self._run, comparison.c.id.in_(portion), STANDS)
                    .order_by(feedback.c.seq)
                )
                if evaluator is not None:
                    query = query.where(feedback.c.evaluator == evaluator)
                if condition is not None:
                    query = query.where(feedback.c.condition == condition)
                for row in connection.execute(query):
                    found.setdefault(row.id, []).append(feedback_of(row))  # type: ignore[arg-type]
        return {name: found[name] for name in wanted if name in found}

    def comparisons(self, ids: Iterable[str]) -> dict[str, Comparison]:
        """Returns the stored comparisons of these ids, in the order of `ids`; unknown ids are left out."""
        wanted = list(dict.fromkeys(ids))
        found: dict[str, Comparison] = {}
        with self._reading() as connection:
            for portion in portions(wanted):
                query = sa.select(comparison).where(comparison.c.run == self._run, comparison.c.id.in_(portion))
                found.update((row.id, comparison_of(row)) for row in connection.execute(query))
        return {name: found[name] for name in wanted if name in found}

    def set_aside(self, ids: Iterable[str]) -> set[str]:
        """Returns those of these comparisons that somebody reported as broken and nobody has put back."""
        found: set[str] = set()
        with self._reading() as connection:
            for portion in portions(list(ids)):
                query = sa.select(comparison.c.id).where(comparison.c.run == self._run, comparison.c.id.in_(portion))
                found.update(connection.execute(query.where(comparison.c.aside)).scalars())
        return found

    def tally(self, ids: Iterable[str], condition: Condition | None = None) -> Tally:
        """Counts the answers that comparisons have and lack from people, without reading them.

        Args:
            ids: ids of comparisons.
            condition: count answers under this condition only.
        """
        found = Tally()
        with self._reading() as connection:
            for portion in portions(list(dict.fromkeys(ids))):
                found = found.plus(tally(connection, self._run, portion, condition, self._clock()))
        return found

    def lease(self, labeller: str, node: str | None = None, *, seconds: float = 900.0) -> tuple[Comparison, str] | None:
        """Gives a labeller a comparison to answer.

        The labeller's open lease comes first (a reload shows the same page), then one that it let expire and
        nobody else took (under the same token), then the comparison with the highest priority, oldest first.
        A comparison is given to at most `slots` labellers, and never a second time to one who had it. The
        slots of expired leases are given out again.

        Args:
            labeller: the labeller's name; the answer's evaluator must be the same.
            node: give out this node's comparisons only.
            seconds: how long the lease lasts from now; asking again prolongs it.

        Returns:
            The comparison and the token to answer with, or None where nothing waits for this labeller.
        """
        check_name("labeller", labeller)
        lasting = at_least_0("seconds", seconds)
        with self._writing(alone=False) as connection:
            leasing.queue_up(connection, (self._run,), labeller)
            given = leasing.take(connection, (self._run,), labeller, node, self._clock(), lasting)
            if given is None:
                return None
            asked = sa.select(comparison).join(lease, lease.c.comparison == comparison.c.seq)
            row = given.question or connection.execute(asked.where(lease.c.token == given.token)).one()
        return comparison_of(row), given.token

    def answer(self, token: str, preference: Preference, *, final: bool = True) -> bool:
        """Stores the answer to a lease.

        An expired lease is still accepted while a slot is left.

        Args:
            token: what `lease` gave.
            preference: the answer.
            final: False for a first answer that a `revised` one follows under the same token; the lease stays
                open.

        Returns:
            True if the answer is stored now; False if it was done already (a double submit), and nothing is
            changed.

        Raises:
            StoreError: the token is unknown, is not this labeller's or comparison's, or the lease expired and
                somebody else took the last slot.
        """
        with self._writing() as connection:
            return leasing.settle(connection, self._run, token, preference, final)

    def pending(self, node: str | None = None) -> int:
        """Counts the comparisons that still wait for an answer: with a slot left, or out on lease, and not set aside.

        Args:
            node: count this node's only.
        """
        mine = [comparison.c.run == self._run, ~comparison.c.aside]
        if node is not None:
            mine.append(comparison.c.node == node)
        waiting = sa.select(sa.func.count()).select_from(comparison).where(leasing.HAS_SLOTS, *mine)
        leased = (
            sa.select(sa.func.count(comparison.c.seq.distinct()))
            .join(lease, lease.c.comparison == comparison.c.seq)
            .where(lease.c.run == self._run, lease.c.state == OPEN, comparison.c.slots_left == 0, *mine)
        )
        with self._reading() as connection:
            return int(connection.execute(waiting).scalar_one()) + int(connection.execute(leased).scalar_one())

    def ledger(self) -> list[LedgerRow]:
        """Counts what was given and not taken back, per protocol, node, evaluator and condition, sorted by these four.

        An unaided answer and its revision stand in rows of their own: add up the conditions that were trained
        on.
        """
        column = feedback.c

        def how_many(which: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
            return sa.func.sum(sa.case((which, 1), else_=0))

        is_label = column.kind == Preference.kind
        place = (column.protocol, column.node, column.evaluator, column.condition)
        query = (
            sa.select(
                *place,
                how_many(is_label).label("labels"),
                how_many(is_label & column.probability.is_(None)).label("abstentions"),
                sa.func.sum(column.readings).label("readings"),
                sa.func.sum(column.seconds).label("seconds"),
                how_many(column.kind == Demonstration.kind).label("demonstrations"),
                how_many(column.kind.in_((Rating.kind, Critique.kind, StepLabel.kind))).label("verdicts"),
            )
            .where(column.run == self._run, STANDS)
            .group_by(*place)
        )
        with self._reading() as connection:
            rows = [LedgerRow(**row._mapping) for row in connection.execute(query)]
        return sorted(rows, key=lambda row: (row.protocol, row.node, row.evaluator, row.condition))

    def _enter_run(self, name: str) -> int:
        which = sa.select(run.c.seq).where(run.c.name == name)
        with self._engine.connect() as connection:
            seq = connection.execute(which).scalar()
        if seq is None:
            with self._writer.begin() as connection:
                insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
                connection.execute(insert(run).values(name=name).on_conflict_do_nothing())
                seq = connection.execute(which).scalar_one()
        return int(seq)

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        self._leave_parent()
        with translated(self._where), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _writing(self, alone: bool = True) -> Iterator[Connection]:
        """Opens a write transaction; `alone` lets no other one of this run write feedback meanwhile."""
        self._leave_parent()
        with writing(self._writer, self._where, self._run if alone else None) as connection:
            yield connection

    def _leave_parent(self) -> None:
        """Drops, without closing them, the connections that a forked process inherited."""
        if os.getpid() != self._process:
            self._engine.dispose(close=False)
            self._process = os.getpid()

    def _feedback_query(self, kind: str | None, node: str, protocol: str, since: int | None) -> sa.Select[Any]:
        column = feedback.c
        which = column.kind == kind if kind is not None else column.kind != Preference.kind
        query = (
            sa.select(feedback, comparison.c.id)
            .outerjoin(comparison, column.comparison == comparison.c.seq)
            .where(column.run == self._run, which, column.node == node, column.protocol == protocol)
            .order_by(column.seq)
        )
        if since:
            query = query.offset(since)
        return query

    def _feedback(self, query: sa.Select[Any]) -> list[Feedback]:
        with self._reading() as connection:
            rows = connection.execute(query).all()
        return [feedback_of(row) for row in rows]
