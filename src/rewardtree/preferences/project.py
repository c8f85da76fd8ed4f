"""A project of a store: the runs that one labelling server serves, and who may come in."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from rewardtree.errors import AccountError
from rewardtree.preferences import accounts
from rewardtree.preferences.accounts import Account, Role, Session
from rewardtree.preferences.checks import at_least_0
from rewardtree.preferences.faults import translated
from rewardtree.preferences.keys import numbered, runs_under
from rewardtree.preferences.opening import writing
from rewardtree.preferences.schema import label_account, label_session

RECENT = 1.0
"""Seconds for which it is believed which runs there are, and how much waits."""
SESSION_SECONDS = 5.0
"""Seconds for which a session is believed: as long as another server may be late to learn that it was ended."""
MOST_KNOWN = 5000


class ProjectStore:
    """Accounts and sessions of a project, and its transactions; `Labelling` adds what people do there."""

    def __init__(self, engine: Engine, where: str, key: str, clock: Callable[[], float]) -> None:
        self._engine, self._where, self._clock, self.key = engine, where, clock, key
        self._writer = engine.execution_options(writes=True)
        is_server = engine.dialect.name != "sqlite"
        self._glancer = engine.execution_options(isolation_level="AUTOCOMMIT") if is_server else engine
        self._known: dict[str, tuple[float, Any]] = {}
        self._forgotten = 0  # times
        self._of_project = numbered(key)

    def close(self) -> None:
        """Closes every connection."""
        self._engine.dispose()

    def check_runs(self) -> None:
        """Makes sure that the project has a run.

        Raises:
            NoRunError: it has none; names the keys that the store has.
        """
        with self._reading() as connection:
            runs_under(connection, self._where, self.key)

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
            put = accounts.put(connection, self.key, name, role, hashed, self._clock())
        self._forget()
        return put

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
        """Opens a session without a password, for one person at this very machine.

        Raises:
            AccountError: the name cannot be an account's, or as for `check_open`.
        """
        with self._writing() as connection:
            found = accounts.find(connection, self.key, name)
            accounts.check_open(found, name, role)
            if found is None:
                accounts.put(connection, self.key, name, role, None, self._clock())
            return accounts.open_session(connection, accounts.find(connection, self.key, name), self._clock())

    def check_open(self, name: str, role: Role) -> None:
        """Makes sure that `open_session` can open one.

        Raises:
            AccountError: the account of that name may not sign in, or has another role.
        """
        with self._reading() as connection:
            accounts.check_open(accounts.find(connection, self.key, name), name, role)

    def session(self, token: str) -> Session | None:
        """The session that a token opens, or None; one that another server ends may last a moment longer here."""
        known = self.known_session(token)
        if known is not None:
            return known
        before = self._forgotten
        with self._glancing() as connection:
            found = accounts.session_of(connection, self.key, token, self._clock())
        if before == self._forgotten:  # else it may have been ended since
            self._keep(f"session {accounts.digest(token)}", found)
        return found

    def known_session(self, token: str) -> Session | None:
        """The session that a token opened at most `SESSION_SECONDS` ago, without a look into the store."""
        found: Session | None = self._fresh(f"session {accounts.digest(token)}", SESSION_SECONDS)
        return found if found is not None and found.expires_at > self._clock() else None

    def sign_out(self, token: str) -> None:
        """Ends a session."""
        with self._writing() as connection:
            connection.execute(sa.delete(label_session).where(label_session.c.digest == accounts.digest(token)))
        self._forget()

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
        self._forget()
        return True

    def _runs(self, connection: Connection) -> list[int]:
        """Numbers of the project's runs."""
        return list(self._names(connection))

    def _names(self, connection: Connection) -> dict[int, str]:
        """Names of the project's runs, by number."""
        query = self._of_project
        found: dict[int, str] = self._recent("runs", lambda: {row.seq: row.name for row in connection.execute(query)})
        if not found:  # a run may begin at any moment
            self._known.pop("runs", None)
        return found

    def _recent(self, name: str, look: Callable[[], Any]) -> Any:
        """What a look gave at most `RECENT` seconds ago, or gives now."""
        known = self._fresh(name, RECENT)
        if known is not None:
            return known
        found = look()
        self._keep(name, found)
        return found

    def _forget(self) -> None:
        """Believes nothing any more, once what ends sessions is on the disk."""
        self._forgotten += 1
        self._known.clear()

    def _fresh(self, name: str, seconds: float) -> Any:
        """What was kept under a name no longer ago, or None."""
        known = self._known.get(name)
        return None if known is None or time.monotonic() - known[0] > seconds else known[1]

    def _keep(self, name: str, found: Any) -> None:
        """Keeps what was found, for a while."""
        if len(self._known) > MOST_KNOWN:
            self._known.clear()
        self._known[name] = (time.monotonic(), found)

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with translated(self._where), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _glancing(self) -> Iterator[Connection]:
        """Opens a connection for one query, which needs no transaction: on a server that saves two round trips."""
        with translated(self._where), self._glancer.connect() as connection:
            yield connection

    @contextmanager
    def _writing(self, alone: int | None = None) -> Iterator[Connection]:
        """Opens a write transaction; with a run's number, no other one writes feedback of that run meanwhile."""
        with writing(self._writer, self._where, alone) as connection:
            yield connection


def _storable(name: str) -> bool:
    return name.isprintable()
