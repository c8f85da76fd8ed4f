"""What every test starts from: one thread a process, no display, the same examples on every run."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import jaxtyping
import pytest
from hypothesis import settings
from threadpoolctl import threadpool_limits

# For what is imported after this line, such as torch and matplotlib, and for processes that tests start.
os.environ.update(OMP_NUM_THREADS="1", OMP_WAIT_POLICY="PASSIVE", MPLBACKEND="Agg")
# For what came with pytest's plugins: jaxtyping imports numpy.
threadpool_limits(limits=1)

# For domains that several folders of tests share.
sys.path.append(str(Path(__file__).parent))

settings.register_profile("rewardtree", deadline=None, derandomize=True)
settings.load_profile("rewardtree")


@pytest.fixture
def shapes_unchecked() -> Iterator[None]:
    """Turn the shape checks off, to see what a user is told, who runs without them."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
