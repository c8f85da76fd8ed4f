"""The chat/completions route of the OpenAI API as requests, answers and faults; nothing here uses a network.

Route and fields: https://platform.openai.com/docs/api-reference/chat. Servers that speak it (vLLM, SGLang, llama.cpp,
Ollama, hosted ones) differ in what they leave out, so nothing but a choice's message is relied on.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from rewardtree.language.completing import Completion, Finish, Options, Prompt, Token

ROUTE = "chat/completions"
AGAIN = frozenset({408, 409, 425, 429})
"""Statuses below 500 after which the same request may succeed."""
QUOTED = 200
"""Characters of a server's own words that an error repeats."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """Why a request was not answered.

    Attributes:
        words: what happened, to stand behind the endpoint's address.
        remedy: what to do.
        again: whether the same request may succeed later.
        after: seconds after which the server asks to come again, where it says so.
    """

    words: str
    remedy: str
    again: bool
    after: float | None = None


GARBAGE = Fault(
    words="answers with what is no completion",
    remedy="see that the address ends where chat/completions begins (often in /v1) and that a chat model is served",
    again=True,
)


def request_of(model: str, prompt: Prompt, options: Options) -> dict[str, Any]:
    """The body of a request; also what names its answer in the cache."""
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": one.role, "content": one.content} for one in prompt],
        "max_tokens": options.max_tokens,
        "temperature": options.temperature,
    }
    if options.top:
        body |= {"logprobs": True, "top_logprobs": options.top}
    return body if options.seed is None else body | {"seed": options.seed}


def completion_of(answer: Any) -> Completion | None:
    """The completion in an answer's JSON, or None where there is none."""
    try:
        choice = answer["choices"][0]
        text = choice["message"]["content"]
        usage = answer.get("usage") or {}
        if not isinstance(text, str | None):
            return None
        return Completion(
            text=text or "",
            tokens=_tokens((choice.get("logprobs") or {}).get("content") or ()),
            finish=_finish(choice.get("finish_reason")) if text is not None else "other",
            prompt_tokens=int(usage.get("prompt_tokens") or 0),
            completion_tokens=int(usage.get("completion_tokens") or 0),
        )
    except (LookupError, TypeError, ValueError, AttributeError):
        return None


def _tokens(content: Any) -> tuple[Token, ...]:
    return tuple(
        Token(
            text=str(one["token"]),
            logprob=float(one["logprob"]),
            top={str(other["token"]): float(other["logprob"]) for other in one.get("top_logprobs") or ()},
        )
        for one in content
    )


def _finish(reason: Any) -> Finish:
    return "stop" if reason in (None, "stop") else "length" if reason == "length" else "other"


def fault_of(status: int, headers: Mapping[str, str], text: str, model: str, key: str) -> Fault:
    """What a status that is no success means.

    Args:
        status: of the answer.
        headers: of the answer.
        text: of the answer.
        model: that was asked for.
        key: where the key comes from, in words.
    """
    said = quoted(text)
    if status in (401, 403):
        return Fault(words=f"refuses the key ({status}{said})", remedy=f"put a valid one into {key}", again=False)
    if status == 404:
        return Fault(
            words=f"has no model {model!r}, or no {ROUTE} at that address (404{said})",
            remedy="mend the model's name or the address",
            again=False,
        )
    if status == 429 and "insufficient_quota" in text:
        return Fault(words=f"says that nothing is left to spend (429{said})", remedy="top up the account", again=False)
    if status == 429:
        return Fault(
            words=f"says that this is too fast (429{said})",
            remedy="lower requests_a_minute, tokens_a_minute or at_once",
            again=True,
            after=after(headers),
        )
    if status in AGAIN or status >= 500:
        return Fault(words=f"is in trouble ({status}{said})", remedy="wait or restart its server", again=True,
                     after=after(headers))  # fmt: skip
    hint = "; logprobs: false if it does not give log-probabilities" if "logprob" in text else ""
    return Fault(words=f"does not take the request ({status}{said})", remedy=f"mend what it names{hint}", again=False)


def after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds that a server asks to wait, by Retry-After as seconds or as a date (RFC 9110, section 10.2.3)."""
    told = headers.get("retry-after", "")
    try:
        return max(0.0, float(told))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(told) - (now or datetime.now(UTC))).total_seconds())
    except (ValueError, TypeError):
        return None


def quoted(text: str) -> str:
    """The beginning of a server's own words, on one line, to stand in brackets behind a status."""
    try:
        found = json.loads(text)
        inner = found.get("error", found.get("detail", found.get("message", "")))
        text = str(inner.get("message", "") if isinstance(inner, dict) else inner)
    except (ValueError, AttributeError):
        text = "" if text.lstrip().startswith("<") else text
    words = " ".join(text.split())[:QUOTED]
    return f": {words}" if words else ""
