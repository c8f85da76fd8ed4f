"""Couriers that no policy trained on: the base outputs on which evaluators are calibrated and measured.

Each heads for its address by linear feedback, at an angle that is drawn anew for every way, knows nothing of beds, and
is jolted by noise. How brisk it is follows mostly from the start: the two outputs of an input are about as fast, as
those of one policy are, while all speeds occur. The rest is its own, so that one of the two is somewhat faster.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from rewardtree.domains.control.courier import DRAG, STEPS, THRUST, Trips, begin, step
from rewardtree.domains.control.segments import Segments, Starts

SWERVE, JOLT, GAIN = 0.5, 0.3, 1.5
"""Radians (spread) of the angle of a way, spread of the noise of actions, and gain of the feedback."""
SLOWEST, OWN = 0.4, 0.1
"""Least share of full speed that a start has, and the spread of what is a courier's own."""
SETTLED = 3.0
"""Metres from the address from which on the angle is zero."""

Actions = Float[np.ndarray, "batch 2"]
Act = Callable[[Trips, Float[np.ndarray, "batch 6"]], Actions]


def briskness(starts: Starts, rng: np.random.Generator) -> Float[np.ndarray, " batch"]:
    """Share of full speed, `SLOWEST` to 1: the start's, and a little of the courier's own."""
    mixed = starts.seeds.astype(np.uint64) * np.uint64(2654435761) % np.uint64(2**32)
    usual = SLOWEST + (1 - SLOWEST) * mixed.astype(float) / 2.0**32
    return np.clip(usual + OWN * rng.standard_normal(len(usual)), SLOWEST, 1.0)


def wandering(starts: Starts, rng: np.random.Generator) -> Act:
    """What the couriers of the module's docstring do."""
    speed, angle = THRUST / DRAG * briskness(starts, rng), np.zeros(len(starts))
    way = np.full(len(starts), -1)

    def act(trips: Trips, seen: Float[np.ndarray, "batch 6"]) -> Actions:
        nonlocal way, angle
        angle = np.where(trips.way != way, SWERVE * rng.standard_normal(len(angle)), angle)
        way = trips.way
        turned = np.where(seen[:, 0] > SETTLED, angle, 0.0)
        wanted = speed[:, None] * np.stack([np.cos(turned), np.sin(turned)], axis=1)
        actions: Actions = GAIN * (wanted - seen[:, 1:3]) + JOLT * rng.standard_normal(wanted.shape)
        return actions

    return act


def roll(starts: Starts, act: Act) -> Segments:
    """Whole rollouts from these starts, all at once."""
    trips, record = begin(starts.seeds), []
    for _ in range(STEPS):
        seen, states = trips.seen, trips.states()
        actions = np.clip(act(trips, seen), -1.0, 1.0)
        trips, rewards = step(trips, actions)
        record.append((seen, actions.astype(np.float32), rewards, states.astype(np.float32)))
    seen, actions, rewards, states = (np.stack(part, axis=1) for part in zip(*record, strict=True))
    return Segments(
        observations=seen, actions=actions, rewards=rewards, states=states,
        length=np.full(len(starts), STEPS), began=np.zeros(len(starts), dtype=np.int64),
    )  # fmt: skip
