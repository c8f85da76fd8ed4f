"""The labelling server's side of a store: accounts, comparisons in people's hands, readings under a meter, answers.

A server serves one *project*: the runs whose names are its key or begin with the key and a slash, as the seeds of one
run do. Runs that begin later are served too. Every method is one transaction (undo is preceded by a look at which
run it is in); when a writing one returns, its effect is on the disk.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from rewardtree.errors import LeaseError, StoreError
from rewardtree.preferences import leasing, undoing, working
from rewardtree.preferences.accounts import Account, Session
from rewardtree.preferences.checks import at_least_0, check_name, check_text
from rewardtree.preferences.opening import open_engine
from rewardtree.preferences.project import RECENT, ProjectStore
from rewardtree.preferences.records import Records, records_of
from rewardtree.preferences.rows import mode_of
from rewardtree.preferences.schema import DONE, OPEN, RELEASED, STANDS, comparison, feedback, lease
from rewardtree.preferences.values import PERSON, Preference
from rewardtree.preferences.working import CHOICES, Choice, Reading, Side, Stage, Work

__all__ = ["CHOICES", "Account", "Choice", "Labelling", "Progress", "Reading", "Session", "Work", "open_labelling"]

CONNECTIONS = 40
"""To the database, kept open: as many as requests are served at a time."""
IDLE_SECONDS = 1.0
"""After which a connection is asked whether it lives; when a server starts anew, somebody may have to try again."""
LEASE_SECONDS = 900.0
"""How long a comparison is a labeller's own; showing it again prolongs it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """How far a labeller is.

    Attributes:
        answered: comparisons that it answered.
        today: those of the last 24 hours.
        waiting: comparisons that wait for anybody.
        elsewhere: comparisons that other labellers have open.
    """

    answered: int
    today: int
    waiting: int
    elsewhere: int


@dataclass(frozen=True, kw_only=True, slots=True)
class _Answer:
    labeller: str
    token: str
    choice: Choice
    rationale: str


def open_labelling(
    target: str | Path,
    key: str,
    *,
    clock: Callable[[], float] = time.time,
    lease_seconds: float = LEASE_SECONDS,
    new: bool = True,
) -> "Labelling":
    """Opens a project of a store for labelling.

    Args:
        target: a file's path or a URL, as for `open_store`.
        key: of the project.
        clock: gives the seconds since 1970.
        lease_seconds: how long a comparison is a labeller's own.
        new: whether a file is made where there is none.

    Raises:
        StoreError: the store cannot be opened, or is not there.
    """
    check_name("key", key)
    engine, where = open_engine(target, 30.0, CONNECTIONS, new=new, idle=IDLE_SECONDS)
    return Labelling(engine, where, key, clock, at_least_0("lease_seconds", lease_seconds))


class Labelling(ProjectStore):
    """One project's labelling; see the module's docstring. Open it with `open_labelling`; threads may share it."""

    def __init__(self, engine: Engine, where: str, key: str, clock: Callable[[], float], lease_seconds: float) -> None:
        super().__init__(engine, where, key, clock)
        self._lease_seconds = lease_seconds
        self._released = -math.inf  # when expired leases were looked for last, by `clock`

    @property
    def lease_seconds(self) -> float:
        """How long a comparison is a labeller's own after a sign of work on it."""
        return self._lease_seconds

    def next(self, labeller: str, node: str | None = None) -> Work | None:
        """Gives a labeller a comparison: its open lease, else one that it let run out, else the first one waiting.

        Args:
            labeller: name of the account.
            node: give out this node's comparisons only.

        Returns:
            None where nothing waits for this labeller.
        """
        with self._writing() as connection:
            leasing.queue_up(connection, self._runs(connection), PERSON + labeller)
            return self._next(connection, labeller, node)

    def work(self, labeller: str, token: str) -> Work:
        """A comparison that a labeller has on lease.

        Raises:
            LeaseError: it is not this labeller's, is answered, or ran out.
        """
        _check_token(token)
        with self._reading() as connection:
            row = working.held(connection, self._runs(connection), PERSON + labeller, token, self._clock(), lock=False)
            return working.work_of(row, working.so_far(connection, row.lease))

    def exhibit(self, labeller: str, token: str) -> tuple[bytes, bool]:
        """What is drawn and read of a comparison on lease, packed, and whether its second output stands on the left.

        Raises:
            LeaseError: as for `work`.
        """
        _check_token(token)
        with self._glancing() as connection:
            runs, now = self._runs(connection), self._clock()
            row = working.held(connection, runs, PERSON + labeller, token, now, lock=False)
            return row.fields or b"", working.swapped(token)

    def read(self, labeller: str, token: str, side: Side, instrument: str, place: int) -> Work:
        """Uses an instrument at a place of one output; the reading and its count on the meter are one transaction.

        Returns:
            The work, with the reading as its last.

        Raises:
            BudgetError: the meter refuses.
            StoreError: there is no such instrument or place; LeaseError as for `work`.
        """
        with self._held(labeller, token) as (connection, row):
            working.read(connection, row, side, (instrument, place), self._clock())
            return working.work_of(row, working.so_far(connection, row.lease))

    def open_claim(self, labeller: str, token: str, claim: int) -> None:
        """Notes that a claim was opened.

        Args:
            labeller: name of the account.
            token: of the lease.
            claim: position among the first output's claims and then the second's.

        Raises:
            StoreError: there is no such claim in sight; LeaseError as for `work`.
        """
        with self._held(labeller, token) as (connection, row):
            working.open_claim(connection, row, claim, self._clock())

    def save_draft(self, labeller: str, token: str, draft: Mapping[str, Any]) -> None:
        """Keeps an unfinished answer, for when the page is opened again.

        Raises:
            StoreError: it is too long or not JSON-able; LeaseError as for `work`.
        """
        with self._held(labeller, token) as (connection, row):
            working.save_draft(connection, row, draft)

    def answer(
        self, labeller: str, token: str, choice: Choice, *, rationale: str = "", stage: Stage | None = None
    ) -> bool:
        """Stores an answer.

        Args:
            labeller: name of the account.
            token: of the lease.
            choice: in the comparison's own order.
            rationale: the reason, may be empty.
            stage: which of two answers is meant, so that a second click on the first is not taken for the second one;
                None for the one that is next.

        Returns:
            True if it is stored now; False if this was answered already, as by a double click.

        Raises:
            StoreError: the rationale is too long; LeaseError where the lease is not this labeller's, or it ran out and
                somebody else got the comparison.
        """
        answer = self._checked(labeller, token, choice, rationale)
        with self._writing() as connection:
            return self._answer(connection, answer, stage) is not None

    def answer_and_go_on(
        self, labeller: str, token: str, choice: Choice, *, rationale: str = "", stage: Stage | None = None
    ) -> tuple[bool, Work | None]:
        """Stores an answer and gives the next comparison, or the same one for a revised answer, in one transaction.

        Args:
            labeller: as for `answer`; so are the others.
            token: of the lease.
            choice: in the comparison's own order.
            rationale: the reason, may be empty.
            stage: which of two answers is meant.

        Returns:
            What `answer` and then `next` return.

        Raises:
            StoreError, LeaseError: as for `answer`; then nothing is given either.
        """
        answer = self._checked(labeller, token, choice, rationale)
        with self._writing() as connection:
            leasing.queue_up(connection, self._runs(connection), PERSON + labeller)
            state = self._answer(connection, answer, stage)
            if state != RELEASED:
                return state is not None, self._next(connection, labeller, None)
        # It took a slot again, and to look for others' now would lock comparisons in another order than others do.
        return True, self.next(labeller)

    def report(self, labeller: str, token: str, text: str) -> bool:
        """Sets a broken comparison aside; nobody is given it until it is put back.

        Raises:
            StoreError: the text is empty or too long; LeaseError as for `work`.
        """
        with self._held(labeller, token) as (connection, row):
            working.report(connection, row, text, self._clock())
            return True

    def put_back(self, comparison_id: str) -> bool:
        """Gives a comparison that was set aside out again; False where none of that id was."""
        if not comparison_id.isalnum():
            return False
        with self._writing() as connection:
            return working.put_back(connection, self._runs(connection), comparison_id)

    def undo(self, labeller: str) -> Work | None:
        """Takes a labeller's last answer back, and gives it the comparison again; the answer is kept, as withdrawn.

        Returns:
            None where there is nothing to take back.
        """
        with self._reading() as connection:
            newest = undoing.last_answer(connection, self._runs(connection), PERSON + labeller)
        if newest is None:
            return None
        self._known.pop(f"progress {labeller}", None)
        with self._writing(newest.run) as connection:
            now, runs = self._clock(), self._runs(connection)
            row = undoing.undo(connection, runs, PERSON + labeller, now + self._lease_seconds, now)
            return None if row is None else working.work_of(row, working.so_far(connection, row.lease))

    def progress(self, labeller: str) -> Progress:
        """How far a labeller is."""

        def look() -> Progress:
            with self._reading() as connection:
                return self._count(connection, labeller)

        found: Progress = self._recent(f"progress {labeller}", look)
        return found

    def _count(self, connection: Connection, labeller: str) -> Progress:
        runs = self._runs(connection)
        mine = {"runs": runs, "labeller": PERSON + labeller, "day": self._clock() - 86400.0}
        row = connection.execute(_ANSWERED, mine).one()
        waiting = self._recent("waiting", lambda: connection.execute(_WAITING, {"runs": runs}).scalar_one())
        held = self._recent("held", lambda: dict(connection.execute(_HELD, {"runs": runs, "now": self._clock()}).all()))
        elsewhere = sum(count for who, count in held.items() if who != PERSON + labeller)
        return Progress(answered=row.answered, today=row.today, waiting=waiting, elsewhere=elsewhere)

    def records(self) -> Records:
        """All that people gave, for figures and export."""
        with self._reading() as connection:
            return records_of(connection, self._runs(connection))

    def _next(self, connection: Connection, labeller: str, node: str | None) -> Work | None:
        """`next` within a write transaction in which the labeller has queued up."""
        names, now = self._names(connection), self._clock()
        runs, who = list(names), PERSON + labeller
        due = not 0 <= now - self._released < RECENT
        given = leasing.take(connection, runs, who, node, now, self._lease_seconds, expired=due)
        if due:
            self._released = now
        if given is None:
            return None
        self._keep(f"progress {labeller}", self._count(connection, labeller))
        if given.question is None:
            row = connection.execute(working.HELD, {"token": given.token, "labeller": who, "runs": runs}).one()
            return working.work_of(row, working.so_far(connection, row.lease))
        row, until = given.question, now + self._lease_seconds
        terms = working.Terms(run=names[row.run], token=given.token, since=now, until=until)
        return working.work_of(row, working.SoFar(), terms)

    def _checked(self, labeller: str, token: str, choice: Choice, rationale: str) -> "_Answer":
        if choice not in CHOICES:
            raise StoreError(f"there is no answer {choice!r}; give one of {', '.join(CHOICES)}")
        check_text("rationale", rationale)
        if len(rationale) > working.LONGEST_TEXT:
            raise StoreError(f"a reason has {working.LONGEST_TEXT} characters at most; shorten it")
        _check_token(token)
        return _Answer(labeller=labeller, token=token, choice=choice, rationale=rationale)

    def _answer(self, connection: Connection, answer: "_Answer", stage: Stage | None) -> str | None:
        """`answer` within a write transaction: the state in which the lease was, or None if nothing is stored."""
        who, token = PERSON + answer.labeller, answer.token
        row = connection.execute(working.TO_ANSWER, {"token": token, "labeller": who}).first()
        if row is None or row.run not in self._runs(connection):
            raise LeaseError("no such comparison is yours; ask for the next one")
        if row.state == DONE:
            return None
        done, now = working.so_far(connection, row.lease), self._clock()
        mode = mode_of(orjson.loads(row.payload))
        if stage is not None and stage != ("revise" if done.given else "answer"):
            return None
        condition, until = working.condition_of(mode, done), now + self._lease_seconds
        given = Preference(
            comparison=row.id, probability=CHOICES[answer.choice], evaluator=who,
            seconds=max(0.0, now - leasing.begun(row, until)), readings=len(done.readings), claims_seen=done.opened,
            swapped=working.swapped(token), condition=condition, time=now, rationale=answer.rationale,
            policy_versions=orjson.loads(row.policy_versions),
        )  # fmt: skip
        attempt = done.attempts.get(condition, 0)
        leasing.store_answer(connection, row, given, lease=row.lease, state=row.state, attempt=attempt)
        if mode == "revise" and not done.given:
            leasing.restart(connection, row.lease, now, until)
        else:
            leasing.finish(connection, row.lease, final=True)
        self._known.pop(f"progress {answer.labeller}", None)
        state: str = row.state
        return state

    @contextmanager
    def _held(self, labeller: str, token: str) -> Iterator[tuple[Connection, Any]]:
        """Opens a write transaction that holds a labeller's lease, and prolongs it: whoever is at work keeps it."""
        with self._writing() as connection:
            _check_token(token)
            row = working.held(connection, self._runs(connection), PERSON + labeller, token, self._clock())
            leasing.prolong(connection, row.lease, self._clock() + self._lease_seconds)
            yield connection, row


def _check_token(token: str) -> None:
    if not (token.isascii() and token.isprintable()):
        raise LeaseError("no such comparison is yours; ask for the next one")


# --- statements, made once: making one takes longer than running it ---

_RUNS: sa.BindParameter[Any] = sa.bindparam("runs", expanding=True)
_ANSWERED = sa.select(
    sa.func.count(feedback.c.comparison.distinct()).label("answered"),
    sa.func.count(sa.case((feedback.c.time > sa.bindparam("day"), feedback.c.comparison)).distinct()).label("today"),
).where(feedback.c.run.in_(_RUNS), feedback.c.evaluator == sa.bindparam("labeller"), STANDS)
_WAITING = sa.select(sa.func.count(comparison.c.seq)).where(
    comparison.c.run.in_(_RUNS), leasing.HAS_SLOTS, ~comparison.c.aside
)
_HELD = (
    sa.select(lease.c.labeller, sa.func.count(lease.c.seq))
    .join(comparison, lease.c.comparison == comparison.c.seq)
    .where(lease.c.run.in_(_RUNS), lease.c.state == OPEN, lease.c.expires_at > sa.bindparam("now"))
    .where(~comparison.c.aside)
    .group_by(lease.c.labeller)
)
