"""How well a text is foretold: by a network, and by the counts that it must beat."""

import math
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch.nn import functional

DISCOUNT = 0.75
"""Taken off every count of a pair."""
ROWS = 8
Tokens = Int[np.ndarray, " _"]


def network(net: Any, text: Tokens, context: int) -> float:
    """Perplexity a token of a causal network, which reads the text in stretches of `context` tokens."""
    stretches = [text[start : start + context] for start in range(0, len(text), context)]
    whole = [stretch for stretch in stretches if len(stretch) == context]
    batches = [np.stack(whole[start : start + ROWS]) for start in range(0, len(whole), ROWS)]
    batches += [stretch[None] for stretch in stretches if 1 < len(stretch) < context]
    total, count = 0.0, 0
    with torch.inference_mode():
        for batch in batches:
            ids = torch.as_tensor(batch).long()
            logits = net(input_ids=ids).logits[:, :-1].float()
            total += float(functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="sum"))
            count += ids[:, 1:].numel()
    return math.exp(total / count)


def unigram(seen: Tokens, text: Tokens, vocabulary: int) -> float:
    """Perplexity a token of how often tokens were seen, one added to each count."""
    counts = np.bincount(seen, minlength=vocabulary) + 1.0
    return float(np.exp(-np.log(counts / counts.sum())[text[1:]].mean()))


def bigram(seen: Tokens, text: Tokens, vocabulary: int) -> float:
    """Perplexity a token of interpolated Kneser-Ney bigrams (Chen & Goodman 1999, eq. 19), with one discount."""
    pairs, counts = np.unique(seen[:-1].astype(np.int64) * vocabulary + seen[1:], return_counts=True)
    before, after = pairs // vocabulary, pairs % vocabulary
    follows = np.bincount(after, minlength=vocabulary) + 1.0 / vocabulary  # a token never seen keeps a little
    follows /= follows.sum()
    total = np.bincount(before, weights=counts, minlength=vocabulary)
    kinds = np.bincount(before, minlength=vocabulary)
    wanted = text[:-1].astype(np.int64) * vocabulary + text[1:]
    at = np.minimum(np.searchsorted(pairs, wanted), len(pairs) - 1)
    count = np.where(pairs[at] == wanted, counts[at], 0)
    seen_before = total[text[:-1]]
    known = np.maximum(count - DISCOUNT, 0) + DISCOUNT * kinds[text[:-1]] * follows[text[1:]]
    chance = np.where(seen_before > 0, known / np.maximum(seen_before, 1), follows[text[1:]])
    return float(np.exp(-np.log(chance).mean()))
