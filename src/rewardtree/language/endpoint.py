"""Completions by any OpenAI-compatible endpoint: many at once, no faster than allowed, none paid for twice.

What comes back is kept before it is used (`rewardtree.language.keeping`) and what it cost is noted at the same time, so
an end at any moment loses nothing that was paid for but the requests under way. The endpoint's key is read from the
environment when a client is made; it is sent to the endpoint and goes nowhere else.
"""

import json
import os
import random
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from rewardtree.errors import ConfigError, LanguageError
from rewardtree.language.completing import Complete, Completion, Options, Prompt
from rewardtree.language.keeping import Kept, name_of
from rewardtree.language.pacing import Pace
from rewardtree.language.spending import Prices, Spent, note
from rewardtree.language.wire import GARBAGE, ROUTE, Fault, completion_of, fault_of, request_of

SOONEST, LATEST = 0.5, 60.0
"""Seconds before a first further attempt, doubled for each one more, and at most."""
PATIENCE = 300.0
"""Seconds that a server may ask to wait; where it asks for more, whoever runs this decides."""
LARGEST = 64 * 1024 * 1024
"""Bytes of an answer, at most; what is larger is none."""
CHARACTERS = 3
"""Characters that are taken for a token until the server counts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """Where a language model is, and how it may be asked.

    Attributes:
        url: what stands before `/chat/completions`, as in `http://127.0.0.1:8000/v1`.
        model: its name there.
        key_variable: the environment variable that holds the key; None for an endpoint that needs none.
        at_once: requests under way at most.
        timeout: seconds that an answer may take.
        attempts: times that a request is made before the endpoint is given up.
        requests_a_minute, tokens_a_minute: limits; None for none.
        logprobs: whether it may be asked for log-probabilities.
        prices: of tokens.

    Raises:
        ConfigError: a value is out of range, or the address is none or holds a password.
    """

    url: str
    model: str
    key_variable: str | None = None
    at_once: int = 8
    timeout: float = 60.0
    attempts: int = 6
    requests_a_minute: float | None = None
    tokens_a_minute: float | None = None
    logprobs: bool = True
    prices: Prices = field(default_factory=Prices)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"{self.url!r} is no address of an endpoint; give one such as http://127.0.0.1:8000/v1")
        if "@" in parts.netloc or parts.query:
            raise ConfigError("an endpoint's address is kept with the run and holds no key; put it into an environment "
                              "variable and name that as key_variable")  # fmt: skip
        if self.at_once < 1 or self.attempts < 1 or self.timeout <= 0:
            raise ConfigError(f"endpoint {self.url}: at_once and attempts are 1 or more, and timeout above 0")
        if any(limit is not None and limit <= 0 for limit in (self.requests_a_minute, self.tokens_a_minute)):
            raise ConfigError(f"endpoint {self.url}: limits a minute are above 0; leave them out for none")


class Client:
    """Completes prompts at an endpoint; see `rewardtree.language.completing.Complete`.

    Args:
        endpoint: to ask.
        kept: answers so far, and where new ones go; None to keep none.
        spent: file to which a line is added for every request and every answer found; None for none.
        pace: of requests; the endpoint's limits if None.

    Raises:
        LanguageError: the extra is not installed, or the key is not where it should be.

    Example:
        >>> endpoint = Endpoint(url="http://127.0.0.1:8000/v1", model="Qwen/Qwen3-8B")
        >>> with Client(endpoint, kept=Kept(Path("answers"))) as client:
        ...     client([], Options())
        []
    """

    def __init__(
        self, endpoint: Endpoint, *, kept: Kept | None = None, spent: Path | None = None, pace: Pace | None = None
    ) -> None:
        self.endpoint, self._kept, self._spent = endpoint, kept, spent
        self._pace = pace or Pace(requests=endpoint.requests_a_minute, tokens=endpoint.tokens_a_minute)
        self._stop = threading.Event()
        self._key = _key_of(endpoint)
        try:
            import httpx2
        except ModuleNotFoundError as error:
            raise LanguageError("endpoints need httpx2, which is not installed; run: pip install 'rewardtree[judge]'"
                                ) from error  # fmt: skip
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        limits = httpx2.Limits(max_connections=endpoint.at_once, max_keepalive_connections=endpoint.at_once)
        self._http = httpx2.Client(headers=headers, timeout=endpoint.timeout, limits=limits)

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def __call__(self, prompts: Sequence[Prompt], options: Options) -> list[Completion]:
        """Complete prompts; those that are alike are asked once.

        Raises:
            LanguageError: where the endpoint does not answer; what it answered before is kept.
        """
        options = options if self.endpoint.logprobs else replace(options, top=0)
        bodies = [request_of(self.endpoint.model, prompt, options) for prompt in prompts]
        names = [name_of(body) for body in bodies]
        found: dict[str, Completion] = {}
        wanted: dict[str, dict[str, Any]] = {}
        for name, body in zip(names, bodies, strict=True):
            if name in found or name in wanted:
                continue
            earlier = None if self._kept is None else completion_of(self._kept.get(name))
            if earlier is None:
                wanted[name] = body
            else:
                found[name] = replace(earlier, kept=True)
                self._note(options.purpose, Spent(kept=1))
        found |= self._all(wanted, options)
        return [found[name] for name in names]

    def _all(self, wanted: dict[str, dict[str, Any]], options: Options) -> dict[str, Completion]:
        """Ask for all; once one is given up the others that have not begun are left, and those under way are kept."""
        self._stop.clear()
        faults: list[LanguageError] = []

        def ask(name: str) -> Completion | None:
            if self._stop.is_set():
                return None
            try:
                return self._ask(name, wanted[name], options.purpose)
            except LanguageError as error:
                faults.append(error)
                self._stop.set()
                return None

        with ThreadPoolExecutor(max(1, min(self.endpoint.at_once, len(wanted)))) as pool:
            try:
                answers = list(pool.map(ask, wanted))
            finally:
                self._stop.set()
        if faults:
            raise faults[0]
        return {name: answer for name, answer in zip(wanted, answers, strict=True) if answer is not None}

    def _ask(self, name: str, body: dict[str, Any], purpose: str) -> Completion | None:
        """One completion, by as many attempts as it takes; None where meanwhile all is given up.

        Raises:
            LanguageError: where no attempt is answered.
        """
        guess = sum(len(one["content"]) for one in body["messages"]) // CHARACTERS + body["max_tokens"]
        for attempt in range(self.endpoint.attempts):
            self._pace.wait(guess)
            answer, fault = self._post(body)
            made = completion_of(answer)
            if fault is None and made is not None:
                return self._keep(name, body, answer, made, guess, purpose)
            fault = fault or GARBAGE
            self._note(purpose, Spent(failed=1))
            last = attempt + 1 == self.endpoint.attempts
            if last or not fault.again or (fault.after or 0.0) > PATIENCE:
                raise self._given_up(fault, attempt + 1)
            pause = min(LATEST, SOONEST * 2**attempt) * random.uniform(0.5, 1.0)
            if fault.after is not None:
                self._pace.pause(fault.after)
                pause += fault.after
            if self._stop.wait(pause):
                return None
        return None

    def _keep(
        self, name: str, body: dict[str, Any], answer: dict[str, Any], made: Completion, guess: int, purpose: str
    ) -> Completion:
        """Keep an answer and what it cost."""
        if self._kept is not None:
            self._kept.put(name, body, answer)
        self._pace.settle(guess, made.prompt_tokens + made.completion_tokens or guess)
        cost = self.endpoint.prices.of(made.prompt_tokens, made.completion_tokens)
        self._note(purpose, Spent(requests=1, prompt_tokens=made.prompt_tokens,
                                  completion_tokens=made.completion_tokens, cost=cost))  # fmt: skip
        return replace(made, cost=cost)

    def _post(self, body: dict[str, Any]) -> tuple[Any, Fault | None]:
        """One attempt: the answer's JSON, None where it is none; or what went wrong."""
        import httpx2

        endpoint, until = self.endpoint, time.monotonic() + self.endpoint.timeout
        try:
            with self._http.stream("POST", f"{endpoint.url.rstrip('/')}/{ROUTE}", json=body) as response:
                content = bytearray()
                for part in response.iter_bytes():
                    content += part
                    if time.monotonic() > until:  # the client's own limit is for each part alone
                        raise httpx2.ReadTimeout("too slow")
                    if len(content) > LARGEST:
                        return None, None
        except httpx2.TimeoutException:
            return None, Fault(words=f"did not answer within {endpoint.timeout:g} s", again=True,
                               remedy="raise timeout, lower at_once, or see what its server does")  # fmt: skip
        except httpx2.ConnectError as error:
            return None, Fault(words=f"cannot be reached ({error})", again=True,
                               remedy="start its server or mend the address")  # fmt: skip
        except httpx2.RequestError as error:
            return None, Fault(words=f"broke off half-way ({error})", again=True, remedy="see what its server does")
        if not response.is_success:
            key = f"${endpoint.key_variable}" if endpoint.key_variable else "a variable, and name it as key_variable"
            text = content.decode(errors="replace")
            return None, fault_of(response.status_code, response.headers, text, endpoint.model, key)
        try:
            return json.loads(content), None
        except ValueError:
            return None, None

    def _note(self, purpose: str, spent: Spent) -> None:
        if self._spent is not None:
            note(self._spent, purpose, spent)

    def _given_up(self, fault: Fault, attempts: int) -> LanguageError:
        times = "" if attempts == 1 else f", {attempts} times in a row"
        words = f"the endpoint {self.endpoint.url} {fault.words}{times}; {fault.remedy}"
        kept = "" if self._kept is None else "; answers so far are kept, so go on with the same command"
        return LanguageError((words.replace(self._key, "***") if self._key else words) + kept)


def asking(endpoint: Endpoint, *, kept: Kept | None = None, spent: Path | None = None) -> Complete:
    """Completes prompts at an endpoint with nothing to close: each call has a client, and all keep one pace.

    Args:
        endpoint: to ask.
        kept: as for `Client`.
        spent: as for `Client`.
    """
    pace = Pace(requests=endpoint.requests_a_minute, tokens=endpoint.tokens_a_minute)

    def complete(prompts: Sequence[Prompt], options: Options) -> list[Completion]:
        with Client(endpoint, kept=kept, spent=spent, pace=pace) as client:
            return client(prompts, options)

    return complete


def _key_of(endpoint: Endpoint) -> str:
    """The endpoint's key, from the environment.

    Raises:
        LanguageError: where it is not there.
    """
    if endpoint.key_variable is None:
        return ""
    key = os.environ.get(endpoint.key_variable, "").strip()
    if not key:
        raise LanguageError(f"the key of {endpoint.url} should be in the environment variable "
                            f"{endpoint.key_variable}, which is not set; set it, or mend key_variable")  # fmt: skip
    return key
