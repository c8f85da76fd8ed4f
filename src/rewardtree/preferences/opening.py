"""Opens the database behind a store: durable SQLite or PostgreSQL, brought to the newest schema."""

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, Engine, make_url

from rewardtree.errors import StoreError
from rewardtree.preferences import schema
from rewardtree.preferences.faults import translated

_MIGRATION_LOCK = 7_390_124_418_552_113
"""Key of the PostgreSQL advisory lock under which one process at a time migrates."""

_SQLITE = (3, 35)
"""The first that has RETURNING."""

_one_at_a_time = threading.Lock()
"""Alembic keeps the connection that it migrates in a global."""


def open_engine(
    target: str | Path, timeout: float, connections: int = 5, *, new: bool = True, idle: float = 0.0
) -> tuple[Engine, str]:
    """Opens a database and brings it to the newest schema.

    An SQLite file that is made is its owner's only, and so are its log and index, whose mode SQLite takes from it; one
    that is there keeps its mode. SQLite runs with a write-ahead log, `synchronous=FULL` (a commit is on the disk when
    it returns) and foreign keys; a connection with the execution option `writes=True` begins with `BEGIN IMMEDIATE`.

    Args:
        target: a file's path, or a URL: `sqlite:///PATH`, `postgresql://USER@HOST/DATABASE`.
        timeout: seconds to wait for another process's lock, and for a server to answer.
        connections: kept open once they were needed; more are opened for a moment.
        idle: seconds without use after which a connection to a server is asked whether it lives; 0 asks every time.
        new: whether a file is made where there is none.

    Returns:
        The engine, and how the store is called in messages (without password).

    Raises:
        StoreError: the store cannot be opened, is not there, is another program's, or has a newer schema than this
            code.
    """
    url = _url(target)
    if url.get_backend_name() == "sqlite":
        if sqlite3.sqlite_version_info < _SQLITE:
            raise StoreError(
                f"this Python has SQLite {sqlite3.sqlite_version}, and a store in a file needs 3.35 or newer; "
                "use a newer Python build, or PostgreSQL"
            )
        where = str(url.database)
        if not new and not Path(where).exists():
            raise StoreError(f"there is no store {where}; give the path of one that is there")
        with translated(where):
            _refuse_foreign_file(where, timeout)
        _make_private(where)
        engine = sa.create_engine(url, connect_args={"timeout": timeout}, pool_size=connections, pool_use_lifo=True)
        _set_up_sqlite(engine)
    else:
        where = without_password(target)
        waiting = {} if "connect_timeout" in url.query else {"connect_timeout": max(1, round(timeout))}
        try:
            # One INSERT a row, in a pipeline: numbers are drawn in the order of the rows.
            engine = sa.create_engine(
                url,
                connect_args=waiting,
                pool_size=connections,
                pool_use_lifo=True,
                use_insertmanyvalues=False,
            )
        except ImportError as error:
            raise StoreError(f"store {where}: {error}; pip install 'rewardtree[postgres]'") from error
        event.listen(engine, "connect", _keep_commits_durable)
        _ask_idle_connections(engine, idle)
    try:
        with translated(where):
            _bring_up_to_date(engine, where)
    except BaseException:
        engine.dispose()
        raise
    return engine, where


@contextlib.contextmanager
def writing(writer: Engine, where: str, run: int | None = None) -> Iterator[Connection]:
    """Opens a write transaction.

    On PostgreSQL numbers are drawn before the commit, so without the run's lock an answer with a lower number could
    appear after one with a higher number was collected.

    Args:
        writer: the engine with the execution option `writes=True`.
        where: how the store is called in messages.
        run: number of a run of which no other transaction writes feedback meanwhile; None for any may.
    """
    with translated(where), writer.begin() as connection:
        if run is not None:
            mine = sa.select(schema.run.c.seq).where(schema.run.c.seq == run)
            connection.execute(mine.with_for_update(key_share=True))
        yield connection


def without_password(target: str | Path) -> str:
    """A store's path or URL as it may be shown; a password in it is three stars."""
    if isinstance(target, Path) or "://" not in target:
        return str(target)
    return _url(target).render_as_string(hide_password=True).replace("+psycopg", "", 1)


def _url(target: str | Path) -> URL:
    if isinstance(target, Path) or "://" not in target:
        url = URL.create("sqlite", database=str(target))
    else:
        try:
            url = make_url(target)
            backend = url.get_backend_name()
        except (sa.exc.ArgumentError, ValueError) as error:
            raise StoreError("the store's URL cannot be read; write postgresql://USER@HOST/DATABASE") from error
        if backend in ("postgresql", "postgres"):
            return url.set(drivername="postgresql+psycopg")
        if backend != "sqlite":
            raise StoreError(f"no store runs on {backend}; give a file's path or a postgresql:// URL")
    return _file_url(url)


def _file_url(url: URL) -> URL:
    name = url.database
    if not name or name == ":memory:" or name.startswith("file:"):
        raise StoreError("a store in memory would lose its answers; give a file's path")
    path = Path(name).expanduser()
    if path.is_dir():
        raise StoreError(f"preference store {path} is a folder; give a file's path, for instance {path / 'store.db'}")
    if not path.parent.is_dir():
        raise StoreError(f"preference store {path}: its folder does not exist; create it with mkdir -p {path.parent}")
    return url.set(database=str(path.absolute()))


def _set_up_sqlite(engine: Engine) -> None:
    def connect(connection: sqlite3.Connection, record: object) -> None:
        # SQLAlchemy, not the driver, says when a transaction begins: see `begin`.
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA recursive_triggers=ON")  # INSERT OR REPLACE fires the delete trigger too
        _turn_on_wal(connection)
        connection.execute("PRAGMA synchronous=FULL")

    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    event.listen(engine, "connect", connect)
    event.listen(engine, "begin", begin)


def _turn_on_wal(connection: sqlite3.Connection) -> None:
    mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
    if mode != "wal":
        raise StoreError(
            f"the store's file system allows no write-ahead log (journal mode {mode}); "
            "put the store on a local disk, or use PostgreSQL"
        )


def _keep_commits_durable(connection: Any, record: object) -> None:
    """Overrides PostgreSQL's `synchronous_commit=off`: under it a crash loses acknowledged answers."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
        )
    connection.commit()


def _ask_idle_connections(engine: Engine, idle: float) -> None:
    """Asks a connection that nobody used for a while whether it lives, before it is used again.

    SQLAlchemy's own `pool_pre_ping` asks every time, a round trip of four for a look at a picture.
    """

    def checkin(connection: Any, record: Any) -> None:
        record.info["used"] = time.monotonic()

    def checkout(connection: Any, record: Any, proxy: object) -> None:
        used = record.info.get("used")
        if used is not None and time.monotonic() - used >= idle:
            try:
                engine.dialect.do_ping(connection)
            except engine.dialect.loaded_dbapi.Error as error:
                raise sa.exc.DisconnectionError from error  # the pool opens another one

    event.listen(engine, "checkin", checkin)
    event.listen(engine, "checkout", checkout)


def _bring_up_to_date(engine: Engine, where: str) -> None:
    with engine.connect() as connection:
        if _version(connection) == schema.REVISIONS[-1]:
            return
    with engine.execution_options(writes=True).begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
        version = _version(connection)  # another process may have migrated it meanwhile
        if version is None:
            if connection.dialect.name == "postgresql":
                tables = set(sa.inspect(connection).get_table_names())
                _refuse_foreign(tables & set(schema.metadata.tables), where)
        elif version not in schema.REVISIONS:
            raise StoreError(
                f"preference store {where} has schema {version}, and this rewardtree knows none after "
                f"{schema.REVISIONS[-1]}; upgrade it with pip install --upgrade rewardtree"
            )
        if version != schema.REVISIONS[-1]:
            migrate(connection)


def migrate(connection: Connection, revision: str = "head") -> None:
    """Migrates a database within the connection's transaction.

    Args:
        connection: a connection in a transaction; the caller commits.
        revision: `head` for the newest schema, `base` for none (drops everything, answers included), or a
            version.
    """
    from alembic import command  # here, for only a store that is not up to date needs it
    from alembic.config import Config

    config = Config()
    place = str(Path(__file__).parent / "migrations")
    config.set_main_option("script_location", place.replace("%", "%%"))
    config.attributes["connection"] = connection
    with _one_at_a_time:
        if revision == "base":
            command.downgrade(config, revision)
        else:
            command.upgrade(config, revision)


def _version(connection: Connection) -> str | None:
    if not sa.inspect(connection).has_table(schema.VERSION_TABLE):
        return None
    version = connection.execute(sa.text(f"SELECT version_num FROM {schema.VERSION_TABLE}")).scalar()
    return None if version is None else str(version)


def _make_private(path: str) -> None:
    with contextlib.suppress(OSError):  # what cannot be made is SQLite's to explain
        os.close(os.open(path, os.O_RDONLY | os.O_CREAT, 0o600))


def _refuse_foreign_file(path: str, timeout: float) -> None:
    """Looks into a file before any setting is written into it."""
    if not Path(path).exists():
        return
    with contextlib.closing(sqlite3.connect(path, timeout=timeout)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if schema.VERSION_TABLE not in tables:
        _refuse_foreign(tables, path)


def _refuse_foreign(tables: set[str], where: str) -> None:
    if tables:
        raise StoreError(
            f"preference store {where} already holds another program's table {min(tables)!r}; "
            "choose another path or an empty database"
        )
