"""Seconds that the parts of a seed took."""

import json
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rewardtree.studies.places import write_whole


class Clock:
    """Seconds that each part took, added up over interruptions."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.seconds: dict[str, float] = json.loads(path.read_text()) if path.exists() else {}

    @contextmanager
    def measure(self, part: str) -> Any:
        """Time a block."""
        start = time.perf_counter()
        yield
        self.seconds[part] = self.seconds.get(part, 0.0) + time.perf_counter() - start
        write_whole(self._path, json.dumps(self.seconds))
