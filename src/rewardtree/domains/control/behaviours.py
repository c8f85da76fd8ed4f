"""Random behaviour of different kinds, on which evaluators are calibrated and measured and no policy trained.

Each episode has one kind: an action drawn anew at every step, one that is held for a while, or linear feedback on
observations with random gains.
"""

from functools import lru_cache

import numpy as np
from jaxtyping import Int

from rewardtree.domains.control.environments import Environment, Form, form_of
from rewardtree.domains.control.rollouts import Act, episodes, pieces
from rewardtree.domains.control.segments import Segments
from rewardtree.tasks.task import SPLITS, Split

STEPS, PICTURES = 12_000, 2_400
"""Steps of random behaviour that stand behind the pieces of a split; fewer of pictures, which are large."""
FEWEST = 24
"""Episodes of them at least."""


def behaving(form: Form, rng: np.random.Generator, episodes: int) -> Act:
    """What so many episodes do at random."""
    count, columns = episodes, form.columns
    kind = rng.integers(2 if form.pixels else 3, size=count)
    hold = np.where(kind == 0, 1, rng.integers(2, 25, size=count))
    width = 0 if form.pixels else int(np.prod(form.seen))
    gain = np.exp(rng.uniform(np.log(0.1), np.log(3.0), size=(count, 1, 1)))
    feedback = rng.normal(size=(count, width, columns)) * gain / max(width, 1) ** 0.5
    level, held, age = rng.normal(size=(count, columns)) * 0.3, np.zeros((count, columns)), np.zeros(count, dtype=int)
    middle, reach = (form.low + form.high) / 2, (form.high - form.low) / 2

    def act(seen: np.ndarray, rows: Int[np.ndarray, " rows"]) -> np.ndarray:
        fresh = age[rows] % hold[rows] == 0
        held[rows] = np.where(fresh[:, None], rng.uniform(-1, 1, size=(len(rows), columns)), held[rows])
        age[rows] += 1
        wish = held[rows]
        if width:
            fed = np.einsum("bi,bij->bj", seen.reshape(len(rows), -1), feedback[rows]) + level[rows]
            wish = np.where(kind[rows, None] == 2, np.clip(fed, -1, 1) if not form.discrete else fed, wish)
        if form.discrete:
            chosen: np.ndarray = wish.argmax(axis=1)
            return chosen
        moved: np.ndarray = (middle + reach * wish).astype(np.float32)
        return moved

    return act


@lru_cache(maxsize=8)
def random_rollouts(environment: Environment, split: Split) -> Segments:
    """Rollouts of random behaviour that belong to a split; the same whenever they are asked for."""
    form = form_of(environment)
    steps = PICTURES if form.pixels else STEPS
    count = max(FEWEST, steps // form.horizon)
    rng = np.random.default_rng([20170612, SPLITS.index(split)])
    seeds = rng.integers(2**28, size=count) * len(SPLITS) + SPLITS.index(split)
    return episodes(environment, seeds, behaving(form, rng, count), most=steps // count)


def random_pieces(
    environment: Environment, split: Split, rng: np.random.Generator, count: int, length: int
) -> Segments:  # fmt: skip
    """Pieces of these rollouts, begun at random; one that is shorter is taken whole."""
    whole = random_rollouts(environment, split)
    row = rng.choice(len(whole), size=count, p=whole.length / whole.length.sum())
    began = (rng.random(count) * np.maximum(whole.length[row] - length + 1, 1)).astype(np.int64)
    lengths = np.minimum(whole.length[row] - began, length)
    along = np.minimum(began[:, None] + np.arange(length), whole.rewards.shape[1] - 1)
    return pieces(whole, (row[:, None], along), lengths, began)
