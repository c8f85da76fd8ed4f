"""A small transformer over tokens of numbers; every token may be asked for a name. Functions of weights.

Token embeddings are tied: the same row stands for a number in every column and, for the first ones, as an answer.
Layers are pre-norm with full attention (Xiong et al. 2020, arXiv 2002.04745). No position is encoded: tokens say who
they are.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

Weights = dict[str, Tensor]
HEADS = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """A transformer's size.

    Attributes:
        vocabulary: numbers that tokens are made of.
        columns: numbers a token.
        levels: kinds of question, told apart by a vector each that is added to every token.
        parts: answers to the question's parts that can be foretold beside its own answer.
        width: of the residual stream; a multiple of 4.
        layers: of attention and feed-forward network.
    """

    vocabulary: int
    columns: int
    levels: int = 1
    parts: int = 0
    width: int = 64
    layers: int = 4


def initial_weights(shape: Shape, generator: torch.Generator) -> Weights:
    """Random weights; the first column enters as it is, the others through a random matrix each."""
    wide, layers = shape.width, shape.layers

    def drawn(*size: int, scale: float) -> Tensor:
        return torch.randn(*size, generator=generator) * scale

    roles = drawn(shape.columns, wide, wide, scale=wide**-0.5)
    roles[0] = torch.eye(wide)
    return {
        "embedding": drawn(shape.vocabulary, wide, scale=0.5),
        "role": roles,
        "level": torch.zeros(shape.levels, wide),
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


def forward(
    weights: Weights, tokens: Int[Tensor, "batch tokens columns"], level: int, names: int
) -> Float[Tensor, "batch tokens names"]:
    """Logits of every name at every token."""
    return answers(weights, read(weights, tokens, level), names)


def answers(
    weights: Weights, seen: Float[Tensor, "*batch width"], names: int, part: int = 0
) -> Float[Tensor, "*batch names"]:
    """Logits of every name as the answer; from 1 on, as the answer to that part."""
    out = functional.linear(seen, weights["out"][part], weights["out_bias"][part])
    logits: Tensor = out @ weights["embedding"][:names].T / weights["embedding"].shape[1] ** 0.5
    return logits


def read(
    weights: Weights, tokens: Int[Tensor, "batch tokens columns"], level: int
) -> Float[Tensor, "batch tokens width"]:
    """What the network makes of every token."""
    table, wide = weights["embedding"], weights["embedding"].shape[1]
    x = weights["level"][level].expand(*tokens.shape[:2], wide)
    for column in range(tokens.shape[2]):
        x = x + functional.embedding(tokens[..., column], table @ weights["role"][column])
    batch, count, _ = x.shape
    layers = zip(*(weights[name].unbind(0) for name in LAYERED), strict=True)
    for norm1, shift1, mix, mix_bias, back, back_bias, norm2, shift2, up, up_bias, down, down_bias in layers:
        seen = functional.layer_norm(x, (wide,), norm1, shift1)
        mixed = functional.linear(seen, mix, mix_bias).view(batch, count, 3, HEADS, wide // HEADS)
        query, key, value = mixed.permute(2, 0, 3, 1, 4)
        heard = functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(batch, count, wide)
        x = x + functional.linear(heard, back, back_bias)
        seen = functional.layer_norm(x, (wide,), norm2, shift2)
        x = x + functional.linear(functional.gelu(functional.linear(seen, up, up_bias)), down, down_bias)
    return functional.layer_norm(x, (wide,), weights["last_norm"], weights["last_shift"])


LAYERED = (
    "first_norm", "first_shift", "mix", "mix_bias", "back", "back_bias",
    "second_norm", "second_shift", "up", "up_bias", "down", "down_bias",
)  # fmt: skip
"""Weights of which each layer has its own."""
