"""A run that is killed at any moment loses nothing, and goes on to the same figures."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

SMALL = [
    "--preset",
    "tiny",
    "--set",
    "helper_labels=24",
    "--set",
    "root_labels=24",
    "--set",
    "test_pairs=16",
    "--set",
    "updates=2",
]
COMMAND = [sys.executable, "-m", "rewardtree"]


def command(*words: str) -> list[str]:
    return [*COMMAND, *words]


def timeless(found: Any) -> Any:
    """Results without what a clock says."""
    if isinstance(found, dict):
        return {key: timeless(value) for key, value in found.items() if key != "seconds"}
    return [timeless(value) for value in found] if isinstance(found, list) else found


def answers(run: Path) -> list[tuple[Any, ...]]:
    """Every stored answer of a run's first seed."""
    import sqlite3

    with sqlite3.connect(f"file:{run / 'seed-0' / 'store.db'}?mode=ro", uri=True) as store:
        tables = {row[0] for row in store.execute("select name from sqlite_master where type='table'")}
        table = next(name for name in ("feedback", "answer") if name in tables)
        return store.execute(f"select * from {table} order by seq").fetchall()


def finish(words: list[str]) -> None:
    done = subprocess.run(words, capture_output=True, text=True, timeout=600, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    out, begun = tmp_path_factory.mktemp("whole") / "run", time.monotonic()
    finish(command("run", "chip", "--out", str(out), *SMALL))
    return out, time.monotonic() - begun


@pytest.mark.slow
@pytest.mark.parametrize("attempt", range(4))
def test_killed_runs_end_with_the_same_figures(uninterrupted: tuple[Path, float], tmp_path: Path, attempt: int) -> None:
    whole, seconds = uninterrupted
    chance, out = random.Random(attempt), tmp_path / "run"
    words, kept = command("run", "chip", "--out", str(out), *SMALL), 0
    for _ in range(3):
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        time.sleep(chance.uniform(0.1, 0.8) * seconds)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if (out / "seed-0" / "store.db").exists():
            now = answers(out)
            assert len(now) >= kept
            kept = len(now)
            words = command("resume", str(out))
    before = answers(out) if (out / "seed-0" / "store.db").exists() else []
    finish(words)
    assert answers(out)[: len(before)] == before
    assert timeless(json.loads((out / "results.json").read_text())) == timeless(
        json.loads((whole / "results.json").read_text())
    )
    assert not list(out.rglob("*.partial"))
