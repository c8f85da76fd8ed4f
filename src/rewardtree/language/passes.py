"""Forward passes in which rows that begin alike have their beginning computed once, and generation.

Neighbours in a batch that begin alike (two outputs to one prompt, samples, candidates) form a group. Its beginning goes
through the network once, its keys and values are kept, and only what differs goes through after it. Gradients
flow through both, so training shares beginnings as scoring does. The results are those of whole rows but for rounding.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from rewardtree.language.encoding import PAD, Rows, buckets, lengths, padded
from rewardtree.language.references import LanguageModel

Outputs = Int[np.ndarray, "batch drawn"]
WORTH = 0.1
"""Share of all tokens, padding among them, that sharing must save, for two passes instead of one."""
TOKENS = 4096
"""Of one pass, where nothing is learnt from it."""


class _Running(nn.Module):
    """Lets a function of a network run where `functional_call` has put other weights into it."""

    def __init__(self, net: nn.Module, run: Callable[..., Any]) -> None:
        super().__init__()
        self.net, self.run = net, run

    def forward(self, *arguments: Any) -> Any:
        """Call the function on the network as it is now."""
        return self.run(self.net, *arguments)


def under(model: LanguageModel, weights: Mapping[str, Tensor], run: Callable[..., Any], *arguments: Any) -> Any:
    """Run `run(net, *arguments)` with these weights in the network's place of its own; differentiable in them."""
    if not weights:
        return run(model.net, *arguments)
    placed = {f"net.{name}": value.to(model.net.dtype) for name, value in weights.items()}
    return functional_call(_Running(model.net, run), placed, arguments)


@dataclass(frozen=True, kw_only=True, slots=True)
class Groups:
    """Rows that begin alike.

    Attributes:
        group: of each row; rows of a group are neighbours.
        shared: tokens that a group's rows begin with, each row keeping at least one of its own.
    """

    group: Int[np.ndarray, " batch"]
    shared: Int[np.ndarray, " groups"]


def grouped(rows: Rows, most: Int[np.ndarray, " batch"] | None = None) -> Groups:
    """Find the neighbours that begin alike, so that as many tokens as a greedy pass can save are saved.

    Args:
        rows: to look at.
        most: tokens of a row that may be shared; None for all but the last.
    """
    most = lengths(rows) - 1 if most is None else most
    alike = np.cumprod(rows[1:] == rows[:-1], axis=1, dtype=np.int32).sum(axis=1)
    alike = np.append(np.minimum(np.minimum(alike, most[1:]), most[:-1]), 0)  # of each row with the next
    group, shared, size = [0], [0], 1
    for row in range(1, len(rows)):
        joined = int(alike[row - 1]) if size == 1 else min(shared[-1], int(alike[row - 1]))
        if joined > 0 and size * joined >= (size - 1) * shared[-1] + alike[row]:
            shared[-1], size = joined, size + 1
        else:
            shared.append(0)
            size = 1
        group.append(len(shared) - 1)
    found, sizes = np.array(shared[: len(rows)]), lengths(rows)
    apart = len(found) * found.max() + len(rows) * (sizes - found[group]).max()
    if apart > (1 - WORTH) * len(rows) * sizes.max():
        return Groups(group=np.arange(len(rows)), shared=np.zeros(len(rows), dtype=int))
    return Groups(group=np.array(group), shared=found)


def hidden(
    net: Any, rows: Rows, groups: Groups, row: Int[np.ndarray, " wanted"], token: Int[np.ndarray, " wanted"]
) -> Float[Tensor, "wanted width"]:
    """Last hidden states at chosen places, none of them in a shared beginning.

    Args:
        net: the network.
        rows: tokens.
        groups: of the rows.
        row: of each place.
        token: of each place, counted from the row's beginning.
    """
    trunk = net.get_decoder()
    first = groups.shared[groups.group]
    if not groups.shared.any():
        whole: Tensor = trunk(input_ids=torch.as_tensor(np.maximum(rows, 0)).long(), use_cache=False).last_hidden_state
        return whole[torch.as_tensor(row), torch.as_tensor(token)]
    leaders = np.unique(groups.group, return_index=True)[1]
    cache, mask = _begun(trunk, rows[leaders], groups.shared)[1:]
    index = torch.as_tensor(groups.group)
    cache.batch_select_indices(index)
    width = int((lengths(rows) - first).max())
    columns = np.minimum(first[:, None] + np.arange(width), rows.shape[1] - 1)
    own = torch.as_tensor(np.maximum(np.take_along_axis(rows, columns, axis=1), 0)).long()
    states: Tensor = trunk(
        input_ids=own,
        attention_mask=None if mask is None else torch.cat([mask[index], torch.ones_like(own)], 1),
        position_ids=torch.as_tensor(first[:, None] + np.arange(width)),
        cache=cache,
        use_cache=True,
    ).last_hidden_state
    return states[torch.as_tensor(row), torch.as_tensor(token - first[row])]


def _begun(trunk: Any, rows: Rows, shared: Int[np.ndarray, " rows"]) -> tuple[Tensor, Any, Tensor | None]:
    """Put beginnings through the network: their last hidden states, what it keeps of them, and which tokens count.

    They are aligned at their ends, so that what follows begins at one place. The mask is None where all count.
    """
    width = int(shared.max())
    columns = np.arange(width) - width + shared[:, None]
    tokens = np.where(columns >= 0, np.take_along_axis(rows, np.maximum(columns, 0), axis=1), 0)
    mask = None if (shared == width).all() else torch.as_tensor(columns >= 0).long()
    out = trunk(
        input_ids=torch.as_tensor(tokens).long(),
        attention_mask=mask,
        position_ids=torch.as_tensor(np.maximum(columns, 0)),
        use_cache=True,
    )
    return out.last_hidden_state[:, -1], out.cache, mask


def final_states(net: Any, rows: Rows) -> Float[Tensor, "batch width"]:
    """Hidden states at the rows' last tokens, float32, in one pass."""
    last = lengths(rows) - 1
    return hidden(net, rows, grouped(rows), np.arange(len(rows)), last).float()


def final_and_mean_states(net: Any, rows: Rows) -> Float[Tensor, "batch twice_the_width"]:
    """Hidden states at the rows' last tokens, and beside them the mean embedding of the tokens, float32, in one pass.

    The mean says what a row is made of, whatever the network has learnt to attend to; no gradient flows through it.
    """
    mask = torch.as_tensor(rows != PAD)[..., None]
    with torch.no_grad():
        embedded = net.get_input_embeddings()(torch.as_tensor(np.maximum(rows, 0)).long()).float()
        mean = (embedded * mask).sum(1) / mask.sum(1)
    return torch.cat([final_states(net, rows), mean], 1)


def next_token_logits(net: Any, rows: Rows, tokens: Sequence[int]) -> Float[Tensor, "batch tokens_asked"]:
    """Logits of some tokens as the next one after each row, float32, in one pass."""
    states = hidden(net, rows, grouped(rows), np.arange(len(rows)), lengths(rows) - 1)
    logits: Tensor = net.get_output_embeddings()(states)[:, list(tokens)]
    return logits.float()


def token_log_probabilities(
    net: Any, rows: Rows, begins: Int[np.ndarray, " batch"]
) -> tuple[Float[Tensor, " wanted"], Int[np.ndarray, " wanted"]]:
    """Log-probabilities of every token from `begins` on, given what is before it, in one pass; and their rows."""
    row, token = np.nonzero((np.arange(rows.shape[1]) >= begins[:, None]) & (rows != PAD))
    states = hidden(net, rows, grouped(rows, begins - 1), row, token - 1)
    logits = net.get_output_embeddings()(states).float()
    return -functional.cross_entropy(logits, torch.as_tensor(rows[row, token]).long(), reduction="none"), row


def log_probabilities(net: Any, rows: Rows, begins: Int[np.ndarray, " batch"]) -> Float[Tensor, " batch"]:
    """Log-probabilities of whole outputs, which begin at token `begins` of their rows, in one pass."""
    each, row = token_log_probabilities(net, rows, begins)
    return torch.zeros(len(rows)).index_add(0, torch.as_tensor(row), each)


def in_buckets(rows: Rows, run: Callable[[Any, Any], Tensor], *, tokens: int = TOKENS) -> Tensor:
    """Run a function of rows on rows of like length, without gradients; results in the rows' order.

    Rows that begin alike stay together.

    Args:
        rows: all of them.
        run: some rows and their numbers to one result a row.
        tokens: of a pass.
    """
    sizes, group = lengths(rows), grouped(rows).group
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    found: list[Tensor] = []
    order: list[np.ndarray] = []
    with torch.inference_mode():
        for chosen in buckets(np.maximum.reduceat(sizes, starts), np.bincount(group), tokens):
            mine = np.flatnonzero(np.isin(group, chosen))
            found.append(run(rows[mine, : sizes[mine].max()], mine))
            order.append(mine)
        return torch.cat(found)[torch.as_tensor(np.argsort(np.concatenate(order)))]


def log_probabilities_under(
    model: LanguageModel, weights: Mapping[str, Tensor], rows: Rows, begins: Int[np.ndarray, " batch"]
) -> Float[Tensor, " batch"]:
    """Log-probabilities of outputs, in one pass where weights are being learnt, else on rows of like length.

    Args:
        model: the backbone.
        weights: that stand in for its own.
        rows: prompts with their outputs.
        begins: the outputs' first tokens.
    """

    def run(some: Rows, chosen: Int[np.ndarray, " chosen"]) -> Tensor:
        found: Tensor = under(model, weights, log_probabilities, some, begins[chosen])
        return found

    learning = torch.is_grad_enabled() and any(value.requires_grad for value in weights.values())
    return run(rows, np.arange(len(rows))) if learning else in_buckets(rows, run)


@dataclass(frozen=True, kw_only=True, slots=True)
class Sampling:
    """How outputs are generated.

    Attributes:
        tokens: of an output, at most, the end token among them.
        temperature: by which logits are divided; 0 takes the likeliest token.
    """

    tokens: int = 64
    temperature: float = 1.0


def generate(net: Any, prompts: Rows, sampling: Sampling, end: int, generator: torch.Generator) -> Outputs:
    """One output a prompt; neighbouring prompts that are equal are read once.

    Args:
        net: the network.
        prompts: ids.
        sampling: how.
        end: the token that ends an output; an output of `sampling.tokens` tokens may lack it.
        generator: the only source of chance.

    Returns:
        Ids of the outputs.
    """
    same = np.append(False, (prompts[1:] == prompts[:-1]).all(axis=1))
    group = np.cumsum(~same) - 1
    leaders = prompts[~same]
    with torch.inference_mode():
        trunk, head = net.get_decoder(), net.get_output_embeddings()
        state, cache, mask = _begun(trunk, leaders, lengths(leaders))
        index = torch.as_tensor(group)
        cache.batch_select_indices(index)
        mask = None if mask is None else mask[index]
        place = torch.as_tensor(lengths(prompts))[:, None]
        state, going = state[index], torch.arange(len(prompts))
        drawn = torch.full((len(prompts), sampling.tokens), PAD, dtype=torch.int32)
        for step in range(sampling.tokens):
            token = _drawn(head(state).float(), sampling.temperature, generator)
            drawn[going, step] = token.int()
            left = torch.nonzero(token != end)[:, 0]
            if step + 1 == sampling.tokens or len(left) == 0:
                break
            if len(left) < len(token):
                token, place, going = token[left], place[left], going[left]
                mask = None if mask is None else mask[left]
                cache.batch_select_indices(left)
            if mask is not None:
                mask = torch.cat([mask, torch.ones(len(mask), 1, dtype=mask.dtype)], 1)
            state = trunk(
                input_ids=token[:, None], attention_mask=mask, position_ids=place, cache=cache, use_cache=True
            ).last_hidden_state[:, -1]
            place = place + 1
    found = drawn.numpy()
    return padded([row[row != PAD].tolist() for row in found])


def _drawn(
    logits: Float[Tensor, "batch tokens"], temperature: float, generator: torch.Generator
) -> Int[Tensor, " batch"]:
    """One token a row, by the inverse of the distribution function."""
    if temperature == 0:
        return logits.argmax(1)
    total = torch.softmax(logits / temperature, 1).cumsum(1)
    chance = torch.rand(len(logits), 1, generator=generator) * total[:, -1:]
    return torch.searchsorted(total, chance, right=True)[:, 0].clamp_max(logits.shape[1] - 1)


def embed(net: Any, tokenizer: Any, texts: list[str], *, tokens: int = TOKENS) -> Float[np.ndarray, "texts width"]:
    """Unit vectors of texts: the mean over an encoder's tokens (Reimers & Gurevych 2019, arXiv 1908.10084)."""
    read = tokenizer(texts, truncation=True)["input_ids"]
    rows = padded(read)

    def run(some: Rows, chosen: Int[np.ndarray, " chosen"]) -> Tensor:
        mask = torch.as_tensor(some != PAD).long()
        states = net(input_ids=torch.as_tensor(np.maximum(some, 0)).long(), attention_mask=mask).last_hidden_state
        return functional.normalize((states.float() * mask[..., None]).sum(1), dim=1)

    found: Float[np.ndarray, "texts width"] = in_buckets(rows, run, tokens=tokens).numpy()
    return found
