"""What is asked of a language model, and what it answers: the same for an endpoint and for a model in this process.

Whoever completes prompts is a callable `complete(prompts, options) -> list[Completion]`, one completion a prompt, in
order. `rewardtree.language.endpoint` makes one of an OpenAI-compatible endpoint, `rewardtree.language.local` one of a
model in this process.

    >>> def parrot(prompts: Sequence[Prompt], options: Options) -> list[Completion]:
    ...     return [Completion(text=prompt[-1].content) for prompt in prompts]
    >>> parrot([(Message(role="user", content="hello"),)], Options())[0].text
    'hello'
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias, runtime_checkable

Finish: TypeAlias = Literal["stop", "length", "other"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


Prompt: TypeAlias = tuple[Message, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """How a prompt is to be completed.

    Attributes:
        max_tokens: of the completion.
        temperature: of sampling; 0 for the likeliest token at every step.
        top: likeliest tokens whose log-probabilities are asked for at every step; 0 for none.
        seed: for sampling, where the model heeds one.
        purpose: who asks, for the accounts; never a part of what is asked.
        verdicts: words of which the answer is to name one, where it is; a model in this process gives their
            probabilities at once and writes nothing else. An endpoint is asked as ever.
        lead: the words of the answer that stand before the verdict.
    """

    max_tokens: int = 400
    temperature: float = 0.0
    top: int = 0
    seed: int | None = None
    purpose: str = ""
    verdicts: tuple[str, ...] = ()
    lead: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Token:
    """A token of a completion, and log-probabilities in nats: its own, and the likeliest tokens' there."""

    text: str
    logprob: float
    top: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Completion:
    """What a language model made of a prompt.

    Attributes:
        text: of the completion.
        tokens: with log-probabilities, as far as they were asked for and given; else empty.
        finish: whether it ended by itself, was cut off, or ended otherwise.
        prompt_tokens, completion_tokens: as counted by the model; 0 where it does not say.
        cost: of this completion, in the price table's currency; 0 where it was in the cache.
        kept: whether it was in the cache, so that nothing was asked.
    """

    text: str
    tokens: tuple[Token, ...] = ()
    finish: Finish = "stop"
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    kept: bool = False


@runtime_checkable
class Complete(Protocol):
    """Completes prompts; see the module's docstring for an example."""

    def __call__(self, prompts: Sequence[Prompt], options: Options) -> list[Completion]:
        """One completion a prompt, in order.

        Raises:
            LanguageError: where the model cannot be had or does not answer; completions that were paid for are kept.
        """
        ...
