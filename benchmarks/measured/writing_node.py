"""A node whose policy writes and whose helper reads, both language models, for timing a whole iteration of the loop.

The true reward is 1 where one of an output's first `PLACES` tokens has a number that `EVERY` divides, else 0. The
helper is shown these tokens and points at one; the evaluator may look at one token a side.
"""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from measured.watched import watched

from rewardtree.evaluators.calibration import Experience
from rewardtree.evaluators.simulated import Bounds, Simulated
from rewardtree.language.encoding import Encoder
from rewardtree.language.passes import Sampling
from rewardtree.language.references import LanguageModel
from rewardtree.policies.gradient import Ascent
from rewardtree.policies.language import LanguageLearner, Outputs, Prompts, Writer, joined
from rewardtree.policies.reading import Query, Reading, ReadingPolicy, reader
from rewardtree.preferences import open_store
from rewardtree.rewards.language import Fitting, Heads, LanguageRewardModel, LanguageRewards
from rewardtree.tasks.answers import AnswerTask, Scenes
from rewardtree.tasks.backdrop import backdrop
from rewardtree.tasks.exhibit import Claim, Claims, Probe
from rewardtree.tasks.task import SPLITS, Question, Split, View, raw_values
from rewardtree.tree.loop import Training, iterate
from rewardtree.tree.node import Budget, Node, Tree
from rewardtree.tree.sharing import begun

PLACES, EVERY = 8, 16
FITTED = "fitting the reward model"
PARTS: Mapping[str, tuple[type, str]] = {
    "generation": (Writer, "propose"),
    "helpers' claims": (ReadingPolicy, "answer"),
    "the evaluator": (Simulated, "judge"),
    FITTED: (LanguageRewards, "fit"),
    "scores": (LanguageRewardModel, "score"),
    "log-probabilities": (Writer, "log_probability"),
    "gradients": (torch.Tensor, "backward"),
}
"""What an iteration is made of, by the methods that do it; the rest is calibration, store and optimizer."""


def scenes_of(outputs: Outputs, origin: Any) -> Scenes:
    """First tokens of outputs as places."""
    ids = np.full((len(outputs), PLACES), -1)
    ids[:, : outputs.ids.shape[1]] = outputs.ids[:, :PLACES]
    valid = ids >= 0
    return Scenes(
        features=np.zeros((*ids.shape, 1), dtype=np.float32), valid=valid, prominence=np.zeros(ids.shape),
        fields={"look": (valid & (ids % EVERY == 0)).astype(float)}, asked=np.full(len(ids), -1),
        origin=np.asarray(origin), backdrop=backdrop(ids.tolist()),
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Words:
    """Write some words. The shapes of the task are those of any other.

    Attributes:
        encoder: of the model.
        texts: prompts.
        tokens: of an output, at most.
        known: tokens to draw from where no policy writes.
    """

    encoder: Encoder
    texts: Sequence[str]
    tokens: int
    known: tuple[int, int]
    name: str = "words"
    quantities: tuple[str, ...] = ("there", "anywhere", "whole")

    def sample(self, rng: np.random.Generator, count: int, split: Split) -> Prompts:
        """Prompts."""
        drawn = self.encoder.prompts([self.texts[number] for number in rng.integers(len(self.texts), size=count)])
        marked = [[*ids, self.known[0] + SPLITS.index(split)] for ids in drawn]
        rows = self.encoder.joined(marked, [[]] * count)
        return Prompts(ids=rows)

    def base_outputs(self, rng: np.random.Generator, inputs: Prompts) -> Outputs:
        """Any tokens."""
        return Outputs(ids=rng.integers(*self.known, size=(len(inputs), self.tokens)).astype(np.int32))

    def view(self, inputs: Prompts, outputs: Outputs, claims: Claims) -> View:
        """What there is to look at."""
        seen = scenes_of(outputs, np.arange(len(outputs))).fields["look"]
        probe = Probe(quantity="anywhere", instruments=("look",), place=np.zeros(len(seen), dtype=int))
        return View(face=np.zeros((len(seen), 1)), fields={"look": seen}, probes={"anywhere": probe})

    def sense(self, face: Any, known: Mapping[str, Any]) -> Any:
        """What an evaluator makes of what it knows."""
        return np.clip(sum(known[name] for name in self.quantities), 0, 1)[:, None]

    def questions(self, inputs: Prompts, outputs: Outputs, claims: Claims) -> Sequence[Question]:
        """Where is such a token?"""
        scenes = scenes_of(outputs, np.arange(len(outputs)))
        return [] if claims else [Question(helper="word", quantity="there", inputs=scenes)]

    def survey(self, view: View) -> Mapping[str, Any]:
        """All places together."""
        return {"whole": view.fields["look"].max(axis=1)}

    def claim(self, inputs: Any, outputs: Any, *, question: Question, version: str) -> Claim:
        """This node helps nobody."""
        raise NotImplementedError

    def observe(self, inputs: Prompts, outputs: Outputs) -> Any:
        """Prompt and output."""
        return joined(inputs, outputs)

    def hear(self, inputs: Prompts, outputs: Outputs, claims: Claims) -> Any:
        """Claims as numbers."""
        return raw_values(self.quantities, claims)

    def true_reward(self, inputs: Prompts, outputs: Outputs) -> Any:
        """1 where such a token is there."""
        return scenes_of(outputs, np.arange(len(outputs))).fields["look"].max(axis=1)

    def measures(self, inputs: Prompts, outputs: Outputs) -> Mapping[str, Any]:
        """Nothing else."""
        return {}


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Sizes of an iteration: comparisons that are put to the evaluator, and what the policy is improved with."""

    labels: int
    tokens: int
    ascent: Ascent


def tree_of(model: LanguageModel, texts: Sequence[str], known: tuple[int, int], shape: Shape) -> Tree:
    """`words <- word`: a policy that writes, a helper that reads, a reward model of five heads, on one network."""
    encoder = Encoder(model=model, style="plain")
    yes, no = (encoder.model.tokenizer.decode([token]).strip() for token in known)

    def queries(scenes: Scenes, scene: Any, place: Any) -> list[Query]:
        assert scenes.backdrop is not None
        found = [scenes.backdrop.find(int(row)) for row in scene]
        tokens = [int(batch[item][int(at)]) for (batch, item), at in zip(found, place, strict=True)]
        words = model.tokenizer.batch_decode([[token] for token in tokens])
        return [Query(prompt=f"{yes} {no} {word.strip()}", verdicts=(yes, no)) for word in words]

    def drawn(rng: np.random.Generator, count: int, split: Split) -> Scenes:
        ids = rng.integers(*known, size=(count, PLACES)).astype(np.int32)
        return scenes_of(Outputs(ids=ids), rng.integers(2**40, size=count) * len(SPLITS) + SPLITS.index(split))

    asked = AnswerTask(
        name="word", instruments=("look",), draw=drawn, low=0.0, high=1.0, usual=0.0, scale=1.0, levels=2
    )  # fmt: skip
    reading = Reading(ask=queries, values=(1.0, 0.0), listed=PLACES)
    rewards = LanguageRewards(model=model, heads=Heads(members=5), fitting=Fitting(epochs=2, pairs=16))
    given: dict[str, Any] = {
        "budget": Budget(iterations=1, labels=shape.labels), "bounds": Bounds(budget=2), "reward": rewards,
    }  # fmt: skip
    writer = partial(Writer, sampling=Sampling(tokens=shape.tokens))
    nodes = [
        Node(name="word", task=asked, learner=LanguageLearner(model=model, policy=partial(reader, asked, reading)),
             **given),
        Node(name="words", task=Words(encoder=encoder, texts=texts, tokens=shape.tokens, known=known),
             helpers=("word",), learner=LanguageLearner(model=model, policy=writer, ascent=shape.ascent), **given),
    ]  # fmt: skip
    return Tree(nodes={node.name: node for node in nodes}, root="words")


def iteration(tree: Tree, experiences: dict[str, Experience]) -> Counter[str]:
    """CPU seconds of one iteration at the root, part by part; what its evaluators know is gathered before."""
    with TemporaryDirectory() as folder, open_store(Path(folder) / "store.db") as store:
        training = Training(tree=tree, protocol="timed", seed=0, store=store, out=Path(folder), experiences=experiences)
        nodes = {name: begun(tree, node, {}, {}, training.rng(name, "initial")) for name, node in tree.nodes.items()}
        with watched(PARTS) as spent:
            began = time.process_time()
            iterate(training, tree.nodes["words"], 0, nodes)
            total = time.process_time() - began
    spent["the rest"] = total - sum(spent.values())
    return spent
