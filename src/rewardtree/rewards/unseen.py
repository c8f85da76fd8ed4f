"""What fits of ensembles of segments' rewards share: they are judged by unseen preferences, and read from files."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from rewardtree.errors import RunError
from rewardtree.rewards.bradley_terry import accuracy, calibration_error, fit_temperature, preference_loss
from rewardtree.rewards.ensemble import Fit

ENOUGH = 10
"""Comparisons that a member does not see from which on these are learnt from: when to stop, or the temperature."""
NAN = float("nan")
NOTHING = Fit(accuracy=NAN, calibration_error=NAN, loss=NAN, steps=0, pairs=0, held_out=0)
"""Of a fit to no preference."""
Model = TypeVar("Model")


def judged(
    logits: Float[Tensor, "members held"], unseen: Float[Tensor, "members held"], told: Float[Tensor, " held"], *,
    steps: int, pairs: int,
) -> tuple[Tensor, Fit]:  # fmt: skip
    """The temperature, and figures, by preferences that some members did not see.

    Args:
        logits: of every member that the first is better.
        unseen: 1 where a member did not see the preference, else 0; no column is all 0.
        told: probabilities that the first is better.
        steps: of the fit.
        pairs: that it was fitted to, seen or not.
    """
    temperature, held = torch.ones(()), len(told)
    if not held:
        return temperature, replace(NOTHING, steps=steps, pairs=pairs)
    mean, one = (logits * unseen).sum(0) / unseen.sum(0), torch.ones(held)
    if held >= ENOUGH:
        temperature = torch.tensor(fit_temperature(mean, told, one))
    mean = mean / temperature
    return temperature, Fit(
        accuracy=accuracy(mean, told), calibration_error=calibration_error(mean, told),
        loss=float(preference_loss(mean, told, one)), steps=steps, pairs=pairs, held_out=held,
    )  # fmt: skip


def loaded(path: Path, restore: Callable[[dict[str, Tensor]], Model]) -> Model:
    """The reward model whose weights a file holds.

    Raises:
        RunError: where the file is missing or is not such a model.
    """
    try:
        return restore(load_file(path))
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise RunError(f"{path} is not a reward model that this version reads; train it again") from error
