"""A small transformer over tokens of numbers; every token may be asked for a name. Functions of weights.

It is a stack of blocks, one for each level of question: level l is answered by block l, which stands on those below.
While the blocks below are untrained, a block goes on from their residual stream, and the whole is a plain pre-norm
transformer with full attention (Xiong et al. 2020, arXiv 2002.04745), trained end to end. Once they are *settled*, a
block sees the tokens as they came, and beside them the answer of the block below at each, as a mean of name embeddings
weighed by its probabilities; nothing is learnt through that. So what a block has to do is alike at each level, and it
can begin as a copy of the one below it.

Token embeddings are tied: the same row stands for a number in every column and, for the first ones, as an answer. No
position is encoded: tokens say who they are.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

Weights = dict[str, Tensor]
HEADS = 4
KEPT = ("settled", "allowed")
"""What stands among the weights and is not learnt."""
SHARED = ("embedding", "role")
"""Weights that all blocks use."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """A transformer's size.

    Attributes:
        vocabulary: numbers that tokens are made of.
        columns: numbers a token.
        allowed: which names may answer a question of each level; a block a level.
        parts: answers to the question's parts that can be foretold beside its own answer.
        width: of the residual stream; a multiple of 4.
        layers: of attention and feed-forward network, in each block.
    """

    vocabulary: int
    columns: int
    allowed: Bool[np.ndarray, "levels names"]
    parts: int = 0
    width: int = 64
    layers: int = 1


def initial_weights(shape: Shape, generator: torch.Generator) -> Weights:
    """Random weights; the first column enters as it is, the others through a random matrix each."""
    wide = shape.width
    roles = torch.randn(shape.columns, wide, wide, generator=generator) * wide**-0.5
    roles[0] = torch.eye(wide)
    weights = {
        "embedding": torch.randn(shape.vocabulary, wide, generator=generator) * 0.5,
        "role": roles,
        "settled": torch.zeros(len(shape.allowed), dtype=torch.bool),
        "allowed": torch.as_tensor(shape.allowed),
    }
    for level in range(len(shape.allowed)):
        weights |= {f"{level}.{name}": value for name, value in _block(shape, generator).items()}
    return weights


def _block(shape: Shape, generator: torch.Generator) -> Weights:
    wide, layers = shape.width, shape.layers

    def drawn(*size: int, scale: float) -> Tensor:
        return torch.randn(*size, generator=generator) * scale

    return {
        "level": torch.zeros(wide), "said": drawn(wide, wide, scale=wide**-0.5),
        "first_norm": torch.ones(layers, wide), "first_shift": torch.zeros(layers, wide),
        "mix": drawn(layers, 3 * wide, wide, scale=wide**-0.5 / 3**0.5), "mix_bias": torch.zeros(layers, 3 * wide),
        "back": drawn(layers, wide, wide, scale=0.02), "back_bias": torch.zeros(layers, wide),
        "second_norm": torch.ones(layers, wide), "second_shift": torch.zeros(layers, wide),
        "up": drawn(layers, 4 * wide, wide, scale=wide**-0.5 / 3**0.5), "up_bias": torch.zeros(layers, 4 * wide),
        "down": drawn(layers, wide, 4 * wide, scale=0.02), "down_bias": torch.zeros(layers, wide),
        "last_norm": torch.ones(wide), "last_shift": torch.zeros(wide),
        "out": drawn(1 + shape.parts, wide, wide, scale=wide**-0.5 / 3**0.5),
        "out_bias": torch.zeros(1 + shape.parts, wide),
    }  # fmt: skip


LAYERED = (
    "first_norm", "first_shift", "mix", "mix_bias", "back", "back_bias",
    "second_norm", "second_shift", "up", "up_bias", "down", "down_bias",
)  # fmt: skip
"""Weights of which each layer of a block has its own."""


def grown(weights: Weights, level: int) -> Weights:
    """The weights with which learning a level begins, where the levels below are learnt: these are settled from now on.

    Args:
        weights: of which the blocks below `level` are trained.
        level: from 1 on; its block becomes a copy of the one below it.
    """
    below, settled = f"{level - 1}.", weights["settled"].clone()
    settled[:level] = True
    copies = {f"{level}.{name[len(below) :]}": value for name, value in weights.items() if name.startswith(below)}
    return {**weights, **copies, "settled": settled}


def regrown(weights: Weights, below: Weights, level: int) -> Weights:
    """What a level goes on with once the levels below have gone on learning: its own block upon those of `below`."""
    own = {name: value for name, value in weights.items() if name.startswith(f"{level}.")}
    return {**below, **own, "settled": weights["settled"]}


def forward(
    weights: Weights, tokens: Int[Tensor, "batch tokens columns"], level: int, names: int
) -> Float[Tensor, "batch tokens names"]:
    """Logits of every name at every token."""
    return answers(weights, read(weights, tokens, level), level, names)


def answers(
    weights: Weights, seen: Float[Tensor, "*batch width"], level: int, names: int, part: int = 0
) -> Float[Tensor, "*batch names"]:
    """Logits of every name as the answer of a level; from 1 on, as the answer to that part."""
    out = functional.linear(seen, weights[f"{level}.out"][part], weights[f"{level}.out_bias"][part])
    logits: Tensor = out @ weights["embedding"][:names].T / weights["embedding"].shape[1] ** 0.5
    return logits


def read(
    weights: Weights, tokens: Int[Tensor, "batch tokens columns"], level: int
) -> Float[Tensor, "batch tokens width"]:
    """What the block of a level makes of every token."""
    tokens_seen = _embedded(weights, tokens)
    x = tokens_seen + weights["0.level"]
    for below in range(level):
        if weights["settled"][below]:
            with torch.no_grad():
                said = _mean_answer(weights, _normed(weights, _through(weights, x, below), below), below)
            x = tokens_seen + said @ weights[f"{below + 1}.said"] + weights[f"{below + 1}.level"]
        else:
            x = _through(weights, x, below) + weights[f"{below + 1}.level"]
    return _normed(weights, _through(weights, x, level), level)


def _embedded(weights: Weights, tokens: Int[Tensor, "batch tokens columns"]) -> Float[Tensor, "batch tokens width"]:
    table = weights["embedding"]
    seen = [functional.embedding(numbers, table @ weights["role"][i]) for i, numbers in enumerate(tokens.unbind(2))]
    return torch.stack(seen).sum(0)


def _mean_answer(
    weights: Weights, seen: Float[Tensor, "batch tokens width"], level: int
) -> Float[Tensor, "batch tokens width"]:
    """Embeddings of the allowed names, weighed by the probabilities that the level gives them."""
    allowed = weights["allowed"][level]
    logits = answers(weights, seen, level, len(allowed)).masked_fill(~allowed, -1e9)
    return torch.softmax(logits, -1) @ weights["embedding"][: len(allowed)]


def _normed(
    weights: Weights, x: Float[Tensor, "batch tokens width"], level: int
) -> Float[Tensor, "batch tokens width"]:
    return functional.layer_norm(
        x, (x.shape[2],), weights[f"{level}.last_norm"], weights[f"{level}.last_shift"]
    )  # fmt: skip


def _through(
    weights: Weights, x: Float[Tensor, "batch tokens width"], level: int
) -> Float[Tensor, "batch tokens width"]:
    """The residual stream after a level's block."""
    batch, count, wide = x.shape
    layers = zip(*(weights[f"{level}.{name}"].unbind(0) for name in LAYERED), strict=True)
    for norm1, shift1, mix, mix_bias, back, back_bias, norm2, shift2, up, up_bias, down, down_bias in layers:
        seen = functional.layer_norm(x, (wide,), norm1, shift1)
        mixed = functional.linear(seen, mix, mix_bias).view(batch, count, 3, HEADS, wide // HEADS)
        query, key, value = mixed.permute(2, 0, 3, 1, 4)
        heard = functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(batch, count, wide)
        x = x + functional.linear(heard, back, back_bias)
        seen = functional.layer_norm(x, (wide,), norm2, shift2)
        x = x + functional.linear(functional.gelu(functional.linear(seen, up, up_bias)), down, down_bias)
    return x
