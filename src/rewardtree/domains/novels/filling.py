"""The root's policy: it fills every slot by itself, from counted words, and improves in closed form.

Where a reward is a sum over slots, the distribution over revisions that maximises E[reward] - beta KL(. || uniform) is
a product over slots, each filled with a value in proportion to exp(reward / beta): so no revision has to be tried.
A reward model that is linear in what `RevisingTask.observe` shows is such a sum; its weights are read off by least
squares from rewards of random revisions. Of any other reward that is the best linear sum.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy.special import expit
from torch import Tensor

from rewardtree.domains.novels.chapters import Chapters, Fillings, clues, fillings
from rewardtree.domains.novels.revising import RevisingTask
from rewardtree.policies.learner import UNTRAINED, Draw, Reward

WIDTH = 4
"""Of what is seen of a revision: two clues to slots, two to the paragraph."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FillingPolicy:
    """Fills each slot with its first value with the chance sigmoid(clues to it * weights); likewise the paragraph.

    Attributes:
        weights: `clues`, nats a unit of each clue, [clues].
        version: changes with every improvement.
    """

    weights: dict[str, Tensor]
    version: str

    def logits(self, inputs: Chapters) -> tuple[Float[np.ndarray, "batch slots"], Float[np.ndarray, " batch"]]:
        """Of the first values, and of the first candidate."""
        slots, candidates = clues(inputs)
        weights = self.weights["clues"].double().numpy()
        return slots @ weights[:2], (candidates[:, 0] - candidates[:, 1]) @ weights[2:]

    def propose(self, inputs: Chapters, rng: np.random.Generator) -> Fillings:
        """One sampled revision an input."""
        slots, paragraph = (expit(logits) for logits in self.logits(inputs))
        return fillings(inputs, rng.random(slots.shape) < slots, rng.random(paragraph.shape) < paragraph)

    def answer(self, inputs: Chapters) -> Fillings:
        """The most probable revision of each input."""
        slots, paragraph = self.logits(inputs)
        return fillings(inputs, slots > 0, paragraph > 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class FillingLearner:
    """The learner of the root.

    Attributes:
        task: gives what is seen of revisions, and random ones.
        explore: share of proposals that are random.
        beta: nats of reward a nat of divergence from the untrained policy.
        chapters: whose random revisions are rewarded in an improvement.
        samples: revisions of each.
    """

    task: RevisingTask
    explore: float = 0.3
    beta: float = 0.1
    chapters: int = 128
    samples: int = 4

    def initial(self, rng: np.random.Generator) -> FillingPolicy:
        """An untrained policy: all revisions are equally likely."""
        return self.restore({"clues": torch.zeros(WIDTH)}, UNTRAINED)

    def restore(self, weights: dict[str, Tensor], version: str) -> FillingPolicy:
        """The policy that had these weights."""
        return FillingPolicy(weights=weights, version=version)

    def propose(self, policy: FillingPolicy, inputs: Chapters, rng: np.random.Generator) -> Fillings:
        """The policy's revisions, a share of them replaced by random ones."""
        own, other = policy.propose(inputs, rng), self.task.base_outputs(rng, inputs)
        swap = rng.random(len(inputs)) < self.explore
        return Fillings(
            slots=np.where(swap[:, None], other.slots, own.slots),
            paragraph=np.where(swap, other.paragraph, own.paragraph),
        )

    def improve(
        self, policy: FillingPolicy, reward: Reward, draw: Draw, rng: np.random.Generator, *, version: str
    ) -> FillingPolicy:
        """The solution for the best linear sum over slots; see the module's docstring."""
        inputs = draw(rng, self.chapters)
        inputs = inputs.take(np.repeat(np.arange(len(inputs)), self.samples))
        outputs = self.task.base_outputs(rng, inputs)
        seen, rewards = self.task.observe(inputs, outputs).astype(float), reward(inputs, outputs)
        by_chapter = [values.reshape(-1, self.samples, *values.shape[1:]) for values in (seen, rewards)]
        apart = [(values - values.mean(axis=1, keepdims=True)).reshape(len(inputs), -1) for values in by_chapter]
        found = np.linalg.lstsq(apart[0], apart[1], rcond=1e-6)[0][:, 0]
        return self.restore({"clues": torch.as_tensor(found / self.beta, dtype=torch.float32)}, version)
