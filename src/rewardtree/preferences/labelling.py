"""The labelling server's side of a store: accounts, comparisons in people's hands, readings under a meter, answers.

A server serves one *project*: the runs whose names are its key or begin with the key and a slash, as the seeds of one
run do. Runs that begin later are served too. Every method is one transaction (an answer is preceded by a look at whose
lease it is); when a writing one returns, its effect is on the disk.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from rewardtree.errors import AccountError, LeaseError, StoreError
from rewardtree.preferences import accounts, leasing, working
from rewardtree.preferences.accounts import Account, Role, Session
from rewardtree.preferences.checks import at_least_0, check_name, check_text
from rewardtree.preferences.faults import translated
from rewardtree.preferences.opening import open_engine
from rewardtree.preferences.records import Records, records_of
from rewardtree.preferences.schema import DONE, comparison, feedback, label_account, label_session, lease, run
from rewardtree.preferences.store import standing
from rewardtree.preferences.values import PERSON, Preference
from rewardtree.preferences.working import CHOICES, Choice, Reading, Side, Stage, Work

__all__ = ["CHOICES", "Account", "Choice", "Labelling", "Progress", "Reading", "Session", "Work", "open_labelling"]

CONNECTIONS = 40
"""To the database, kept open: as many as requests are served at a time."""
RECENT = 1.0
"""Seconds for which it is believed which runs there are, and how much waits."""
LEASE_SECONDS = 900.0
"""How long a comparison is a labeller's own; showing it again prolongs it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """How far a labeller is: comparisons answered, those of the last 24 hours, and what waits for anybody."""

    answered: int
    today: int
    waiting: int


def open_labelling(
    target: str | Path, key: str, *, clock: Callable[[], float] = time.time, lease_seconds: float = LEASE_SECONDS
) -> "Labelling":
    """Opens a project of a store for labelling.

    Args:
        target: a file's path or a URL, as for `open_store`.
        key: of the project.
        clock: gives the seconds since 1970.
        lease_seconds: how long a comparison is a labeller's own.

    Raises:
        StoreError: the store cannot be opened.
    """
    check_name("key", key)
    engine, where = open_engine(target, 30.0, connections=CONNECTIONS)
    return Labelling(engine, where, key, clock, at_least_0("lease_seconds", lease_seconds))


class Labelling:
    """One project's labelling; see the module's docstring. Open it with `open_labelling`; threads may share it."""

    def __init__(
        self, engine: Engine, where: str, key: str, clock: Callable[[], float], lease_seconds: float
    ) -> None:  # fmt: skip
        self._engine, self._where, self._clock, self.key = engine, where, clock, key
        self._writer = engine.execution_options(writes=True)
        self._lease_seconds = lease_seconds
        self._known: dict[str, tuple[float, Any]] = {}

    def close(self) -> None:
        """Closes every connection."""
        self._engine.dispose()

    # --- accounts ---

    def invite(self, role: Role = "labeller", *, uses: int = 1, seconds: float = 7 * 86400.0) -> str:
        """Makes an invitation, and tells its code this once.

        Args:
            role: of the accounts that it allows.
            uses: accounts that it allows.
            seconds: how long it can be used.

        Raises:
            AccountError: it could never be used.
        """
        with self._writing() as connection:
            return accounts.invite(connection, self.key, role, uses, self._clock() + at_least_0("seconds", seconds))

    def join(self, code: str, name: str, password: str) -> Account:
        """Makes the account that an invitation allows.

        Raises:
            AccountError: the invitation is unknown, used up or out of date, the name is taken or cannot be one, or the
                password is too short; the invitation can be used again then.
        """
        hashed = accounts.hashed(password)
        with self._writing() as connection:
            return accounts.join(connection, self.key, code, name, hashed, self._clock())

    def set_password(self, name: str, password: str, role: Role) -> Account:
        """Makes an account, or gives an existing one a new password and role; its sessions end.

        Raises:
            AccountError: the name or password cannot be one.
        """
        hashed = accounts.hashed(password)
        with self._writing() as connection:
            return accounts.put(connection, self.key, name, role, hashed, self._clock())

    def sign_in(self, name: str, password: str) -> tuple[str, Session]:
        """Opens a session.

        Returns:
            The session's token, and the session.

        Raises:
            AccountError: name or password is wrong, or the account may not sign in.
        """
        with self._reading() as connection:
            stored = accounts.find(connection, self.key, name) if _storable(name) else None
        right = accounts.fits(password, None if stored is None else stored.password)
        if stored is None or not right or not stored.active:
            raise AccountError("name or password is wrong; try again, or ask for an invitation")
        with self._writing() as connection:
            return accounts.open_session(connection, stored, self._clock())

    def open_session(self, name: str, role: Role) -> tuple[str, Session]:
        """Opens a session without a password, for one person at this very machine."""
        with self._writing() as connection:
            if accounts.find(connection, self.key, name) is None:
                accounts.put(connection, self.key, name, role, None, self._clock())
            return accounts.open_session(connection, accounts.find(connection, self.key, name), self._clock())

    def session(self, token: str) -> Session | None:
        """The session that a token opens, or None."""
        with self._reading() as connection:
            return accounts.session_of(connection, self.key, token, self._clock())

    def sign_out(self, token: str) -> None:
        """Ends a session."""
        with self._writing() as connection:
            connection.execute(sa.delete(label_session).where(label_session.c.digest == accounts.digest(token)))

    def accounts(self) -> list[Account]:
        """All accounts of the project, by name."""
        column = label_account.c
        query = sa.select(label_account).where(column.project == self.key).order_by(column.name)
        with self._reading() as connection:
            return [accounts.account_of(row) for row in connection.execute(query)]

    def deactivate(self, name: str) -> bool:
        """Signs an account out and lets it in no more; its answers stay. False where there is none."""
        with self._writing() as connection:
            found = accounts.find(connection, self.key, name) if _storable(name) else None
            if found is None:
                return False
            accounts.end_sessions(connection, found.seq)
            connection.execute(sa.update(label_account).where(label_account.c.seq == found.seq).values(active=False))
            return True

    # --- work ---

    def next(self, labeller: str, node: str | None = None) -> Work | None:
        """Gives a labeller a comparison: its open lease, else one that it let run out, else the first one waiting.

        Args:
            labeller: name of the account.
            node: give out this node's comparisons only.

        Returns:
            None where nothing waits for this labeller.
        """
        with self._writing() as connection:
            runs = self._runs(connection)
            now = self._clock()
            given = leasing.take(connection, runs, PERSON + labeller, node, now, self._lease_seconds)
            if given is None:
                return None
            return working.work_of(connection, connection.execute(_LEASE, {"token": given[1]}).one())

    def work(self, labeller: str, token: str) -> Work:
        """A comparison that a labeller has on lease.

        Raises:
            LeaseError: it is not this labeller's, is answered, or ran out.
        """
        _check_token(token)
        with self._reading() as connection:
            row = working.held(connection, self._runs(connection), PERSON + labeller, token, self._clock(), lock=False)
            return working.work_of(connection, row)

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
            return working.work_of(connection, row)

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
        if choice not in CHOICES:
            raise StoreError(f"there is no answer {choice!r}; give one of {', '.join(CHOICES)}")
        check_text("rationale", rationale)
        if len(rationale) > working.LONGEST_TEXT:
            raise StoreError(f"a reason has {working.LONGEST_TEXT} characters at most; shorten it")
        _check_token(token)
        with self._reading() as connection:
            row, runs = connection.execute(_LEASE, {"token": token}).first(), self._runs(connection)
        if row is None or row.labeller != PERSON + labeller or row.run not in runs:
            raise LeaseError("no such comparison is yours; ask for the next one")
        with self._writing(row.run) as connection:
            row = connection.execute(_LEASE.with_for_update(), {"token": token}).one()
            if row.state == DONE:
                return False
            work, now = working.work_of(connection, row), self._clock()
            if stage is not None and work.stage != stage:
                return False
            first_of_two = work.mode == "revise" and work.stage == "answer"
            given = Preference(
                comparison=work.comparison.id, probability=CHOICES[choice], evaluator=PERSON + labeller,
                seconds=max(0.0, now - row.given_at), readings=len(work.readings), claims_seen=work.opened,
                swapped=work.swapped, condition=work.condition, time=now, rationale=rationale,
                policy_versions=work.comparison.policy_versions,
            )  # fmt: skip
            return leasing.settle(connection, row.run, token, given, final=not first_of_two)

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
            newest = connection.execute(
                sa.select(feedback.c.run)
                .where(
                    feedback.c.evaluator == PERSON + labeller, feedback.c.run.in_(self._runs(connection)), standing()
                )
                .order_by(feedback.c.seq.desc())
                .limit(1)
            ).scalar()
        if newest is None:
            return None
        with self._writing(newest) as connection:
            now, runs = self._clock(), self._runs(connection)
            row = working.undo(connection, runs, PERSON + labeller, now + self._lease_seconds, now)
            return None if row is None else working.work_of(connection, row)

    def progress(self, labeller: str) -> Progress:
        """How far a labeller is."""
        with self._reading() as connection:
            runs = self._runs(connection)
            mine = {"runs": runs, "labeller": PERSON + labeller, "day": self._clock() - 86400.0}
            row = connection.execute(_ANSWERED, mine).one()
            waiting = self._recent("waiting", lambda: connection.execute(_WAITING, {"runs": runs}).scalar_one())
            return Progress(answered=row.answered, today=row.today, waiting=waiting)

    def records(self) -> Records:
        """All that people gave, for figures and export."""
        with self._reading() as connection:
            return records_of(connection, self._runs(connection))

    # --- transactions ---

    def _runs(self, connection: Connection) -> list[int]:
        """Numbers of the project's runs."""
        named = (run.c.name == self.key) | run.c.name.startswith(f"{self.key}/", autoescape=True)
        query = sa.select(run.c.seq).where(named).order_by(run.c.seq)
        found: list[int] = self._recent("runs", lambda: list(connection.execute(query).scalars()))
        return found

    def _recent(self, name: str, look: Callable[[], Any]) -> Any:
        """What a look gave at most `RECENT` seconds ago, or gives now; nothing found is looked for again."""
        known, now = self._known.get(name), time.monotonic()
        if known is None or not known[1] or now - known[0] > RECENT:
            known = self._known[name] = (now, look())
        return known[1]

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with translated(self._where), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _writing(self, alone: int | None = None) -> Iterator[Connection]:
        """Opens a write transaction; with a run's number, no other one writes feedback of that run meanwhile."""
        with translated(self._where), self._writer.begin() as connection:
            if alone is not None:
                connection.execute(sa.select(run.c.seq).where(run.c.seq == alone).with_for_update(key_share=True))
            yield connection

    @contextmanager
    def _held(self, labeller: str, token: str) -> Iterator[tuple[Connection, Any]]:
        """Opens a write transaction that holds a labeller's lease, and prolongs it: whoever is at work keeps it."""
        with self._writing() as connection:
            _check_token(token)
            row = working.held(connection, self._runs(connection), PERSON + labeller, token, self._clock())
            until = self._clock() + self._lease_seconds
            connection.execute(sa.update(lease).where(lease.c.seq == row.seq).values(expires_at=until))
            yield connection, row


def _storable(name: str) -> bool:
    return name.isprintable()


def _check_token(token: str) -> None:
    if not (token.isascii() and token.isprintable()):
        raise LeaseError("no such comparison is yours; ask for the next one")


# --- statements, made once: making one takes longer than running it ---

_RUNS: sa.BindParameter[Any] = sa.bindparam("runs", expanding=True)
_LEASE = sa.select(lease).where(lease.c.token == sa.bindparam("token"))
_ANSWERED = sa.select(
    sa.func.count(feedback.c.comparison.distinct()).label("answered"),
    sa.func.count(sa.case((feedback.c.time > sa.bindparam("day"), feedback.c.comparison)).distinct()).label("today"),
).where(feedback.c.run.in_(_RUNS), feedback.c.evaluator == sa.bindparam("labeller"), standing())
_WAITING = sa.select(sa.func.count(comparison.c.seq)).where(
    comparison.c.run.in_(_RUNS), comparison.c.slots_left > 0, ~comparison.c.aside
)
