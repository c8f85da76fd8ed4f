"""What a language model's answer to a comparison says: log-odds of its two verdicts, or that it cannot be read."""

import re
from collections.abc import Mapping
from math import exp, log

from rewardtree.language.completing import Completion, Token

LINE = re.compile(r"^.*verdict.*$", re.IGNORECASE | re.MULTILINE)
VERDICT = re.compile(r"(?i:verdict)\W{0,8}\b(A|B|TIE)\b\W*$")
"""How the last line that speaks of a verdict has to end, if it speaks of one alone."""
STATED = log(0.9 / 0.1)
"""Nats for a verdict without log-probabilities; the fitted temperature makes of it what it was worth."""
SURE = 8.0
"""Nats at most: tokens' probabilities beyond are rounding."""


def log_odds(answer: Completion) -> float | None:
    """Log-odds of verdict A against B; 0 for a tie; None where there is no verdict to be read.

    They are those of the verdict's token where the answer has log-probabilities (as in Zhang et al. 2024, arXiv
    2408.15240), else `STATED` for the verdict given.
    """
    lines = list(LINE.finditer(answer.text))
    found = VERDICT.search(lines[-1].group()) if lines else None
    if found is None or lines[-1].group().lower().count("verdict") > 1:
        return None
    verdict, at = found.group(1), lines[-1].start() + found.start(1)
    if verdict == "TIE":
        return 0.0
    token = _token_at(answer, at)
    odds = None if token is None else _odds(token, verdict)
    if odds is None:
        return STATED if verdict == "A" else -STATED
    return max(-SURE, min(SURE, odds))


def _token_at(answer: Completion, at: int) -> Token | None:
    """The token that a character of the text is in, where tokens make up the text."""
    if "".join(token.text for token in answer.tokens) != answer.text:
        return None
    for token in answer.tokens:
        at -= len(token.text)
        if at < 0:
            return token
    return None


def _odds(token: Token, verdict: str) -> float | None:
    """Log-odds of A against B at a token; the one that is not among the likeliest is as likely as the last of them."""
    likely: Mapping[str, float] = token.top or {token.text: token.logprob}
    mass = {side: sum(exp(p) for text, p in likely.items() if text.strip(" \n:*\"'") == side) for side in "AB"}
    if mass[verdict] == 0:
        return None
    rest = 1 - exp(token.logprob) if not token.top else exp(min(likely.values()))
    a, b = (mass[side] or max(rest, exp(-SURE) * mass[verdict]) for side in "AB")
    return log(a / b)
