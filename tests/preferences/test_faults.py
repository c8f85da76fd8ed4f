"""What goes wrong with disk, file or server is said in one sentence with a remedy; nothing is half stored."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from rewardtree.errors import StoreError
from rewardtree.preferences import Comparison, Preference, Store, open_store
from rewardtree.preferences.faults import translated

Make = Callable[..., list[Comparison]]


def one_sentence(refused: pytest.ExceptionInfo[StoreError]) -> str:
    said = str(refused.value)
    assert "\n" not in said and ";" in said
    return said


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


def limited(store: Store, pragma: str) -> None:
    """Applies a pragma to every connection of a store on SQLite."""
    event.listen(store._engine, "connect", lambda connection, record: connection.execute(pragma))
    store._engine.dispose()  # drops the connections made before


def answers(asked: list[Comparison]) -> list[Preference]:
    return [Preference(comparison=one.id, probability=0.5, evaluator="sim") for one in asked]


def test_a_full_disk_stores_all_of_a_batch_or_nothing(path: Path, comparisons: Make) -> None:
    first, second = comparisons(20), comparisons(400, node="leaf", fields=bytes(2000))
    with open_store(path, run="test") as store:
        store.submit(first)
        store.record(answers(first))
        limited(store, "PRAGMA max_page_count=100")
        with pytest.raises(StoreError, match="disk is full") as refused:
            store.submit(second)
        one_sentence(refused)
        assert store.comparisons([one.id for one in second]) == {}
        assert len(store.collect("root", "recursive")) == 20
    with open_store(path, run="test") as store:  # with space again
        assert store.submit(second) == 400
        assert len(store.collect("root", "recursive")) == 20


def test_a_full_disk_refuses_answers_and_keeps_those_it_took(path: Path, comparisons: Make) -> None:
    asked = comparisons(1500)
    with open_store(path, run="test") as store:
        store.submit(asked)
        limited(store, f"PRAGMA max_page_count={path.stat().st_size // 4096 + 400}")
        accepted = 0
        with pytest.raises(StoreError, match="disk is full"):
            for start in range(0, 1500, 10):
                batch = [
                    Preference(comparison=one.id, probability=0.5, evaluator="sim", rationale="x" * 8000)
                    for one in asked[start : start + 10]
                ]
                accepted += store.record(batch)
    with open_store(path, run="test") as store:
        assert accepted > 0
        assert len(store.collect("root", "recursive")) == accepted


SCRIPT = """
import resource, sys
from rewardtree.errors import StoreError
from rewardtree.preferences import Preference, open_store
with open_store(sys.argv[1], run="test") as store:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
    try:
        for name in sys.stdin.read().split():
            answer = Preference(comparison=name, probability=0.5, evaluator="sim", rationale="x" * 5000)
            store.record([answer])
            print(name, flush=True)
    except StoreError as error:
        print(error, file=sys.stderr)
"""


def test_a_file_that_may_not_grow_keeps_every_answer_it_took(path: Path, comparisons: Make) -> None:
    asked = comparisons(200)
    with open_store(path, run="test") as store:
        store.submit(asked)
    writer = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(path), "200000"],
        input=" ".join(one.id for one in asked),
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=60,
        check=True,
    )
    assert "preference store" in writer.stderr and "disk" in writer.stderr, writer.stderr
    acknowledged = writer.stdout.split()
    assert 0 < len(acknowledged) < 200
    with open_store(path, run="test") as store:
        assert [one.comparison for one in store.collect("root", "recursive")][: len(acknowledged)] == acknowledged


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_a_really_full_disk(tmp_path: Path, comparisons: Make) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "none", str(disk)], capture_output=True).returncode:
        pytest.skip("this root may not mount")
    try:
        with open_store(disk / "store.db", run="test") as store:
            store.submit(comparisons(5))
            with pytest.raises(StoreError, match="disk"):
                store.submit(comparisons(300, node="leaf", fields=os.urandom(4000)))
            assert store.record(answers(comparisons(5))) == 5 or store.pending("root") == 5
            assert store.pending("leaf") == 0
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_read_only_store(path: Path, comparisons: Make) -> None:
    with open_store(path) as store:
        limited(store, "PRAGMA query_only=ON")
        with pytest.raises(StoreError, match="writable") as refused:
            store.submit(comparisons(1))
        one_sentence(refused)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_file_without_permission(path: Path) -> None:
    open_store(path).close()
    path.chmod(0o400)
    with pytest.raises(StoreError, match="writable"):
        open_store(path)


def test_a_locked_store(path: Path, comparisons: Make) -> None:
    with open_store(path, timeout=0.05) as store:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="another process") as refused:
            store.submit(comparisons(1))
        one_sentence(refused)
        assert store.pending() == 0  # reading goes on
        other.execute("ROLLBACK")
        other.close()
        assert store.submit(comparisons(1)) == 1


def test_a_damaged_store(path: Path, comparisons: Make) -> None:
    with open_store(path, run="test") as store:
        store.submit(comparisons(300))
        store.record(answers(comparisons(300)))
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096 * 4)
        file.write(b"\xff" * (size - 4096 * 4))
    with pytest.raises(StoreError, match="damaged") as refused, open_store(path, run="test") as store:
        store.collect("root", "recursive")
        store.submit(comparisons(300))
    one_sentence(refused)


def test_a_new_file_is_its_owners_only(tmp_path: Path, comparisons: Make) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(tmp_path / "elsewhere.db")
    before = os.umask(0)
    try:
        for path in (tmp_path / "store.db", link):
            with open_store(path, run="test") as store:
                store.submit(comparisons(1))
                files = [Path(f"{path.resolve()}{ending}") for ending in ("", "-wal", "-shm")]
                assert [file.stat().st_mode & 0o777 for file in files] == [0o600] * 3
    finally:
        os.umask(before)


def test_a_file_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    open_store(path, run="test").close()
    path.chmod(0o660)
    open_store(path, run="test").close()
    assert path.stat().st_mode & 0o777 == 0o660


def test_a_file_that_is_something_else(path: Path) -> None:
    path.write_text("node: root\n" * 100)
    with pytest.raises(StoreError, match="not a preference store") as refused:
        open_store(path)
    one_sentence(refused)
    assert path.read_text() == "node: root\n" * 100


def test_another_programs_file_is_left_as_it_is(path: Path) -> None:
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE bookmarks (x)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="another program's table 'bookmarks'"):
        open_store(path)
    assert path.read_bytes() == before


def test_another_programs_table_on_a_server(database: str) -> None:
    engine = sa.create_engine(sa.make_url(database).set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE bookmarks (x int)"))  # no harm
    open_store(database).close()
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE rewardtree_version"))
    with pytest.raises(StoreError, match="another program's table 'claim_opening'"):
        open_store(database)
    engine.dispose()


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("", "memory"),
        (":memory:", "memory"),
        ("sqlite://", "memory"),
        ("sqlite:///:memory:", "memory"),
        ("{folder}", "is a folder"),
        ("{folder}/missing/store.db", "mkdir"),
        ("mysql://host/name", "no store runs on mysql"),
        ("postgresql://host:port/name", "URL"),
        ("://", "URL"),
    ],
)
def test_a_place_where_no_store_can_be(tmp_path: Path, where: str, said: str) -> None:
    with pytest.raises(StoreError, match=said) as refused:
        open_store(where.format(folder=tmp_path))
    one_sentence(refused)


def test_a_file_may_be_named_by_its_url_or_its_path(tmp_path: Path, comparisons: Make) -> None:
    with open_store(f"sqlite:///{tmp_path}/a b?.db") as store:
        store.submit(comparisons(1))
    assert [file.name for file in tmp_path.iterdir()] == ["a b"]
    with open_store(tmp_path / "100% ä?#.db") as store:
        store.submit(comparisons(1))
    assert (tmp_path / "100% ä?#.db").exists()


def test_a_server_that_is_not_there_and_a_password_that_is_not_told() -> None:
    with pytest.raises(StoreError, match="no connection") as refused:
        open_store("postgresql://ada:secret@127.0.0.1:1/labels", timeout=2.0)
    assert "secret" not in one_sentence(refused)


def test_a_database_that_is_not_there(server: str) -> None:
    with pytest.raises(StoreError, match="does not exist") as refused:
        open_store(sa.make_url(server).set(database="missing").render_as_string(hide_password=False))
    one_sentence(refused)


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("53100", "disk is full"),
        ("25006", "read-only"),
        ("42501", "permission"),
        ("40P01", "try again"),
        ("53300", "max_connections"),
        ("57P01", "start it"),
        ("XX001", "refused the request"),
    ],
)
def test_what_a_server_reports(admin: sa.Engine, state: str, said: str) -> None:
    fail = f"DO $$ BEGIN RAISE EXCEPTION 'no way' USING ERRCODE = '{state}'; END $$"
    with pytest.raises(StoreError, match=said) as refused, translated("X"), admin.connect() as connection:
        connection.execute(sa.text(fail))
    assert one_sentence(refused).startswith("preference store X: ")


def test_a_server_that_drops_its_connections_is_asked_again(database: str, comparisons: Make) -> None:
    with open_store(database) as store:
        store.submit(comparisons(1))
        engine = sa.create_engine(sa.make_url(database).set(drivername="postgresql+psycopg"))
        with engine.connect() as killer:
            killer.execute(
                sa.text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
        engine.dispose()
        assert store.pending() == 1


def test_commits_are_durable_even_on_a_hasty_server(database: str) -> None:
    engine = sa.create_engine(sa.make_url(database).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        name = connection.execute(sa.text("SELECT current_database()")).scalar()
        connection.execute(sa.text(f"ALTER DATABASE {name} SET synchronous_commit = off"))
    engine.dispose()
    with open_store(database) as store, store._writing() as connection:
        assert connection.execute(sa.text("SHOW synchronous_commit")).scalar() == "on"


def test_commits_are_durable_in_a_file(path: Path) -> None:
    with open_store(path) as store, store._writing() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
