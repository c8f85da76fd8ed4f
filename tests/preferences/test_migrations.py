"""A store is brought to the newest schema, once; a newer one is left alone."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

import rewardtree.preferences.opening as opening
from rewardtree.errors import StoreError
from rewardtree.preferences import Comparison, Preference, open_store, schema

Make = Callable[..., list[Comparison]]


def test_the_known_revisions_are_those_shipped() -> None:
    scripts = ScriptDirectory(str(Path(opening.__file__).parent / "migrations"))
    shipped = [script.revision for script in scripts.walk_revisions()]
    assert tuple(reversed(shipped)) == schema.REVISIONS


def test_migrations_make_the_tables_that_the_code_reads(fresh: str, behind: sa.Engine) -> None:
    open_store(fresh).close()
    options = {"compare_type": True, "version_table": schema.VERSION_TABLE}
    with behind.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts=options), schema.metadata) == []


def test_down_and_up_again(fresh: str, behind: sa.Engine, comparisons: Make) -> None:
    open_store(fresh).close()
    with behind.begin() as connection:
        opening.migrate(connection, "base")
    with behind.connect() as connection:
        assert sa.inspect(connection).get_table_names() == [schema.VERSION_TABLE]
    with open_store(fresh) as store:  # an older store is migrated on opening
        asked = comparisons(1)
        store.submit(asked)
        store.record([Preference(comparison=asked[0].id, probability=0.5, evaluator="sim")])
    with pytest.raises(sa.exc.DBAPIError, match="append-only"), behind.begin() as connection:
        connection.execute(sa.text("DELETE FROM feedback"))


def test_an_opened_store_keeps_its_answers(fresh: str, comparisons: Make) -> None:
    asked = comparisons(1)
    given = Preference(comparison=asked[0].id, probability=0.5, evaluator="sim")
    for new in (1, 0, 0):
        with open_store(fresh, run="test") as store:
            assert (store.submit(asked), store.record([given])) == (new, new)
            assert store.collect("root", "recursive") == [given]


def test_a_newer_schema_is_refused_and_left_alone(fresh: str, behind: sa.Engine) -> None:
    open_store(fresh).close()
    with behind.begin() as connection:
        connection.execute(sa.text(f"UPDATE {schema.VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(StoreError, match="upgrade") as refused:
        open_store(fresh)
    assert "9999" in str(refused.value) and "\n" not in str(refused.value)
    with behind.connect() as connection:
        assert connection.execute(sa.text(f"SELECT version_num FROM {schema.VERSION_TABLE}")).scalar() == "9999"


def test_a_new_store_opened_by_many_at_once_is_made_once(fresh: str) -> None:
    def enter(number: int) -> int:
        with open_store(fresh, run=f"run {number % 2}") as store:
            return store.pending()

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(enter, range(6))) == [0] * 6


def test_threads_may_make_different_stores_at_once(tmp_path: Path) -> None:
    def make(number: int) -> int:
        with open_store(tmp_path / f"{number}.db", run="test") as store:
            return store.pending()

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(make, range(6))) == [0] * 6


def test_the_migrations_are_found_in_a_folder_with_an_odd_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = tmp_path / "100% ä"
    odd.mkdir()
    (odd / "migrations").symlink_to(Path(opening.__file__).parent / "migrations")
    monkeypatch.setattr(opening, "__file__", str(odd / "opening.py"))
    open_store(odd / "st%re.db").close()
