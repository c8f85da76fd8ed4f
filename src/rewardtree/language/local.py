"""Completions by a language model in this process; see `rewardtree.language.completing.Complete`.

A conversation goes through the model's chat template. Where the answer is to be one of a few verdicts, nothing is
generated: the probabilities of the verdicts' first tokens come from one forward pass, after words that lead to them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from rewardtree.errors import LanguageError
from rewardtree.language.completing import Completion, Options, Prompt, Token
from rewardtree.language.encoding import Encoder, Rows, lengths, padded
from rewardtree.language.passes import Sampling, generate, in_buckets, next_token_logits
from rewardtree.language.references import LanguageModel
from rewardtree.language.spending import Spent, note

TOGETHER = 16
"""Prompts for which completions are generated together."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Local:
    """Completes prompts by a loaded model.

    Attributes:
        model: which one.
        spent: file to which a line is added for every call, as endpoints do for every request; None for none.

    Raises:
        LanguageError: where the model has no chat template.

    Example:
        >>> complete = Local(model=load(ModelRef(name="smollm2")))                                  # doctest: +SKIP
        >>> complete([(Message(role="user", content="Say hello."),)], Options(max_tokens=8))[0].text  # doctest: +SKIP
        'Hello! How can I'
    """

    model: LanguageModel
    spent: Path | None = None
    encoder: Encoder = field(init=False, repr=False)

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "encoder", Encoder(model=self.model, style="chat"))
        except LanguageError as error:
            raise LanguageError(f"{self.model.ref.name!r} has no chat template, so that nothing can be asked of it; "
                                "name a model that was trained to chat") from error  # fmt: skip

    def __call__(self, prompts: Sequence[Prompt], options: Options) -> list[Completion]:
        """One completion a prompt, in order.

        Raises:
            LanguageError: where a prompt is longer than the model can read.
        """
        if not prompts:
            return []
        rows = padded(self._ids(prompts, options.lead if options.verdicts else ""))
        room = self.model.limit - (1 if options.verdicts else options.max_tokens)
        if rows.shape[1] > room:
            raise LanguageError(f"a prompt of {rows.shape[1]} tokens leaves {self.model.ref.name!r}, which reads "
                                f"{self.model.limit}, no room for an answer; show it less, or name another model"
                                )  # fmt: skip
        found = self._verdicts(rows, options) if options.verdicts else self._written(rows, options)
        if self.spent is not None:
            note(self.spent, options.purpose, Spent(
                requests=len(found), prompt_tokens=sum(one.prompt_tokens for one in found),
                completion_tokens=sum(one.completion_tokens for one in found),
            ))  # fmt: skip
        return found

    def _ids(self, prompts: Sequence[Prompt], lead: str) -> list[list[int]]:
        template = self.model.tokenizer.apply_chat_template
        turns = [[{"role": one.role, "content": one.content} for one in prompt] for prompt in prompts]
        shown = [template(one, add_generation_prompt=True, tokenize=False) + lead for one in turns]
        found: list[list[int]] = self.model.tokenizer(shown, add_special_tokens=False)["input_ids"]
        return found

    def _verdicts(self, rows: Rows, options: Options) -> list[Completion]:
        """The likelier verdict, with the log-probabilities of all."""
        words = [f" {verdict}" for verdict in options.verdicts]
        tokens = [ids[0] for ids in self.encoder.outputs(words, finished=False)]
        if len(set(tokens)) < len(tokens):
            raise LanguageError(f"{self.model.ref.name!r} begins two of the verdicts {', '.join(options.verdicts)} "
                                "with the same token; name another model")  # fmt: skip

        def run(some: Rows, chosen: object) -> torch.Tensor:
            whole = next_token_logits(self.model.net, some, range(self.model.net.config.vocab_size))
            return torch.log_softmax(whole, dim=1)[:, tokens]

        found: Float[np.ndarray, "prompts verdicts"] = in_buckets(rows, run).double().numpy()
        return [
            Completion(
                text=options.lead + words[int(one.argmax())],
                tokens=(Token(text=options.lead, logprob=0.0),
                        Token(text=words[int(one.argmax())], logprob=float(one.max()),
                              top=dict(zip(words, one.tolist(), strict=True)))),
                prompt_tokens=int(read), completion_tokens=1,
            )
            for one, read in zip(found, lengths(rows), strict=True)
        ]  # fmt: skip

    def _written(self, rows: Rows, options: Options) -> list[Completion]:
        """What the model writes, without log-probabilities."""
        sampling = Sampling(tokens=options.max_tokens, temperature=options.temperature)
        chance = torch.Generator().manual_seed(options.seed or 0)
        found: list[Completion] = []
        for start in range(0, len(rows), TOGETHER):
            some = rows[start : start + TOGETHER]
            read = lengths(some)
            ids = generate(self.model.net, some[:, : read.max()], sampling, self.model.end, chance)
            ended = (ids == self.model.end).any(axis=1)
            for text, count, whole, own in zip(self.encoder.texts(ids), lengths(ids), ended, read, strict=True):
                found.append(Completion(text=text, finish="stop" if whole else "length", prompt_tokens=int(own),
                                        completion_tokens=int(count)))  # fmt: skip
        return found
