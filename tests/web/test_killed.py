"""Kill -9 of the server under load: whatever it acknowledged is in the store, once."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

LOAD = Path(__file__).parents[2] / "benchmarks" / "labelling_load.py"


@pytest.mark.slow
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_nothing_acknowledged_is_lost_or_stored_twice(database: str) -> None:
    command = [sys.executable, str(LOAD), "--browsers", "10", "--answers", "60", "--think", "0.3", "--kills", "16"]
    done = subprocess.run(
        [*command, "--databases", database], capture_output=True, text=True, timeout=400, check=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    found = json.loads(done.stdout.splitlines()[-1])[database]
    assert found["kills"] == 16 and found["acknowledged"] > 50 and found["answers"] >= found["acknowledged"]
    assert (found["lost"], found["double"]) == (0, 0)
