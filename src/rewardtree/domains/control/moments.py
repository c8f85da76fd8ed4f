"""The leaf `moments`: in which part of a rollout is the rule broken most, and for how many steps?

An input is a whole rollout, cut into `PARTS` parts of equal length. An output is a part p and a value v from 0 to the
steps of a part. With b(p) = steps of the part that begin on a bed, the true reward is

    b(p) / SCALE - abs(v - b(p)) / SCALE

To watch the part that an answer points at is one reading, and shows b(p): the answer is judged unaided. The policy sees
of each part what a summary of its observations and actions tells, and does not see b(p).
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from rewardtree.domains.control.courier import CLEARANCE, FAR, STEPS, on_bed
from rewardtree.domains.control.drive_boards import moment_board
from rewardtree.domains.control.segments import Segments, Starts
from rewardtree.tasks.answers import AnswerTask, Scenes
from rewardtree.tasks.backdrop import backdrop
from rewardtree.tasks.task import Split

PARTS = 20
"""Of a rollout."""
LONG = STEPS // PARTS
"""Steps of a part."""
WATCH = "trampled"
"""The instrument: who watches a part counts its steps on a bed."""
SCALE = 3.0
"""Steps: the usual spread of b over parts in which a courier comes near a bed."""
ROUNDS = 5
"""Parts that the root asks for, one after the other; in training up to so many less one are left out beforehand."""

DrawRollouts = Callable[[np.random.Generator, int, Split], tuple[Starts, Segments]]
"""Whole rollouts of a split."""
PerPart = Float[np.ndarray, "batch parts"]


def parts_of(steps: Shaped[np.ndarray, "batch steps *rest"]) -> Shaped[np.ndarray, "batch parts part_steps *rest"]:
    """What was recorded at every step, part by part."""
    return steps.reshape(len(steps), PARTS, LONG, *steps.shape[2:])


def trampled(rollouts: Segments) -> PerPart:
    """Steps of each part that begin on a bed: what watching it shows."""
    on: Bool[np.ndarray, "batch steps"] = on_bed(rollouts.observations) & rollouts.valid
    counted: PerPart = parts_of(on).sum(axis=2).astype(float)
    return counted


def summaries(rollouts: Segments) -> Float[np.ndarray, "batch parts features"]:
    """Mean, least and greatest of each thing observed in a part, and the mean of what was done."""
    seen = parts_of(rollouts.observations)
    done = parts_of(rollouts.actions).mean(axis=2)
    told = [seen.mean(axis=2), seen.min(axis=2), seen.max(axis=2), done]
    return np.concatenate(told, axis=2).astype(np.float32)


def moment_scenes(starts: Starts, rollouts: Segments, beside: Iterable[Int[np.ndarray, " batch"]] = ()) -> Scenes:
    """The parts of whole rollouts as places; what catches a layman's eye is how near a bed they lead.

    Args:
        starts: name the rollouts.
        rollouts: whole ones.
        beside: parts that are known already; the others are places.
    """
    nearest = parts_of(rollouts.observations[..., CLEARANCE]).min(axis=2)
    valid = np.ones(nearest.shape, dtype=bool)
    for known in beside:
        valid[np.arange(len(valid)), known] = False
    return Scenes(
        features=summaries(rollouts), valid=valid, prominence=(FAR - nearest).astype(float),
        fields={WATCH: trampled(rollouts)}, asked=np.full(len(rollouts), -1), origin=starts.seeds,
        backdrop=backdrop(rollouts),
    )  # fmt: skip


def moments_task(draw: DrawRollouts) -> AnswerTask:
    """The task of the leaf.

    Args:
        draw: whole rollouts of a split.
    """

    def drawn(rng: np.random.Generator, count: int, split: Split) -> Scenes:
        scenes = moment_scenes(*draw(rng, count, split))
        known = rng.integers(ROUNDS, size=count)
        rank = (-scenes.prominence).argsort(axis=1, kind="stable").argsort(axis=1, kind="stable")
        return replace(scenes, valid=rank >= known[:, None])

    return AnswerTask(
        name="moments", instruments=(WATCH,), draw=drawn, low=0.0, high=float(LONG), usual=1.0, scale=SCALE,
        levels=2 * LONG + 1, unit="steps", digits=1,
        statement="worst in part {place}: {value:.1f} steps on a bed", pointer="watch part {place}",
        noun="parts with most steps on a bed", picture=moment_board,
    )  # fmt: skip
