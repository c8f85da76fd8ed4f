"""Processes killed at any moment lose no answer that the store acknowledged, and no slot is counted twice."""

import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from rewardtree.preferences import Comparison, Preference, Store, open_store

Make = Callable[..., list[Comparison]]


def start(target: str, name: str, output: Path) -> subprocess.Popen[str]:
    with output.open("w") as file:
        return subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("labeller.py")), target, name],
            stdin=subprocess.PIPE,
            stdout=file,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )


def wait_until(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not true():
        assert time.monotonic() < until
        time.sleep(0.01)


def go(labellers: list[subprocess.Popen[str]], outputs: list[Path]) -> None:
    """Waits until all have opened the store, then lets them work."""
    wait_until(lambda: all(output.read_text() for output in outputs))
    for labeller in labellers:
        assert labeller.stdin is not None
        labeller.stdin.write("go\n")
        labeller.stdin.close()


def words(outputs: list[Path], kind: str) -> list[str]:
    """Ids after a word, in whole lines only: a kill may cut the last one."""
    lines = [line for output in outputs for line in output.read_text().splitlines(keepends=True)]
    return [line.split()[1] for line in lines if line.startswith(kind) and line.endswith("\n")]


def test_killed_labellers_lose_no_acknowledged_answer(
    target: str, tmp_path: Path, comparisons: Make, behind: sa.Engine
) -> None:
    asked = comparisons(3000)
    rng = random.Random(os.getpid())
    with open_store(target, run="test") as store:
        store.submit(asked)
        outputs = [tmp_path / f"output {i}" for i in range(3)]
        labellers = [start(target, f"labeller {i}", outputs[i]) for i in range(3)]
        go(labellers, outputs)
        wait_until(lambda: all("stored" in output.read_text() for output in outputs))
        for labeller in labellers:
            time.sleep(rng.uniform(0.05, 0.3))
            labeller.kill()
            labeller.wait(timeout=60)
        let_the_server_notice(behind)
        given, acknowledged = words(outputs, "given"), words(outputs, "stored")
        assert 0 < len(acknowledged) <= len(given) < 3000
        assert len(set(given)) == len(given)
        stored = [one.comparison for one in store.collect("root", "recursive")]
        assert set(acknowledged) <= set(stored)
        assert max(Counter(stored).values()) == 1
        assert len(stored) - len(acknowledged) <= 3  # at most one of each was stored and not yet said
        slots_add_up(behind)
        after_the_kill(store, asked, len(stored))


def let_the_server_notice(behind: sa.Engine) -> None:
    """Waits until a PostgreSQL server has finished what killed clients asked for last."""
    busy = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state <> 'idle'"
    if behind.dialect.name == "postgresql":
        with behind.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            others = sa.text(f"{busy} AND pid <> pg_backend_pid()")
            wait_until(lambda: connection.execute(others).scalar() == 0)


def slots_add_up(behind: sa.Engine) -> None:
    """A slot is left, or a lease holds it, or an answer has used it."""
    with behind.connect() as connection:
        if connection.dialect.name == "sqlite":
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
        left, held = connection.execute(
            sa.text("SELECT (SELECT sum(slots_left) FROM comparison), (SELECT count(*) FROM lease)")
        ).one()
        done, answered = connection.execute(
            sa.text("SELECT (SELECT count(*) FROM lease WHERE state = 'done'), (SELECT count(*) FROM feedback)")
        ).one()
    assert left + held == 3000
    assert done == answered


def after_the_kill(store: Store, asked: list[Comparison], stored: int) -> None:
    """The store goes on: a killed labeller finds its open lease, others find something new."""
    taken = store.lease("labeller 0")
    assert taken is not None
    assert store.answer(taken[1], Preference(comparison=taken[0].id, probability=1.0, evaluator="labeller 0"))
    assert store.record([Preference(comparison=asked[-1].id, probability=1.0, evaluator="sim")]) == 1
    assert len(store.collect("root", "recursive", since=stored)) == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_may_go_on_using_the_store(target: str, comparisons: Make) -> None:
    asked = comparisons(2)
    with open_store(target, run="test") as store:
        store.submit(asked)
        store.record([Preference(comparison=asked[0].id, probability=0.0, evaluator="sim")])
        with store._reading() as connection:
            parents = connection.connection.dbapi_connection
        child = os.fork()
        if child == 0:
            code = 1
            try:
                with store._reading() as connection:
                    shared = connection.connection.dbapi_connection is parents
                later = Preference(comparison=asked[1].id, probability=1.0, evaluator="sim")
                code = 0 if store.record([later]) == 1 and not shared else 1
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert [one.probability for one in store.collect("root", "recursive")] == [0.0, 1.0]
