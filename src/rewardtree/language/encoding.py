"""Texts to token ids, in one way for training, generation and scoring.

A row is a prompt's ids followed by an output's. The two are encoded apart, so that the ids of a prompt do not depend
on what follows, and a finished output ends with the model's end token, which a generated one ends with too. What was
generated is scored by its ids and never encoded again. Batches of rows are int32, padded at their ends with -1.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Int

from rewardtree.errors import LanguageError
from rewardtree.language.installed import require
from rewardtree.language.references import LanguageModel

Style = Literal["chat", "plain"]
Rows = Int[np.ndarray, "batch tokens"]
PAD = -1


@dataclass(frozen=True, kw_only=True, slots=True)
class Encoder:
    """A model's only way from text to ids and back.

    Attributes:
        model: whose tokenizer and end token are used.
        style: `chat` puts a prompt as a user's turn into the model's chat template; `plain` takes it as it stands.

    Raises:
        LanguageError: where the style is `chat` and the model has no chat template.

    Example:
        >>> encoder = Encoder(model=load(ModelRef(name="smollm2")))     # doctest: +SKIP
        >>> rows = encoder.rows(["Say hello."], ["Hello."])             # doctest: +SKIP
    """

    model: LanguageModel
    style: Style = "chat"

    def __post_init__(self) -> None:
        if self.style == "chat" and not self.model.tokenizer.chat_template:
            raise LanguageError(f"{self.model.ref.name!r} has no chat template; use the style 'plain', or a model that "
                                "was trained to chat")  # fmt: skip

    def shown(self, texts: Sequence[str]) -> list[str]:
        """Prompts as the model reads them, in its chat template where the style is `chat`.

        Raises:
            LanguageError: where the template is broken, or refuses.
        """
        if self.style == "plain":
            return list(texts)
        turns = [[{"role": "user", "content": text}] for text in texts]
        template = self.model.tokenizer.apply_chat_template
        try:
            return [template(turn, add_generation_prompt=True, tokenize=False) for turn in turns]
        except require("jinja2").TemplateError as error:
            raise LanguageError(f"the chat template of {self.model.ref.name!r} cannot be used ({error}); mend its "
                                "chat_template, or use the style 'plain'") from error  # fmt: skip

    def prompts(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of prompts, up to where an output begins."""
        tokenizer, plain = self.model.tokenizer, self.style == "plain"
        found: list[list[int]] = tokenizer(self.shown(texts), add_special_tokens=plain)["input_ids"]
        found = [ids[:-1] if ids and ids[-1] == self.model.end else ids for ids in found]
        begin = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else self.model.end
        return [ids or [begin] for ids in found]

    def outputs(self, texts: Sequence[str], *, finished: bool = True) -> list[list[int]]:
        """Ids of outputs, the end token after them where they are finished."""
        end = [self.model.end] if finished else []
        found = self.model.tokenizer(list(texts), add_special_tokens=False, split_special_tokens=True)["input_ids"]
        return [[*ids, *end] for ids in found]

    def rows(self, prompts: Sequence[str], outputs: Sequence[str]) -> Rows:
        """Prompts, each with its output, finished.

        Raises:
            LanguageError: where a row is longer than the model can read.
        """
        return self.joined(self.prompts(prompts), self.outputs(outputs))

    def joined(self, prompts: Sequence[Sequence[int]], outputs: Sequence[Sequence[int]]) -> Rows:
        """Rows of ids of prompts and outputs.

        Raises:
            LanguageError: where a row is longer than the model can read.
        """
        found = padded([[*prompt, *output] for prompt, output in zip(prompts, outputs, strict=True)])
        if found.shape[1] > self.model.limit:
            raise LanguageError(f"a prompt with its output has {found.shape[1]} tokens and {self.model.ref.name!r} "
                                f"reads {self.model.limit}; shorten it")  # fmt: skip
        return found

    def texts(self, rows: Rows) -> list[str]:
        """Text of ids; padding and special tokens are left out."""
        kept = [row[: int(length)].tolist() for row, length in zip(rows, lengths(rows), strict=True)]
        found: list[str] = self.model.tokenizer.batch_decode(kept, skip_special_tokens=True)
        return found


def padded(ids: Sequence[Sequence[int]]) -> Rows:
    """Rows as long as the longest, padded at their ends."""
    found = np.full((len(ids), max(map(len, ids), default=0)), PAD, dtype=np.int32)
    for row, tokens in zip(found, ids, strict=True):
        row[: len(tokens)] = tokens
    return found


def stacked(rows: Sequence[Int[np.ndarray, "_ _"]]) -> Rows:
    """Batches under each other, the narrower ones padded."""
    width = max(part.shape[1] for part in rows)
    return np.concatenate([np.pad(p, ((0, 0), (0, width - p.shape[1])), constant_values=PAD) for p in rows])


def lengths(rows: Rows) -> Int[np.ndarray, " batch"]:
    """Tokens of each row, padding left out."""
    found: Int[np.ndarray, " batch"] = (rows != PAD).sum(axis=1)
    return found


def buckets(
    sizes: Int[np.ndarray, " items"], counts: Int[np.ndarray, " items"], tokens: int
) -> Iterator[Int[np.ndarray, " chosen"]]:
    """Items of like size together, so that little is padded.

    Args:
        sizes: tokens of each item's longest row.
        counts: rows of each item.
        tokens: that one bucket may have, padding included; a larger item has a bucket of its own.
    """
    order = np.argsort(sizes, kind="stable")
    start = 0
    for stop in range(1, len(order) + 1):
        if stop == len(order) or counts[order[start : stop + 1]].sum() * sizes[order[stop]] > tokens:
            yield order[start:stop]
            start = stop
