"""Policies that answer questions with names, and the learner that fits them to rewards of all names at once.

Where all answers can be scored, the exact solution of KL-regularised improvement over a uniform prior is
softmax(reward / beta) (Korbak et al. 2022, arXiv 2205.11275, eq. 4). The policy is fitted to that by cross-entropy;
sampled policy gradients did not get off the ground on these tasks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.special import log_softmax
from torch.nn import functional

from rewardtree.errors import RunError
from rewardtree.policies.answering import torch_generator
from rewardtree.policies.learner import UNTRAINED, WARM, Draw, Reward
from rewardtree.policies.transformer import KEPT, SHARED, Shape, Weights, answers, forward, grown, initial_weights, read
from rewardtree.tasks.answers import Answers
from rewardtree.tasks.decomposition import Questions, Worlds, everything, named
from rewardtree.tasks.levels import LevelTask

WORLDS = 32
"""Worlds of an update; all of a level's questions about each are learnt from."""
RATE = 3e-3
WARM_UP = 20
"""Updates in which Adam's rate rises to `RATE`; from there a cosine takes it to a tenth."""
CLOSE = 0.02
"""Divergence from the target, in nats a question, from which on a fit is taken to be done."""
LASTING = 15
"""Updates in a row that must be that close."""
CHUNK = 256
"""Worlds of one forward pass where no gradient is needed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NamingPolicy:
    """Gives names to questions of one level.

    Attributes:
        weights: of its transformer.
        level: of the questions.
        allowed: names that may be given.
        version: changes with every improvement.
    """

    weights: Weights
    level: int
    allowed: Bool[np.ndarray, " names"]
    version: str

    def logits(self, asked: Questions) -> Float[np.ndarray, "batch names"]:
        """Logits of every name, -inf for those not allowed; each world goes through the network once."""
        return np.where(self.allowed, self._table(asked)[asked.row, asked.asked], -np.inf)

    def _table(self, asked: Questions) -> Float[np.ndarray, "worlds tokens names"]:
        """Logits at every token of every world, noted there with the weights that they come from."""
        notes, key = asked.worlds.notes, (id(self.weights), self.level)
        if key not in notes:
            found = logits_of(self.weights, self.level, asked.worlds, len(self.allowed))
            notes[key] = self.weights, found  # with the weights, so that their id stays theirs
        table: Float[np.ndarray, "worlds tokens names"] = notes[key][1]
        return table

    def propose(self, inputs: Questions, rng: np.random.Generator) -> Answers:
        """One sampled name an input."""
        logits = self.logits(inputs)
        return _answers(inputs, (logits + rng.gumbel(size=logits.shape)).argmax(axis=1))

    def answer(self, inputs: Questions) -> Answers:
        """The name that it is surest of."""
        return _answers(inputs, self.logits(inputs).argmax(axis=1))


def logits_of(weights: Weights, level: int, worlds: Worlds, names: int) -> Float[np.ndarray, "worlds tokens names"]:
    """Logits of every name at every token of every world, some worlds at a time."""
    with torch.inference_mode():
        parts = [forward(weights, part, level, names) for part in torch.as_tensor(worlds.tokens).split(CHUNK)]
        found: Float[np.ndarray, "worlds tokens names"] = torch.cat(parts).numpy()
    return found


def _answers(inputs: Questions, names: Int[np.ndarray, " batch"]) -> Answers:
    return Answers(place=inputs.asked, value=names.astype(float))


Targets = Callable[[Questions], Float[np.ndarray, "batch names"]]
"""Questions to the log-probabilities that a policy is to have."""


class Fitting:
    """A network being fitted to targets, update by update; it may be to those of several levels at once.

    Attributes:
        weights: by now.
        learnt: those that change.

    Args:
        weights: where to start; they are not changed.
        updates: for which the rate is planned.
        together: whether several levels are learnt in turns. If not, what settled blocks use stays as it is.
    """

    def __init__(self, weights: Weights, updates: int, *, together: bool = False) -> None:
        held = KEPT if together or not weights["settled"].any() else (*KEPT, *SHARED)
        self.weights = {name: value.clone().requires_grad_(name not in held) for name, value in weights.items()}
        self.learnt = [value for value in self.weights.values() if value.requires_grad]
        self._optimizer = torch.optim.Adam(self.learnt, lr=RATE, fused=True)
        self._updates, self._done = updates, 0

    def update(
        self,
        asked: Questions,
        level: int,
        target: Float[np.ndarray, "batch names"],
        parts: Sequence[Int[np.ndarray, " batch"]] = (),
    ) -> float:
        """One step towards target log-probabilities; returns the mean divergence before it, in nats.

        Args:
            asked: the questions.
            level: their level.
            target: -inf for names that are not allowed.
            parts: the answers to the questions' parts, where the network is to foretell them as well.
        """
        wanted = torch.as_tensor(target, dtype=torch.float32)
        seen = read(self.weights, torch.as_tensor(asked.worlds.tokens), level)
        seen = seen[torch.as_tensor(asked.row), torch.as_tensor(asked.asked)]
        logits = answers(self.weights, seen, level, target.shape[1])
        allowed = torch.isfinite(wanted)
        wanted = torch.where(allowed, wanted, -1e9)
        predicted = torch.log_softmax(logits.masked_fill(~allowed, -1e9), 1)
        divergence = (wanted.exp() * (wanted - predicted)).sum(1).mean()
        loss = divergence
        for number, said in enumerate(parts):
            foretold = answers(self.weights, seen, level, target.shape[1], 1 + number)
            loss = loss + functional.cross_entropy(foretold, torch.as_tensor(said))
        self._set_rate()
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._optimizer.step()
        self._done += 1
        return float(divergence.detach())

    def _set_rate(self) -> None:
        fall = 0.5 * (1 + np.cos(np.pi * min(1.0, self._done / self._updates)))
        for group in self._optimizer.param_groups:
            group["lr"] = RATE * min(1.0, (self._done + 1) / WARM_UP) * (0.1 + 0.9 * float(fall))

    def result(self) -> Weights:
        """The weights by now."""
        return {name: value.detach().clone() for name, value in self.weights.items()}


@dataclass(frozen=True, kw_only=True, slots=True)
class NamingLearner:
    """Makes and improves policies for one level.

    Attributes:
        task: the level.
        width: of the transformer.
        layers: of each of its blocks.
        explore: share of proposals that are any name; all of them before the first improvement.
        beta: nats of reward a nat of divergence from the uniform policy.
        updates: an improvement, at most.
    """

    task: LevelTask
    width: int = 64
    layers: int = 1
    explore: float = 0.3
    beta: float = 0.25
    updates: int = 1200

    def initial(self, rng: np.random.Generator) -> NamingPolicy:
        """An untrained policy."""
        return self.restore(initial_weights(self.shape(), torch_generator(rng)), UNTRAINED)

    def shape(self) -> Shape:
        """Of its networks."""
        family = self.task.family
        levels = range(family.depth + 1)
        return Shape(
            vocabulary=family.vocabulary,
            columns=family.draw(np.random.default_rng(0), 1).tokens.shape[2],
            allowed=np.stack([family.allowed(level) for level in levels]),
            parts=max(len(family.parts(level)) for level in levels),
            width=self.width,
            layers=self.layers,
        )

    def restore(self, weights: Weights, version: str) -> NamingPolicy:
        """The policy that had these weights; `warm` for one that begins with those of the level below."""
        level = self.task.level
        if missing := {*KEPT, f"{level}.out"} - set(weights):
            raise RunError(
                f"these weights lack {', '.join(sorted(missing))}: an earlier version made them; train again"
            )
        if version == WARM:
            weights = grown(weights, level)
        return NamingPolicy(weights=weights, level=level, allowed=self.task.family.allowed(level), version=version)

    def propose(self, policy: NamingPolicy, inputs: Questions, rng: np.random.Generator) -> Answers:
        """The policy's answers, a share of them replaced by any name."""
        own, other = policy.propose(inputs, rng), self.task.explore(rng, inputs)
        untrained = policy.version in (UNTRAINED, WARM)
        swap = rng.random(len(inputs)) < (1.0 if untrained else self.explore)
        return replace(own, value=np.where(swap, other.value, own.value))

    def improve(
        self, policy: NamingPolicy, reward: Reward, draw: Draw, rng: np.random.Generator, *, version: str
    ) -> NamingPolicy:
        """Fit the policy to softmax(reward / beta) of every question about fresh worlds.

        Where the reward model sees what helpers say of the question's parts, the network is to foretell that too.
        """
        allowed = np.flatnonzero(policy.allowed)
        fitting, close = Fitting(policy.weights, self.updates), 0
        for _ in range(self.updates):
            asked = everything(self.task.family, draw(rng, WORLDS), self.task.level)
            target = self.targets(asked, allowed, reward)
            parts = self.parts(asked, reward)
            close = close + 1 if fitting.update(asked, self.task.level, target, parts) < CLOSE else 0
            if close == LASTING:
                break
        return replace(policy, weights=fitting.result(), version=version)

    def parts(self, asked: Questions, reward: Reward) -> list[Int[np.ndarray, " batch"]]:
        """What helpers answer to the parts, as far as the reward model sees it; it is the same for every output."""
        claims = reward.claims(asked, _answers(asked, np.zeros(len(asked), dtype=np.int64)))
        return [named(self.task.family, claims[part].value) for part in self.task.parts if part in claims]

    def targets(
        self, asked: Questions, allowed: Int[np.ndarray, " choices"], reward: Any
    ) -> Float[np.ndarray, "batch names"]:
        """Log-probabilities of the best policy at this beta, -inf for names that are not allowed."""
        count, choices = len(asked), len(allowed)
        every = asked.about(np.repeat(asked.row, choices), np.repeat(asked.asked, choices))
        rewards = reward(every, _answers(every, np.tile(allowed, count))).reshape(count, choices)
        found = np.full((count, self.task.family.names), -np.inf)
        found[:, allowed] = log_softmax(rewards / self.beta, axis=1)
        return found
