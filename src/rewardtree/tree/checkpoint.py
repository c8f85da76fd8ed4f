"""What a finished iteration leaves on disk: weights and observations as safetensors, figures as JSON. Never a pickle.

An iteration's folder appears under its name only when all of it is written, so a killed run leaves whole iterations.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Num
from safetensors import SafetensorError
from safetensors.numpy import load_file as load_arrays
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import load_file, save_file

from rewardtree.errors import RunError
from rewardtree.policies.learner import Learner, Policy
from rewardtree.rewards.ensemble import Fit
from rewardtree.rewards.learner import EnsembleLearner, RewardLearner, Scores


@dataclass(frozen=True, kw_only=True, slots=True)
class Feedback:
    """What a reward model has been shown: observations of both outputs, and the comparisons' names in the store.

    Observations are features, or token ids padded with -1, of which one iteration may have more than another.
    """

    first: Num[np.ndarray, "pairs first"]
    second: Num[np.ndarray, "pairs second"]
    ids: list[str]

    def plus(self, other: "Feedback") -> "Feedback":
        """Both, one after the other."""
        return Feedback(
            first=_stacked(self.first, other.first),
            second=_stacked(self.second, other.second),
            ids=self.ids + other.ids,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """A node after some iterations.

    Attributes:
        policy: as improved so far.
        untrained: as it was at first.
        reward_model: None before the first iteration.
        feedback: all of it, or None before the first iteration.
        fits: how each fit went.
        check_readings: readings spent on checking helpers.
    """

    policy: Any
    untrained: Any
    reward_model: Scores | None = None
    feedback: Feedback | None = None
    fits: tuple[Fit, ...] = ()
    check_readings: int = 0


def _stacked(before: Num[np.ndarray, "_ _"], after: Num[np.ndarray, "_ _"]) -> Num[np.ndarray, "_ _"]:
    """Rows under each other; token ids, which are integers, are padded with -1 to one width."""
    width = max(before.shape[1], after.shape[1])
    if before.dtype.kind == "i" and before.shape[1] != after.shape[1]:
        before, after = (np.pad(a, ((0, 0), (0, width - a.shape[1])), constant_values=-1) for a in (before, after))
    return np.concatenate([before, after])


def folder(run: Path, protocol: str, node: str, iteration: int) -> Path:
    """Where an iteration's results are."""
    return run / protocol / node / f"iteration-{iteration:03d}"


def save(path: Path, trained: Trained) -> None:
    """Write an iteration's results, durably and all at once.

    Raises:
        RunError: where the disk is full or cannot be written.
    """
    assert trained.reward_model is not None and trained.feedback is not None
    model, feedback = trained.reward_model, trained.feedback
    record = {
        "version": trained.policy.version,
        "ids": feedback.ids,
        "fits": [asdict(f) for f in trained.fits],
        "check_readings": trained.check_readings,
    }

    def write(partial: Path) -> None:
        save_file({n: v.contiguous() for n, v in trained.policy.weights.items()}, partial / "policy.safetensors")
        model.save(partial / "reward_model.safetensors")
        save_arrays({"first": feedback.first, "second": feedback.second}, partial / "feedback.safetensors")
        (partial / "record.json").write_text(json.dumps(record))

    _write_whole(path, write)


def _write_whole(path: Path, write: Callable[[Path], None]) -> None:
    """Let a folder appear under its name only when all of it is written."""
    partial = path.with_name(path.name + ".partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        write(partial)
        for file in partial.iterdir():
            with file.open("rb") as handle:
                os.fsync(handle.fileno())
        partial.rename(path)
    except (OSError, SafetensorError) as error:
        raise RunError(
            f"cannot write {path}: {error}; free some space or mend the folder, then resume the run"
        ) from error


def load(path: Path, learner: Learner, untrained: Policy, reward: RewardLearner | None = None) -> Trained | None:
    """Read an iteration's results, or None where it never finished.

    Raises:
        RunError: where the files are broken.
    """
    if not path.is_dir():
        return None
    with _readable(path):
        record: dict[str, Any] = json.loads((path / "record.json").read_text())
        arrays = load_arrays(path / "feedback.safetensors")
        weights = _in_order(load_file(path / "policy.safetensors"), untrained.weights)
        return Trained(
            policy=learner.restore(weights, record["version"]),
            untrained=untrained,
            reward_model=(reward or EnsembleLearner()).load(path / "reward_model.safetensors"),
            feedback=Feedback(first=arrays["first"], second=arrays["second"], ids=record["ids"]),
            fits=tuple(Fit(**f) for f in record["fits"]),
            check_readings=record["check_readings"],
        )


def _in_order(weights: dict[str, torch.Tensor], like: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights in the order of others, which files do not keep: sums over all of them would else be rounded anew."""
    return {name: weights[name] for name in like if name in weights} | weights


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Say what to do where a folder's files are broken."""
    try:
        yield
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, RunError) as error:
        raise RunError(f"{path} is broken ({error}); remove that folder and resume the run, which redoes it") from error


def save_weights(path: Path, weights: Mapping[str, torch.Tensor], record: Mapping[str, Any]) -> None:
    """Write weights and a JSON-able record, durably and all at once, for schemes that compare nothing.

    Raises:
        RunError: where the disk is full or cannot be written.
    """

    def write(partial: Path) -> None:
        save_file({name: value.contiguous() for name, value in weights.items()}, partial / "policy.safetensors")
        (partial / "record.json").write_text(json.dumps(record))

    _write_whole(path, write)


def load_weights(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
    """Read what `save_weights` wrote, or None where it never finished.

    Raises:
        RunError: where the files are broken.
    """
    if not path.is_dir():
        return None
    with _readable(path):
        record: dict[str, Any] = json.loads((path / "record.json").read_text())
        return load_file(path / "policy.safetensors"), record
