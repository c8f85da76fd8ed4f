"""A reward model on a language model: one backbone, an ensemble of heads on the last token's state.

All members share every forward pass. They differ by their own random prior (a fixed random network added to what is
learnt: Osband et al. 2018, arXiv 1806.03335) and by their own Poisson bootstrap of the preferences.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

from rewardtree.errors import ConfigError, RunError
from rewardtree.language.encoding import Rows, lengths, stacked
from rewardtree.language.passes import final_and_mean_states, in_buckets, under
from rewardtree.language.references import LanguageModel, LoRA, ModelRef, Weights, load
from rewardtree.rewards.bradley_terry import accuracy, calibration_error, fit_temperature, preference_loss
from rewardtree.rewards.ensemble import ENOUGH, Fit

HEAD = "head."
"""What names of heads' weights begin with; all others are the backbone's."""
FIXED = ("head.prior_first", "head.prior_second", "head.temperature")


@dataclass(frozen=True, kw_only=True, slots=True)
class Heads:
    """Heads on one backbone.

    Attributes:
        members: heads.
        hidden: width of each head's hidden layer, beside which it is linear; 0 for linear alone.
        prior: size of the random priors, in nats of preference.
    """

    members: int = 5
    hidden: int = 32
    prior: float = 1.0

    def __post_init__(self) -> None:
        if self.members < 1 or self.hidden < 0 or self.prior < 0:
            raise ConfigError("a reward model needs 1 head or more, a width of 0 or more and a prior of 0 or more")


@dataclass(frozen=True, kw_only=True, slots=True)
class Fitting:
    """How a reward model is fitted.

    Attributes:
        epochs: over the preferences.
        pairs: a step.
        rate: of AdamW for the backbone, annealed to zero by a cosine.
        head_rate: the same for the heads.
        decay: of the heads' weights.
        held_out: share of the preferences that is held out, where there are 20 or more.
        bucketed: whether pairs of like length make a step, so that little is padded.
    """

    epochs: int = 2
    pairs: int = 16
    rate: float = 5e-4
    head_rate: float = 1e-2
    decay: float = 0.1
    held_out: float = 0.1
    bucketed: bool = True

    def __post_init__(self) -> None:
        if min(self.epochs, self.pairs) < 1 or min(self.rate, self.head_rate) < 0 or not 0 <= self.held_out < 1:
            raise ConfigError("fitting needs 1 epoch and pair or more, rates of 0 or more, and less than all held out")


@dataclass(frozen=True, kw_only=True, slots=True)
class LanguageRewardModel:
    """Predicts the reward of rows of token ids, and its spread over the heads.

    Attributes:
        model: the backbone, which never changes.
        heads: their shape.
        weights: what was learnt of the backbone, the heads, their priors and a temperature; float32.
    """

    model: LanguageModel
    heads: Heads
    weights: Weights

    def score_members(self, features: Rows) -> Float[np.ndarray, "members batch"]:
        """Every member's reward, in nats of preference. Neighbours that begin alike share their beginning."""
        backbone, heads = _split(self.weights)
        states = in_buckets(features, lambda rows, _: under(self.model, backbone, final_and_mean_states, rows))
        with torch.inference_mode():
            rewards = head_rewards(heads, states, self.heads) / heads["head.temperature"]
        scored: Float[np.ndarray, "members batch"] = rewards.double().numpy()
        return scored

    def score(self, features: Rows) -> tuple[Float[np.ndarray, " batch"], Float[np.ndarray, " batch"]]:
        """Mean reward and its standard deviation over the members, in nats of preference."""
        members = self.score_members(features)
        return members.mean(axis=0), members.std(axis=0)

    def save(self, path: Path) -> None:
        """Write what was learnt as safetensors; the header names the backbone, which is not written."""
        adapters = self.model.adapters
        header = {"heads": json.dumps(asdict(self.heads)), "backbone": json.dumps(asdict(self.model.ref)),
                  "adapters": json.dumps(adapters and asdict(adapters))}  # fmt: skip
        save_file({name: value.contiguous() for name, value in self.weights.items()}, path, metadata=header)


@dataclass(frozen=True, kw_only=True, slots=True)
class LanguageRewards:
    """Makes, fits and reads reward models on one backbone; a node's `reward`.

    Attributes:
        model: the backbone.
        heads: their shape.
        fitting: how they are fitted.
        goes_on: see `learner.RewardLearner`.
    """

    model: LanguageModel
    heads: Heads = field(default_factory=Heads)
    fitting: Fitting = field(default_factory=Fitting)
    goes_on: bool = False

    def initial(self, width: int, generator: torch.Generator) -> LanguageRewardModel:
        """A reward model with fresh heads. Rows may have any width."""
        return initial(self.model, self.heads, generator)

    def fit(
        self,
        model: LanguageRewardModel,
        first: Int[np.ndarray, "pairs _"],
        second: Int[np.ndarray, "pairs _"],
        probability: Float[np.ndarray, " pairs"],
        *,
        generator: torch.Generator,
    ) -> tuple[LanguageRewardModel, Fit]:
        """Fit it to preferences; see `fit`."""
        return fit(model, first, second, probability, generator=generator, fitting=self.fitting)

    def load(self, path: Path) -> LanguageRewardModel:
        """Read what `LanguageRewardModel.save` wrote.

        Raises:
            RunError: where the file is missing, is no such reward model, or stands on another backbone.
        """
        heads, backbone, _ = _header(path)
        return _standing_on(self.model, backbone, heads, path)

    def restore(self, weights: Weights) -> LanguageRewardModel:
        """The reward model that had these weights."""
        return LanguageRewardModel(model=self.model, heads=self.heads, weights=weights)


def is_language(path: Path) -> bool:
    """Whether a file of weights says that it stands on a language model."""
    try:
        with safe_open(path, framework="pt") as file:
            return "backbone" in (file.metadata() or {})
    except (OSError, SafetensorError):
        return False


def load_reward_model(path: Path) -> LanguageRewardModel:
    """Read what `LanguageRewardModel.save` wrote, and the language model on which it stands.

    Raises:
        RunError: where the file is missing, is no such reward model, or the language model is another by now.
        LanguageError: where the language model cannot be had.
    """
    heads, backbone, adapters = _header(path)
    return _standing_on(load(backbone, adapters=adapters), backbone, heads, path)


def _header(path: Path) -> tuple[Heads, ModelRef, LoRA | None]:
    """What a file says of its heads, of the model on which they stand, and of the adapters in that."""
    try:
        with safe_open(path, framework="pt") as file:
            header = {name: json.loads(value) for name, value in file.metadata().items()}
        adapters = header["adapters"]
        if adapters is not None:
            adapters = LoRA(**adapters | {"targets": adapters["targets"] and tuple(adapters["targets"])})
        return Heads(**header["heads"]), ModelRef(**header["backbone"]), adapters
    except (OSError, SafetensorError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise RunError(f"{path} is not a language reward model that this version reads; train it again or restore it"
                       ) from error  # fmt: skip


def _standing_on(model: LanguageModel, backbone: ModelRef, heads: Heads, path: Path) -> LanguageRewardModel:
    """A file's reward model on a model with parameters of the names that it has learnt."""
    weights = load_file(path)
    if {name for name in weights if not name.startswith(HEAD)} != set(model.learnt):
        raise RunError(f"{path} stands on {backbone.name!r} with other adapters than {model.ref.name!r} has here; load "
                       "that model, with the same adapters")  # fmt: skip
    return LanguageRewardModel(model=model, heads=heads, weights=weights)


def initial(model: LanguageModel, heads: Heads, generator: torch.Generator) -> LanguageRewardModel:
    """A reward model whose heads are fresh: zero but for their priors."""
    width, members, hidden = model.width, heads.members, heads.hidden

    def drawn(*shape: int, fan: int) -> Tensor:
        value: Tensor = torch.randn(*shape, generator=generator) * (2 / fan) ** 0.5
        return value

    inner = max(hidden, 1)
    weights = model.initial(generator) | {
        "head.linear": torch.zeros(members, width),
        "head.prior_first": drawn(members, width, inner, fan=width),
        "head.prior_second": drawn(members, inner, fan=inner),
        "head.temperature": torch.ones(()),
    }
    if hidden:
        weights |= {
            "head.first": drawn(members, 2 * width, hidden, fan=2 * width),
            "head.second": torch.zeros(members, hidden),
        }
    return LanguageRewardModel(model=model, heads=heads, weights=weights)


def head_rewards(
    weights: Weights, states: Float[Tensor, "batch width"], heads: Heads
) -> Float[Tensor, "members batch"]:
    """Rewards of every member, before the temperature; the priors send no gradient into the backbone."""
    final, mean = (_unit(part) for part in states.chunk(2, dim=1))
    rewards: Tensor = torch.einsum("bw,mw->mb", final, weights["head.linear"]) / final.shape[1] ** 0.5
    if heads.hidden:
        rewards = rewards + _layer(torch.cat([final, mean], 1), weights["head.first"], weights["head.second"])
    if heads.prior:
        rewards = rewards + heads.prior * _layer(mean, weights["head.prior_first"], weights["head.prior_second"])
    return rewards


def _unit(states: Float[Tensor, "batch width"]) -> Float[Tensor, "batch width"]:
    return states * torch.rsqrt(states.square().mean(-1, keepdim=True) + 1e-12)


def _layer(
    unit: Float[Tensor, "batch width"],
    first: Float[Tensor, "members width hidden"],
    second: Float[Tensor, "members hidden"],
) -> Float[Tensor, "members batch"]:
    return torch.einsum("mbh,mh->mb", functional.silu(torch.matmul(unit, first)), second)


def _split(weights: Weights) -> tuple[Weights, Weights]:
    """What is the backbone's, and what the heads'."""
    heads = {name: value for name, value in weights.items() if name.startswith(HEAD)}
    return {name: value for name, value in weights.items() if name not in heads}, heads


def fit(
    model: LanguageRewardModel,
    first: Int[np.ndarray, "pairs _"],
    second: Int[np.ndarray, "pairs _"],
    probability: Float[np.ndarray, " pairs"],
    *,
    generator: torch.Generator,
    weight: Float[np.ndarray, " pairs"] | None = None,
    fitting: Fitting | None = None,
) -> tuple[LanguageRewardModel, Fit]:
    """Fit backbone and heads to preferences by the Bradley-Terry likelihood, each head to its own bootstrap.

    Pairs whose probability is nan (can't tell) are left out. Where at least `ENOUGH` are held out, the weights are
    those after the epoch at which the held-out loss of the members' mean was least, and the temperature is fitted.

    Args:
        model: where to start.
        first: token ids of the first outputs, prompts included, padded with -1.
        second: of the second outputs.
        probability: that the first is better; 0.5 is a tie.
        generator: draws the split, the bootstraps and the batches.
        weight: of each pair, zero or more; None for one each.
        fitting: how long and how fast.

    Returns:
        The fitted model and its held-out figures.
    """
    fitting = fitting or Fitting()
    rows = stacked([first, second])  # of pair i, rows i and pairs + i
    weight = np.ones(len(probability)) if weight is None else weight
    known = np.flatnonzero(~np.isnan(probability) & (weight > 0))
    order = known[torch.randperm(len(known), generator=generator).numpy()]
    held = order[: max(1, int(len(order) * fitting.held_out))] if len(order) >= 20 and fitting.held_out else order[:0]
    kept = order[len(held) :]
    if len(kept) == 0:
        nan = float("nan")
        return model, Fit(accuracy=nan, calibration_error=nan, loss=nan, steps=0, pairs=0, held_out=0)
    weights = model.weights | {"head.temperature": torch.ones(())}
    pairs = _Pairs(rows=rows, probability=torch.as_tensor(probability).float(), weight=torch.as_tensor(weight).float())
    fitted, steps = _descend(replace(model, weights=weights), pairs, kept, held, fitting, generator)
    logits, target = _held_out(fitted, pairs, held), pairs.probability[torch.as_tensor(held)]
    if len(held) >= ENOUGH:
        temperature = torch.tensor(fit_temperature(logits, target, torch.ones(len(held))))
        fitted = replace(fitted, weights=fitted.weights | {"head.temperature": temperature})
        logits = logits / temperature
    return fitted, Fit(
        accuracy=accuracy(logits, target),
        calibration_error=calibration_error(logits, target),
        loss=float(preference_loss(logits, target, torch.ones(len(held)))) if len(held) else float("nan"),
        steps=steps,
        pairs=len(kept),
        held_out=len(held),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Pairs:
    """Preferences: the rows of all first outputs, then of all second ones."""

    rows: Rows
    probability: Float[Tensor, " pairs"]
    weight: Float[Tensor, " pairs"]

    def of(self, chosen: Int[np.ndarray, " chosen"]) -> Any:
        """Rows of some pairs, first and second beside each other."""
        mine = np.stack([chosen, chosen + len(self.probability)], axis=1).reshape(-1)
        return self.rows[mine, : lengths(self.rows[mine]).max(initial=1)]

    def sizes(self, chosen: Int[np.ndarray, " chosen"]) -> tuple[Any, Any]:
        """Tokens with which both outputs of a pair begin, and those of the longer one after them."""
        first, second = self.rows[chosen], self.rows[chosen + len(self.probability)]
        longer = np.maximum(lengths(first), lengths(second))
        shared = np.minimum(np.cumprod(first == second, axis=1, dtype=np.int32).sum(axis=1), longer)
        return shared, longer - shared


def _held_out(model: LanguageRewardModel, pairs: _Pairs, held: Int[np.ndarray, " held"]) -> Float[Tensor, " held"]:
    """Differences of the members' mean rewards."""
    if len(held) == 0:
        return torch.zeros(0)
    rewards = torch.as_tensor(model.score_members(pairs.of(held))).float().mean(0)
    return rewards[::2] - rewards[1::2]


def _batches(pairs: _Pairs, kept: Any, fitting: Fitting, generator: torch.Generator) -> Iterator[Any]:
    """An epoch's steps, in random order: pairs at random, or alike in their beginnings' length and in their own."""
    order = torch.randperm(len(kept), generator=generator).numpy()
    count = -(-len(kept) // fitting.pairs)
    if fitting.bucketed:
        shared, own = pairs.sizes(kept[order])
        parts = np.array_split(np.argsort(shared, kind="stable"), max(1, round(count**0.5)))
        order = order[np.concatenate([part[np.argsort(own[part], kind="stable")] for part in parts])]
    steps = np.array_split(order, count)
    for step in torch.randperm(len(steps), generator=generator):
        yield steps[int(step)]


def _descend(
    model: LanguageRewardModel,
    pairs: _Pairs,
    kept: Int[np.ndarray, " kept"],
    held: Int[np.ndarray, " held"],
    fitting: Fitting,
    generator: torch.Generator,
) -> tuple[LanguageRewardModel, int]:
    learnt = {n: v.clone().requires_grad_(True) for n, v in model.weights.items() if n not in FIXED}
    weights = model.weights | learnt
    backbone, heads = _split(learnt)
    groups = [{"params": list(backbone.values()), "lr": fitting.rate, "weight_decay": 0.0},
              {"params": list(heads.values()), "lr": fitting.head_rate, "weight_decay": fitting.decay}]  # fmt: skip
    optimizer = torch.optim.AdamW(groups, fused=True)
    per_epoch = -(-len(kept) // fitting.pairs)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, fitting.epochs * per_epoch)
    drawn = torch.poisson(torch.ones(model.heads.members, len(kept)), generator=generator)
    bootstrap = drawn if model.heads.members > 1 else torch.ones_like(drawn)
    best, best_loss, best_step, step = model, float("inf"), 0, 0
    for _ in range(fitting.epochs):
        for chosen in _batches(pairs, kept, fitting, generator):
            index = torch.as_tensor(kept[chosen])
            states = under(model.model, backbone, final_and_mean_states, pairs.of(kept[chosen]))
            rewards = head_rewards(_split(weights)[1], states, model.heads)
            weight = bootstrap[:, torch.as_tensor(chosen)] * pairs.weight[index]
            loss = preference_loss(rewards[:, ::2] - rewards[:, 1::2], pairs.probability[index], weight).mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(list(learnt.values()), 1.0)
            optimizer.step()
            schedule.step()
            step += 1
        now = replace(model, weights={name: value.detach().clone() for name, value in weights.items()})
        logits, target = _held_out(now, pairs, held), pairs.probability[torch.as_tensor(held)]
        found = float(preference_loss(logits, target, torch.ones(len(held)))) if len(held) >= ENOUGH else -float(step)
        if found < best_loss:
            best, best_loss, best_step = now, found, step
    return best, best_step
