"""What language models cost: requests, tokens and money, a line a request, so that a kill loses nothing."""

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from rewardtree.errors import LanguageError

MILLION = 1_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Prices:
    """Money for a million tokens, in any one currency; what prompts and completions cost."""

    prompt: float = 0.0
    completion: float = 0.0

    def of(self, prompt_tokens: int, completion_tokens: int) -> float:
        """What so many tokens cost."""
        return (self.prompt * prompt_tokens + self.completion * completion_tokens) / MILLION


@dataclass(frozen=True, kw_only=True, slots=True)
class Spent:
    """What was spent on some purpose.

    Attributes:
        requests: that were answered.
        failed: that were not, and were made again or given up.
        kept: answers that were there already, at no cost.
        prompt_tokens, completion_tokens: of answered requests.
        cost: of these, by the price table.
    """

    requests: int = 0
    failed: int = 0
    kept: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0

    def plus(self, other: "Spent") -> "Spent":
        """Both together."""
        return Spent(**{one.name: getattr(self, one.name) + getattr(other, one.name) for one in fields(Spent)})


def total(spent: Iterable[Spent]) -> Spent:
    """All together."""
    whole = Spent()
    for one in spent:
        whole = whole.plus(one)
    return whole


def note(path: Path, purpose: str, spent: Spent) -> None:
    """Add a line to a file of what was spent; several threads and processes may do so at once.

    Raises:
        LanguageError: where it cannot be written.
    """
    line = json.dumps({"purpose": purpose} | {name: value for name, value in asdict(spent).items() if value}) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            os.write(handle, line.encode())  # one call, so lines of several writers stay whole
        finally:
            os.close(handle)
    except OSError as error:
        raise LanguageError(f"cannot write {path}: {error.strerror}; free some space, then go on") from error


def noted(path: Path) -> dict[str, Spent]:
    """What a file says was spent, by purpose; a line that a power cut tore is left out."""
    found: dict[str, Spent] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return found
    for line in lines:
        try:
            row = json.loads(line)
            purpose = row.pop("purpose")
            found[purpose] = found.get(purpose, Spent()).plus(Spent(**row))
        except (ValueError, KeyError, TypeError):
            continue
    return found
