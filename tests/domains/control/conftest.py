"""For the tiny environment that these tests share, and for little random behaviour."""

import sys
from pathlib import Path

import pytest

from rewardtree.domains.control import behaviours

sys.path.append(str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def little_random_behaviour(monkeypatch: pytest.MonkeyPatch) -> None:
    """Evaluators are calibrated on fewer steps."""
    monkeypatch.setattr(behaviours, "STEPS", 2000)
