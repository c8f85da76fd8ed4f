"""What scores outputs for learners of any kind, in this process or another.

>>> def short(samples: Sequence[Sample]) -> list[Score]:
...     return [Score(value=-float(len(one.output)), abstain=one.finish == "length") for one in samples]
>>> short([Sample(prompt="Hi", output="Hello.")])
[Score(value=-6.0, spread=0.0, abstain=False)]
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from rewardtree.errors import LanguageError
from rewardtree.language.completing import Finish


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """An output to be scored.

    Attributes:
        prompt: that it was made for.
        output: its text.
        ids: its tokens where the learner has them: text that is encoded again may not give the same (an end of sequence
            is lost, for one), so who has tokens should score these.
        finish: whether it ended by itself, was cut off, or ended otherwise.
        prompt_ids: the prompt's tokens as the learner read it, where it has them, so that it is seen if it reads
            prompts otherwise than the scorer.
    """

    prompt: str
    output: str
    ids: tuple[int, ...] | None = None
    finish: Finish = "stop"
    prompt_ids: tuple[int, ...] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """What an output is worth.

    Attributes:
        value: the reward.
        spread: standard deviation over the members of an ensemble; 0 where there is one alone.
        abstain: whether the scorer would rather not say, so that the learner may leave the output out.

    Raises:
        LanguageError: a number is none, or a spread below 0.
    """

    value: float
    spread: float = 0.0
    abstain: bool = False

    def __post_init__(self) -> None:
        if not math.isfinite(self.value) or not math.isfinite(self.spread) or self.spread < 0:
            raise LanguageError(f"a scorer gave the value {self.value} with the spread {self.spread}; see what it was "
                                "given, and let it abstain where it can't tell")  # fmt: skip


@runtime_checkable
class Scorer(Protocol):
    """Scores outputs, one score a sample, in order; see the module's docstring for an example."""

    def __call__(self, samples: Sequence[Sample]) -> list[Score]:
        """Score a batch."""
        ...
