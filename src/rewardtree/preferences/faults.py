"""Turns the failures of a database into one sentence with its remedy."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import exc

from rewardtree.errors import StoreError

_SQLITE = {
    sqlite3.SQLITE_FULL: "the disk is full; free some space and resume, no stored answer is lost",
    sqlite3.SQLITE_READONLY: "it is read-only; make the file and its folder writable",
    sqlite3.SQLITE_CORRUPT: "the file is damaged; restore a backup, or salvage it with sqlite3's .recover",
    sqlite3.SQLITE_NOTADB: "the file is not a preference store; choose another path",
    sqlite3.SQLITE_BUSY: "another process holds it; wait for that process, or raise the timeout",
    sqlite3.SQLITE_LOCKED: "another connection holds it; wait for it, or raise the timeout",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; check that its folder exists and is readable and writable",
    sqlite3.SQLITE_IOERR: "the disk refuses to read or write; check its space, limits and health",
    sqlite3.SQLITE_NOMEM: "memory ran out; free some and resume",
    sqlite3.SQLITE_PERM: "access is denied; make the file and its folder writable",
}

_POSTGRESQL = {
    "53100": "the server's disk is full; free some space and resume, no stored answer is lost",
    "53200": "the server ran out of memory; free some and resume",
    "53300": "the server has no free connection; raise max_connections or close some",
    "57P03": "the server is starting or stopping; try again in a moment",
    "57P01": "the server was stopped; start it and resume",
    "25006": "the database is read-only; give the URL of a writable server",
    "42501": "this user lacks the permission; grant it CREATE on the schema, or ask as another user",
    "40P01": "two transactions waited for each other; try again",
    "55P03": "another connection holds a lock; wait for it and try again",
    "P0001": "feedback is append-only; record a new answer instead of changing an old one",
}

_NO_CONNECTION = (
    "no connection to the server; check that it runs and that the URL names the right host, port, user, "
    "password and database"
)


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Runs a block of database work; what the database raises in it becomes a StoreError.

    Args:
        where: how the store is called in the sentence; must hold no password.

    Raises:
        StoreError: with one sentence that names the store, the problem and the remedy.
    """
    try:
        yield
    except exc.DBAPIError as error:
        raise StoreError(f"preference store {where}: {_sentence(error.orig, error)}") from error
    except sqlite3.Error as error:
        raise StoreError(f"preference store {where}: {_sentence(error, error)}") from error
    except exc.SQLAlchemyError as error:
        raise StoreError(f"preference store {where}: {_first_line(error)}; check its URL and its server") from error


def _sentence(cause: BaseException | None, error: Exception) -> str:
    if isinstance(cause, sqlite3.Error):
        # The low byte of an extended result code is its primary code (sqlite.org/rescode.html).
        code = getattr(cause, "sqlite_errorcode", None)
        if code is not None and code & 0xFF in _SQLITE:
            return f"{_SQLITE[code & 0xFF]} ({cause})"
        if "append-only" in str(cause):
            return _POSTGRESQL["P0001"]
    state = getattr(cause, "sqlstate", None)
    if state in _POSTGRESQL:
        return f"{_POSTGRESQL[state]} ({_first_line(cause)})"
    # psycopg reports a lost or refused connection without an SQLSTATE, or with one of class 08.
    lost = state is None or state.startswith(("08", "57"))
    if isinstance(error, exc.OperationalError) and lost and not isinstance(cause, sqlite3.Error):
        return f"{_NO_CONNECTION} ({_first_line(cause)})"
    return f"the database refused the request ({_first_line(cause)}); check the store and try again"


def _first_line(error: BaseException | None) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
