"""Named sensors of an environment: what moves, and how fast, from its simulator's states or its observations."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from rewardtree.domains.control.environments import Environment, form_of, instances, require
from rewardtree.domains.control.segments import Segments

DEGREES = 180 / np.pi
UNNAMED = 4
"""Columns of observations that are shown where nothing has a name."""
USUAL = 1 / 30
"""Seconds of a step where an environment does not say."""
CLASSIC = {
    "PendulumEnv": (("angle", "°"), ("speed of the angle", "°/s")),
    "CartPoleEnv": (("position", "m"), ("speed", "m/s"), ("angle", "°"), ("speed of the angle", "°/s")),
    "MountainCarEnv": (("position", ""), ("speed", "")),
    "Continuous_MountainCarEnv": (("position", ""), ("speed", "")),
    "AcrobotEnv": (
        ("upper joint", "°"), ("lower joint", "°"),
        ("speed of the upper joint", "°/s"), ("speed of the lower joint", "°/s"),
    ),
}  # fmt: skip
"""What the states of Gymnasium's classic control problems are, by the environment's class."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sensor:
    """One number that a simulator has at every step.

    Attributes:
        name: for people; a joint's own where it has one.
        unit: of its values, may be empty.
        source: what it is read from; `picture` is the share of a picture that differs from the one before, in percent.
        column: of the state or observation.
        moving: whether it says how fast, and not where.
    """

    name: str
    unit: str
    source: Literal["state", "observation", "picture"]
    column: int = 0
    moving: bool = False

    @property
    def label(self) -> str:
        """For people, as the name of an instrument."""
        return self.name[:1].upper() + self.name[1:]

    def read(self, segments: Segments, row: int) -> Float[np.ndarray, " steps"]:
        """Its values at the steps of one piece."""
        length = int(segments.length[row])
        if self.source == "picture":
            frames = segments.observations[row, :length, -1].astype(np.int16)
            changed = (np.abs(np.diff(frames, axis=0)) > 0).mean(axis=(1, 2)) * 100
            return np.concatenate([[0.0], changed])
        values = getattr(segments, {"state": "states", "observation": "observations"}[self.source])
        turned = DEGREES if self.unit.startswith("°") else 1.0
        found: Float[np.ndarray, " steps"] = values[row, :length, self.column].astype(float) * turned
        return found


@lru_cache(maxsize=32)
def sensors_of(environment: Environment) -> tuple[Sensor, ...]:
    """An environment's sensors: joints of a MuJoCo model by name, then their speeds; else states or observations."""
    inner = instances(environment, 1)[0].unwrapped
    if form_of(environment).pixels:
        return (Sensor(name="change of the picture", unit="%", source="picture"),)
    if hasattr(getattr(inner, "data", None), "qpos"):
        return _joints(inner.model)
    known = CLASSIC.get(type(inner).__name__)
    if known is not None:
        return tuple(
            Sensor(name=name, unit=unit, source="state", column=column, moving="speed" in name)
            for column, (name, unit) in enumerate(known)
        )
    count = min(UNNAMED, form_of(environment).seen[0])
    return tuple(Sensor(name=f"observation {column}", unit="", source="observation", column=column)
                 for column in range(count))  # fmt: skip


def _joints(model: Any) -> tuple[Sensor, ...]:
    kinds = require("mujoco").mjtJoint
    units = {int(kinds.mjJNT_HINGE): "°", int(kinds.mjJNT_SLIDE): "m"}
    places, speeds = [], []
    for number in range(model.njnt):
        name, kind = model.joint(number).name or f"joint {number}", int(model.jnt_type[number])
        at, dof = int(model.jnt_qposadr[number]), model.nq + int(model.jnt_dofadr[number])
        each = [(name, 0)] if kind in units else []
        each = [(f"{name} {axis}", i) for i, axis in enumerate("xyz")] if kind == int(kinds.mjJNT_FREE) else each
        unit = units.get(kind, "m")
        for label, i in each:
            places.append(Sensor(name=label, unit=unit, source="state", column=at + i))
            speeds.append(
                Sensor(name=f"speed of {label}", unit=f"{unit}/s", source="state", column=dof + i, moving=True)
            )
    return (*places, *speeds)


@lru_cache(maxsize=32)
def seconds_a_step(environment: Environment) -> float:
    """Simulated seconds of a step."""
    inner = instances(environment, 1)[0].unwrapped
    own = getattr(inner, "dt", None)
    if isinstance(own, float | int) and own > 0 and hasattr(inner, "data"):
        return float(own)
    rate = (getattr(inner, "metadata", None) or {}).get("render_fps")
    return 1 / float(rate) if rate else USUAL
