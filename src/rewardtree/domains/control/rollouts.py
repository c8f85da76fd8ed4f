"""Steps of several rollouts side by side, pieces cut from them, and whole episodes."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Num

from rewardtree.domains.control.environments import Environment, foresee, form_of, instances
from rewardtree.domains.control.segments import Segments
from rewardtree.domains.control.snapshots import state_of

SIDE_BY_SIDE = 32
"""Episodes that are stepped together."""
Act = Callable[[Any, Int[np.ndarray, " rows"]], np.ndarray]
"""Observations, and the numbers of the episodes that they are of, to actions as the environment takes them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """Steps of several rollouts side by side; each goes on with a new episode where one ends.

    Attributes:
        observations: before each action.
        actions: as rows.
        rewards: the environment's own; no learner sees them.
        states: the simulator's before each action; of width 0 where it tells none.
        at: number of the step in its episode.
        ended: whether the episode ended with this step.
    """

    observations: Num[np.ndarray, "steps rollouts *seen"]
    actions: Float[np.ndarray, "steps rollouts action"]
    rewards: Float[np.ndarray, "steps rollouts"]
    states: Float[np.ndarray, "steps rollouts state"]
    at: Int[np.ndarray, "steps rollouts"]
    ended: Bool[np.ndarray, "steps rollouts"]

    @property
    def count(self) -> int:
        """Steps of the environment."""
        return int(self.at.size)

    def early(self, horizon: int) -> bool:
        """Whether an episode ended by itself and not by the limit on its steps."""
        return bool((self.ended & (self.at + 1 < horizon)).any())

    def last(self, steps: int) -> "Record":
        """The last steps of each rollout."""
        return Record(**{one.name: getattr(self, one.name)[-steps:] for one in fields(self)})

    def plus(self, other: "Record") -> "Record":
        """These steps and those that came after them."""
        return Record(
            **{one.name: np.concatenate([getattr(self, one.name), getattr(other, one.name)]) for one in fields(self)}
        )

    def steps(self) -> Segments:
        """Every step as a piece of its own, row by row."""
        flat = {one.name: getattr(self, one.name) for one in fields(self)}
        flat = {name: value.reshape(self.count, 1, *value.shape[2:]) for name, value in flat.items()}
        return Segments(
            observations=flat["observations"], actions=flat["actions"], length=np.ones(self.count, dtype=np.int64),
            began=flat["at"][:, 0], rewards=flat["rewards"], states=flat["states"],
        )  # fmt: skip

    def tensors(self) -> dict[str, torch.Tensor]:
        """All of it, by name, for keeping."""
        return {one.name: torch.from_numpy(np.ascontiguousarray(getattr(self, one.name))) for one in fields(self)}

    @staticmethod
    def of(tensors: dict[str, torch.Tensor]) -> "Record":
        """What `tensors` kept."""
        return Record(**{name: value.numpy() for name, value in tensors.items()})

    def cut(self, rng: np.random.Generator, count: int, length: int) -> Segments:
        """Pieces of so many steps, begun at random, with repeats; an episode that is shorter is taken whole.

        Every step is as likely to be met in a short episode as in a long one.
        """
        left = np.zeros(self.at.shape, dtype=np.int64)
        whole = np.zeros(self.at.shape, dtype=bool)
        run, done = np.zeros(self.at.shape[1], dtype=np.int64), np.zeros(self.at.shape[1], dtype=bool)
        for step in range(len(self.at) - 1, -1, -1):
            run = np.where(self.ended[step], 1, run + 1)
            done = done | self.ended[step]
            left[step], whole[step] = run, done
        short = (self.at == 0) & whole & (left < length)
        weight = np.where(left >= length, 1, np.where(short, left, 0)).ravel()
        if not weight.any():
            weight = left.ravel() == left.max()
        picked = rng.choice(len(weight), size=count, p=weight / weight.sum())
        start, rollout = np.unravel_index(picked, self.at.shape)
        lengths = np.minimum(left[start, rollout], length)
        along = np.minimum(start[:, None] + np.arange(length), len(self.at) - 1)
        return pieces(self, (along, rollout[:, None]), lengths, self.at[start, rollout])


def pieces(
    source: Record | Segments, index: tuple[Int[np.ndarray, "..."], ...], lengths: Int[np.ndarray, " pieces"],
    began: Int[np.ndarray, " pieces"],
) -> Segments:  # fmt: skip
    """Pieces of rollouts by where their steps are; what is beyond a piece's length becomes zero."""
    beyond = np.arange(np.broadcast_shapes(*(one.shape for one in index))[1]) >= lengths[:, None]

    def gather(values: Any) -> Any:
        found = values[index]
        found[beyond] = 0
        return found

    return Segments(
        observations=gather(source.observations), actions=gather(source.actions), length=lengths, began=began,
        rewards=gather(source.rewards), states=gather(source.states),
    )  # fmt: skip


def episodes(environment: Environment, seeds: Int[np.ndarray, " batch"], act: Act, most: int | None = None) -> Segments:
    """Whole episodes, one from each seed.

    Args:
        environment: in which.
        seeds: of its `reset`.
        act: decides.
        most: steps after which an episode is left; None to let it end.
    """
    form = form_of(environment)
    limit = form.horizon if most is None else min(most, form.horizon)
    parts = []
    for first in range(0, len(seeds), SIDE_BY_SIDE):
        rows = np.arange(first, min(first + SIDE_BY_SIDE, len(seeds)))
        parts.append(_together(environment, seeds[rows], partial(_numbered, act, rows), limit))
    width = max(part.rewards.shape[1] for part in parts)
    return joined([padded(part, width) for part in parts])


def _numbered(act: Act, rows: Int[np.ndarray, " rows"], seen: Any, on: Int[np.ndarray, " on"]) -> np.ndarray:
    return act(seen, rows[on])


def _together(environment: Environment, seeds: Int[np.ndarray, " batch"], act: Act, limit: int) -> Segments:
    form, count = form_of(environment), len(seeds)
    envs = instances(environment, count)
    seen = np.stack([env.reset(seed=int(seed))[0] for env, seed in zip(envs, seeds, strict=True)])
    seen = seen if form.pixels else seen.astype(np.float32)
    observations = np.zeros((count, limit, *form.seen), dtype=seen.dtype)
    actions = np.zeros((count, limit, form.columns), dtype=np.float32)
    rewards, length = np.zeros((count, limit)), np.zeros(count, dtype=np.int64)
    inner = [env.unwrapped for env in envs]
    states = np.zeros((count, limit, len(state_of(inner[0]))), dtype=np.float32)
    going = np.arange(count)
    for step in range(limit):
        chosen = act(seen[going], going)
        observations[going, step], actions[going, step] = seen[going], form.rows(chosen)
        stop = np.zeros(len(going), dtype=bool)
        foresee([inner[row] for row in going.tolist()], chosen)
        for place, (row, action) in enumerate(zip(going.tolist(), chosen, strict=True)):
            states[row, step] = state_of(inner[row])
            seen[row], rewards[row, step], terminated, truncated, _ = envs[row].step(action)
            stop[place] = terminated or truncated
        length[going] += 1
        going = going[~stop]
        if not len(going):
            break
    longest = int(length.max())
    return Segments(
        observations=observations[:, :longest], actions=actions[:, :longest], length=length,
        began=np.zeros(count, dtype=np.int64), rewards=rewards[:, :longest], states=states[:, :longest],
    )  # fmt: skip


def padded(segments: Segments, width: int) -> Segments:
    """The same pieces in arrays of so many steps."""
    more = width - segments.rewards.shape[1]
    if not more:
        return segments

    def pad(values: Any) -> Any:
        return np.pad(values, [(0, 0), (0, more)] + [(0, 0)] * (values.ndim - 2))

    return Segments(
        observations=pad(segments.observations), actions=pad(segments.actions), length=segments.length,
        began=segments.began, rewards=pad(segments.rewards), states=pad(segments.states),
    )  # fmt: skip


def joined(parts: list[Segments]) -> Segments:
    """Several batches of pieces in arrays of one width as one."""
    return Segments(**{one.name: np.concatenate([getattr(p, one.name) for p in parts]) for one in fields(Segments)})
