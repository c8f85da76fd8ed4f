"""A decoder trained from scratch: its tokens, its weights, and what they are worth on text that it never saw.

Text is shown in two ways: half of the texts as they stand, half as turns of a chat, a paragraph asked and the next one
answered, so that the tokens of the chat template are learnt and outputs end. Training goes on where it was killed, and
gives the weights that it would have given uninterrupted.
"""

import hashlib
import json
import math
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int

from rewardtree.errors import LanguageError
from rewardtree.language.installed import quietly, require
from rewardtree.language.perplexity import bigram, network, unigram
from rewardtree.language.tiny import TEMPLATE, byte_pairs

SPECIAL = PAD, END, USER, ASSISTANT = "<|pad|>", "<|end|>", "<|user|>", "<|assistant|>"
CARD, STATE = "pretraining.json", "state.safetensors"
"""What a model's folder says of its training, and where an unfinished training is kept."""
WARM, LAST, DECAY, NORM = 40, 0.1, 0.1, 1.0
"""Steps in which the rate rises, its last value as a share, weight decay, and the gradient's norm at most."""
EVERY = 50
"""Steps after which a training is kept."""
Windows = Int[np.ndarray, "_ _"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """How a decoder is made.

    Attributes:
        vocabulary: tokens, bytes and special ones among them.
        width: of the hidden states.
        layers: of the network.
        heads: of a layer.
        context: tokens that it reads.
        rows: of so many tokens, a step.
        rate: of AdamW, at its highest.
        seed: of weights and order.
    """

    vocabulary: int = 4096
    width: int = 128
    layers: int = 4
    heads: int = 4
    context: int = 512
    rows: int = 2
    rate: float = 3e-3
    seed: int = 0

    def __post_init__(self) -> None:
        if self.vocabulary < 300 or self.width % self.heads or min(self.layers, self.rows) < 1 or self.context < 8:
            raise LanguageError(
                "a decoder needs a vocabulary of 300 or more, a width that its heads divide, a layer and a row or more "
                "and a context of 8 or more"
            )


def pretrain(
    passes: Sequence[Sequence[str]],
    held_out: Sequence[str],
    folder: Path,
    recipe: Recipe = Recipe(),
    tell: Callable[[str], None] = lambda line: None,
) -> Mapping[str, Any]:
    """Train a decoder and write it as a folder that `references.load` reads; the folder appears when it is whole.

    Args:
        passes: texts of every pass through the data, a line a paragraph.
        held_out: texts that it is measured on.
        folder: to be written; where it holds the model of this recipe and these texts already, nothing is done.
        recipe: how.
        tell: told how it goes, a line at a time.

    Returns:
        What the folder says of its training: recipe, steps, and perplexities a token on the held-out text.

    Raises:
        LanguageError: where the extra is not installed, there is too little text, or the folder holds something else
            or cannot be written.
    """
    made_of = {"recipe": asdict(recipe), "texts": _digest([*passes, held_out])}
    if folder.exists():
        return _there(folder, made_of)
    transformers = require("transformers")
    shown = [_shown(texts, np.random.default_rng([recipe.seed, number])) for number, texts in enumerate(passes)]
    tokens = byte_pairs([text for texts in shown for text in texts], recipe.vocabulary, SPECIAL)
    windows = [_windows(tokens, texts, recipe, number) for number, texts in enumerate(shown)]
    steps = sum(len(one) // recipe.rows for one in windows)
    if not steps:
        raise LanguageError(f"there is too little text for {recipe.rows} rows of {recipe.context} tokens; give more")
    with quietly(), torch.random.fork_rng():
        torch.manual_seed(recipe.seed)
        net = transformers.LlamaForCausalLM(_config(recipe))
    work = folder.with_name(f"{folder.name}.training")
    _train(net, windows, recipe, work / STATE, _digest([[json.dumps(made_of)]]), tell)
    own = np.concatenate([encoded.ids for encoded in tokens.encode_batch([text + END for text in held_out])])
    seen = np.concatenate([one.ravel() for one in windows])
    card = made_of | {
        "steps": steps,
        "parameters": sum(p.numel() for p in net.parameters()),
        "words": sum(len(text.split()) for text in held_out),
        "tokens": len(own),
        "perplexity": network(net, own, recipe.context),
        "bigram": bigram(seen, own, recipe.vocabulary),
        "unigram": unigram(seen, own, recipe.vocabulary),
    }
    _write(net, tokens, card, work, folder)
    return card


def _digest(texts: Sequence[Sequence[str]]) -> str:
    total = hashlib.sha256()
    for number, some in enumerate(texts):
        for text in some:
            total.update(f"{number} {len(text)} {text}".encode())
    return total.hexdigest()


def _there(folder: Path, made_of: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a folder says of its training, where it is the one that is asked for."""
    try:
        card: dict[str, Any] = json.loads((folder / CARD).read_text())
    except (OSError, ValueError):
        card = {}
    if any(card.get(name) != value for name, value in made_of.items()):
        raise LanguageError(f"{folder} holds something that was not trained in this way on these texts; name another "
                            "folder, or remove it")  # fmt: skip
    return card


def _shown(texts: Sequence[str], rng: np.random.Generator) -> list[str]:
    """Texts as they stand, every second one as a chat."""
    return [_chat(text) if chat else text + END for text, chat in zip(texts, rng.random(len(texts)) < 0.5, strict=True)]


def _chat(text: str) -> str:
    turns = text.split("\n")
    return "".join(f"{(USER, ASSISTANT)[number % 2]}{turn}{END}" for number, turn in enumerate(turns))


def _windows(tokens: Any, texts: Sequence[str], recipe: Recipe, number: int) -> Windows:
    """One pass, cut into rows of equal length in a random order; what is left at its end is left out."""
    ids = np.concatenate([encoded.ids for encoded in tokens.encode_batch(list(texts))]).astype(np.int64)
    count = len(ids) // recipe.context
    cut = ids[: count * recipe.context].reshape(count, recipe.context)
    shuffled: Windows = np.random.default_rng([recipe.seed, 1, number]).permutation(cut)
    return shuffled


def _config(recipe: Recipe) -> Any:
    return require("transformers").LlamaConfig(
        vocab_size=recipe.vocabulary, hidden_size=recipe.width, intermediate_size=3 * recipe.width,
        num_hidden_layers=recipe.layers, num_attention_heads=recipe.heads, num_key_value_heads=recipe.heads,
        max_position_embeddings=recipe.context, tie_word_embeddings=True, pad_token_id=0, eos_token_id=1,
        bos_token_id=None,
    )  # fmt: skip


def _train(
    net: Any, windows: Sequence[Windows], recipe: Recipe, state: Path, made_of: str, tell: Callable[[str], None]
) -> None:
    """Next-token training by AdamW with a rate that rises and falls; what is kept in `state` is gone on with."""
    batches = [batch for one in windows for batch in _batches(one, recipe.rows)]
    optimizer = torch.optim.AdamW(net.parameters(), lr=recipe.rate, betas=(0.9, 0.95), weight_decay=DECAY, fused=True)
    start = _restored(net, optimizer, state, made_of)
    if start:
        tell(f"going on from step {start} of {len(batches)}")
    began = time.monotonic()
    net.train()
    for step in range(start, len(batches)):
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate * _share(step, len(batches))
        ids = torch.as_tensor(batches[step])
        loss = net(input_ids=ids, labels=ids).loss
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), NORM)
        optimizer.step()
        if (step + 1) % EVERY == 0 and step + 1 < len(batches):
            _keep(net, optimizer, state, made_of, step + 1)
            left = (time.monotonic() - began) / (step + 1 - start) * (len(batches) - step - 1)
            tell(f"step {step + 1} of {len(batches)}: perplexity {math.exp(loss.item()):,.0f}, {left:.0f} s left")
    net.eval()


def _batches(windows: Windows, rows: int) -> Iterator[Windows]:
    for start in range(0, len(windows) - rows + 1, rows):
        yield windows[start : start + rows]


def _share(step: int, steps: int) -> float:
    """Of the highest rate: rising, then falling by a cosine."""
    return min(1.0, (step + 1) / WARM) * (LAST + (1 - LAST) * 0.5 * (1 + math.cos(math.pi * step / steps)))


def _keep(net: Any, optimizer: Any, state: Path, made_of: str, step: int) -> None:
    from safetensors.torch import save_file

    held = {f"{name} value": value.detach() for name, value in net.named_parameters()}
    for name, value in net.named_parameters():
        held |= {f"{name} {kind}": optimizer.state[value][kind] for kind in ("exp_avg", "exp_avg_sq")}
    partial = state.with_name(f"{state.name}.{os.getpid()}")
    try:
        state.parent.mkdir(parents=True, exist_ok=True)
        save_file(held, partial, metadata={"step": str(step), "made_of": made_of})
        partial.replace(state)
    except OSError as error:
        raise LanguageError(f"cannot keep the training in {state.parent}: {error.strerror}; free some space or choose "
                            "another folder, then go on") from error  # fmt: skip


def _restored(net: Any, optimizer: Any, state: Path, made_of: str) -> int:
    """The step to go on from; 0 where nothing is kept, or what is kept is of another training or damaged."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(state, "pt") as file:
            about = file.metadata() or {}
            held = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (OSError, SafetensorError):
        return 0
    if about.get("made_of") != made_of:
        return 0
    step = int(about["step"])
    with torch.no_grad():
        for name, value in net.named_parameters():
            value.copy_(held[f"{name} value"])
            kept = {kind: held[f"{name} {kind}"] for kind in ("exp_avg", "exp_avg_sq")}
            optimizer.state[value] = {"step": torch.tensor(float(step)), **kept}
    return step


def _write(net: Any, tokens: Any, card: Mapping[str, Any], work: Path, folder: Path) -> None:
    """Write the folder aside, move it into place, and forget the training."""
    fast = require("transformers").PreTrainedTokenizerFast
    tokenizer = fast(tokenizer_object=tokens, pad_token=PAD, eos_token=END, model_max_length=card["recipe"]["context"])
    tokenizer.chat_template = TEMPLATE
    ready = work / f"ready-{os.getpid()}"
    try:
        with quietly():
            net.save_pretrained(ready)
            tokenizer.save_pretrained(ready)
        (ready / CARD).write_text(json.dumps(card, indent=1))
        if not folder.exists():
            ready.rename(folder)
    except OSError as error:
        raise LanguageError(f"cannot write {folder}: {error.strerror}; free some space or choose another folder, then "
                            "go on") from error  # fmt: skip
    shutil.rmtree(work, ignore_errors=True)
