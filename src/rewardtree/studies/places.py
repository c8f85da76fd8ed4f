"""Where a run keeps what: names in its folder, and the store that people label. Imports nothing heavy."""

import json
import os
from pathlib import Path

from rewardtree.errors import RunError

CONFIG, KEY, LABELS = "config.json", ".key", "labels.db"
"""A run's configuration; its key, which names its comparisons wherever the folder is moved; the store of a run that
people label, one for all seeds."""

LOOKS = 10
"""Iterations of a node after which its policy is measured, at most; the last is always among them."""


def looked_at(iteration: int, iterations: int) -> bool:
    """Whether a node is measured after this iteration, the first of which is 0."""
    looks = min(LOOKS, iterations)
    return (iteration + 1) * looks // iterations > iteration * looks // iterations


def labelled(run: Path) -> tuple[str, str]:
    """The store of a run that people label, as `open_store` takes it, and the run's key.

    Raises:
        RunError: where there is no run, or none that people label.
    """
    try:
        config, key = json.loads((run / CONFIG).read_text(encoding="utf-8")), (run / KEY).read_text().strip()
    except (OSError, ValueError) as error:
        raise RunError(
            f"there is no run in {run}; start one with: rewardtree run chip --evaluator human --out {run}"
        ) from error
    if config.get("evaluator", "simulated") in ("simulated", "judge"):
        raise RunError(f"the run in {run} asks no people; start one that does: rewardtree run chip --evaluator human")
    return str(config.get("store") or run / LABELS), key


def write_whole(path: Path, text: str, *, private: bool = False) -> None:
    """Write a file so that it is there whole or not at all; a private one is its owner's only from the start."""
    partial = path.with_name(path.name + ".partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600 if private else 0o666), "w") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    partial.replace(path)
