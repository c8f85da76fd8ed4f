"""Which number type is faster on this machine: measured at first use, kept, and said.

bfloat16 is thrice as fast where the processor has matrix units for it, and slower where it has none. The choice is
kept in the cache, so that a run which is resumed computes as it began.
"""

import json
import logging
import os
import platform
import statistics
import time
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import torch

from rewardtree.language.embedded import cache_folder

ROWS, INNER, COLUMNS, REPEATS = 256, 576, 1536, 9
"""A product such as SmolLM2's: 256 tokens of width 576."""
MARGIN = 1.3
"""How many times as fast bfloat16 must be to be worth its rounding, which also outweighs what else runs here."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Precision:
    """Milliseconds that one product takes in each type, the median."""

    float32: float
    bfloat16: float

    @property
    def dtype(self) -> torch.dtype:
        """The type to compute in."""
        return torch.bfloat16 if self.float32 > MARGIN * self.bfloat16 else torch.float32

    def __str__(self) -> str:
        name = str(self.dtype).removeprefix("torch.")
        times = f"{self.float32:.2f} ms in float32 and {self.bfloat16:.2f} in bfloat16"
        return f"language models compute in {name}: a product takes {times}"


def measure() -> Precision:
    """Time one product in each type, in turns."""
    taken: dict[torch.dtype, list[float]] = {torch.float32: [], torch.bfloat16: []}
    factors = {kind: (torch.randn(ROWS, INNER).to(kind), torch.randn(COLUMNS, INNER).to(kind)) for kind in taken}
    with torch.inference_mode():
        for _ in range(REPEATS + 1):
            for kind, (left, right) in factors.items():
                start = time.perf_counter()
                torch.nn.functional.linear(left, right)
                taken[kind].append(1e3 * (time.perf_counter() - start))
    medians = {str(kind).removeprefix("torch."): statistics.median(times[1:]) for kind, times in taken.items()}
    return Precision(**medians)


def _place() -> Path:
    machine = f"{platform.machine()}-{torch.get_num_threads()}-torch-{torch.__version__}".replace("/", "-")
    return cache_folder() / f"precision-{machine}.json"


@cache
def precision() -> Precision:
    """What was measured at the first use on this machine; measured now where nothing is kept."""
    place = _place()
    try:
        found = Precision(**json.loads(place.read_text()))
    except (OSError, ValueError, TypeError):
        found = measure()
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            partial = place.with_name(f"{place.name}.{os.getpid()}.partial")
            partial.write_text(json.dumps(asdict(found)))
            partial.replace(place)
        except OSError:
            logging.getLogger(__name__).warning("cannot keep this in %s; set REWARDTREE_CACHE", place)
    logging.getLogger(__name__).info("%s", found)
    return found
