"""A learner that has its policies improved by an engine, so that what a run can train is not bound by this process.

An engine leaves a whole model in a folder. So policies here have no weights of their own in a checkpoint: their version
names the folder, and a run that goes on finds it there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from rewardtree.errors import RunError
from rewardtree.language.encoding import Rows
from rewardtree.language.references import LanguageModel, ModelRef, Weights, load
from rewardtree.policies.engines import fit
from rewardtree.policies.language import Writer
from rewardtree.policies.learner import UNTRAINED, Draw, Reward
from rewardtree.policies.training import Texts, Training


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineLearner:
    """Improves policies that write by an engine (`rewardtree.policies.engines`); a node's `learner`.

    The node's reward model must stand on the policy's model and see prompts with their outputs as token ids, since that
    is what engines hand over. Every improvement starts from the policy before it and stays near that one.

    Attributes:
        model: untouched, with which the first improvement starts.
        training: how it is done; each improvement has a folder of its own in `training.folder`, and a seed of its own.
        prompts: of inputs, before a chat template.
    """

    model: LanguageModel
    training: Training
    prompts: Callable[[Any], Sequence[str]]

    def initial(self, rng: np.random.Generator) -> Writer:
        """The model as it is."""
        return self.restore({}, UNTRAINED)

    def restore(self, weights: Weights, version: str) -> Writer:
        """The policy of this version.

        Raises:
            RunError: where its folder is gone.
        """
        model = self.model
        if version != UNTRAINED:
            folder = self.training.folder / version
            if not folder.is_dir():
                raise RunError(f"the model that an engine left in {folder} is gone; restore that folder")
            model = load(ModelRef(name=str(folder), version=version))
        return Writer(model=model, weights={}, version=version, sampling=self.training.sampling)

    def propose(self, policy: Writer, inputs: Any, rng: np.random.Generator) -> Any:
        """Its own samples, which are written in this process."""
        return policy.propose(inputs, rng)

    def improve(
        self, policy: Writer, reward: Reward, draw: Draw, rng: np.random.Generator, *, version: str
    ) -> Writer:  # fmt: skip
        """The policy that the engine makes of this one; as many fresh prompts as its steps take.

        Raises:
            ConfigError: where the engine cannot do what is asked.
            LanguageError: where it cannot be started or fails; the same run goes on from its last checkpoint.
        """
        how = replace(self.training, folder=self.training.folder / version, seed=int(rng.integers(2**31)))
        inputs = draw(rng, how.prompts * how.steps)

        def score(rows: Rows) -> Float[np.ndarray, " batch"]:
            found: Float[np.ndarray, " batch"] = reward.model.score(rows)[0]
            return found

        fit(policy.model.ref, Texts(prompts=list(self.prompts(inputs))), score, how)
        return self.restore({}, version)
