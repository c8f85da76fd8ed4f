"""Jobs that spawned processes and Ray's workers can import: they get this folder's parent on their path."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from rewardtree.errors import ConfigError, RewardtreeError
from rewardtree.studies.executors import Job

PATIENCE = 60.0


def mix(seed: int, found: dict[str, Any]) -> dict[str, Any]:
    """Numbers that depend on a seed and, bit for bit, on everything found and the order of its keys."""
    numbers = np.random.default_rng(seed).normal(size=50_000)
    for place, (key, result) in enumerate(found.items()):
        numbers = np.sin(numbers + (place + 1) * result["numbers"])
        seed += len(key)
    return {"seed": seed, "numbers": numbers}


def mix_killed_once(arguments: tuple[int, Path], found: dict[str, Any]) -> dict[str, Any]:
    """`mix`, but the first worker that begins it is ended."""
    seed, marker = arguments
    if not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return mix(seed, found)


def mix_when_told(arguments: tuple[int, str, Path], found: dict[str, Any]) -> dict[str, Any]:
    """`mix`, but it says in a folder that it has begun, once or again, and there waits for a file `go`."""
    seed, name, folder = arguments
    begun = folder / f"begun-{name}"
    begun.write_text("again" if begun.exists() else "once")
    await_file(folder / "go")
    return mix(seed, found)


def always_killed(_: Any, found: dict[str, Any]) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def say_process(folder: Path, found: dict[str, Any]) -> int:
    """Leave this process's number in a folder, and stay for long."""
    (folder / "new").write_text(str(os.getpid()))
    (folder / "new").rename(folder / "process")
    time.sleep(5 * PATIENCE)
    return 0


def threads(_: Any, found: dict[str, Any]) -> tuple[str, int]:
    import torch

    return os.environ["OMP_NUM_THREADS"], torch.get_num_threads()


def touch(path: Path, found: dict[str, Any]) -> None:
    path.touch()


def process(_: Any, found: dict[str, Any]) -> int:
    return os.getpid()


def refuse(_: Any, found: dict[str, Any]) -> None:
    raise ConfigError("there are no labels; give --labels 1 or more")


class AwkwardError(RewardtreeError):
    """Cannot be brought back by pickle, as its constructor takes more than its text."""

    def __init__(self, place: str, problem: str) -> None:
        super().__init__(f"{place}: {problem}")


def refuse_awkwardly(_: Any, found: dict[str, Any]) -> None:
    raise AwkwardError("tree.yaml:3", "no root; name one")


def divide(by: int, found: dict[str, Any]) -> float:
    return 1 / by


def diamond(*, left: Any = mix, left_arguments: Any = 2, right: Any = mix, right_arguments: Any = 3) -> list[Job]:
    """Four jobs: top, then left and right, then bottom; given in another order."""
    return [
        Job(key="bottom", work=mix, arguments=4, needs=("right", "left")),
        Job(key="left", work=left, arguments=left_arguments, needs=("top",)),
        Job(key="right", work=right, arguments=right_arguments, needs=("top",)),
        Job(key="top", work=mix, arguments=1),
    ]


def same(first: dict[str, Any], second: dict[str, Any]) -> bool:
    """Whether two executors' results of `mix` jobs are the same bit for bit, and in the same order."""
    return list(first) == list(second) and all(
        first[key]["seed"] == second[key]["seed"]
        and first[key]["numbers"].tobytes() == second[key]["numbers"].tobytes()
        for key in first
    )


def await_file(path: Path) -> None:
    if not eventually(path.exists):
        raise TimeoutError(f"{path} did not come")


def eventually(what: Callable[[], bool]) -> bool:
    """Whether something comes true in reasonable time."""
    until = time.monotonic() + PATIENCE
    while not what():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def gone(process: int) -> bool:
    """Whether a process has ended; one that nobody has waited for yet has, too."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True).stdout
    return not state.strip() or state.startswith("Z")
