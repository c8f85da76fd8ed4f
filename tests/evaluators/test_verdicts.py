"""What verdicts are read from answers, and what is not guessed."""

import math

import pytest

from rewardtree.evaluators.verdicts import STATED, SURE, log_odds
from rewardtree.language.completing import Completion, Token


def said(text: str, *tokens: Token) -> float | None:
    return log_odds(Completion(text=text, tokens=tokens))


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("VERDICT: A", STATED), ("It is hot.\nVERDICT: B", -STATED), ("reason. Verdict: **B**.\n", -STATED),
        ("VERDICT: TIE", 0.0), ("VERDICT: A\nno, rather\nverdict - B", -STATED), ("**VERDICT:** A", STATED),
    ],
)  # fmt: skip
def test_a_verdict_is_the_last_line(text: str, verdict: float) -> None:
    assert said(text) == pytest.approx(verdict)


@pytest.mark.parametrize(
    "text",
    ["", "A", "The better one is A.", "VERDICT: a good one", "VERDICT: C", "VERDICT: A or VERDICT: B",
     "VERDICT: A or B", "VERDICT: VERDICT: A or VERDICT: B, or VERDICT: TIE if you can't tell.",
     "VERDICT: Apples", "verdict:"],
)  # fmt: skip
def test_what_is_no_verdict_is_not_guessed(text: str) -> None:
    assert said(text) is None


def test_log_odds_are_those_of_the_verdicts_token() -> None:
    a = Token(text=" A", logprob=math.log(0.6), top={" A": math.log(0.6), " B": math.log(0.2), "A": math.log(0.1)})
    words = (Token(text="A is hot. VERDICT", logprob=0.0), Token(text=":", logprob=0.0))
    assert said("A is hot. VERDICT: A", *words, a) == pytest.approx(math.log(0.7 / 0.2))
    sure = Token(text=" B", logprob=-1e-9, top={" B": -1e-9, " C": math.log(1e-9)})
    assert said("A is hot. VERDICT: B", *words, sure) == -SURE
    assert said("VERDICT: A", a) == STATED, "tokens that do not make up the text are no help"
    alone = Token(text=" A", logprob=math.log(0.75))
    assert said("A is hot. VERDICT: A", *words, alone) == pytest.approx(math.log(3))
