"""What a task offers: inputs, exhibits, questions to helpers, observations; mostly a true reward to measure with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from rewardtree.errors import TaskError
from rewardtree.tasks.board import Board, Instrument
from rewardtree.tasks.exhibit import Claim, Claims, Probe
from rewardtree.tasks.texts import Texts

Split = Literal["train", "calibration", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "calibration", "validation", "test")
ROUNDS = 8
"""Rounds of questions after which a task that still asks is taken to be broken."""
READERS = "use rewardtree run, with evaluator=human, or evaluator=judge and a judge_model"
"""What to do with a task that nobody can measure."""


@runtime_checkable
class Batch(Protocol):
    """Inputs or outputs, many at once. The loop never looks inside."""

    def __len__(self) -> int: ...

    def take(self, rows: Int[np.ndarray, " rows"]) -> Any:
        """The items at `rows`, repeats allowed."""
        ...

    def digest(self) -> list[dict[str, Any]]:
        """One JSON-able record an item, enough to name it and show it again."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """One question to one helper about each output of a batch.

    Attributes:
        helper: the helper's node.
        quantity: what is asked for; the claim that answers it carries the same name.
        inputs: the question as inputs of the helper's own task.
        total: ask for the itemised sum over all places instead of one place.
        turn: the round.
        in_reply_to: the quantity of an earlier claim that this follows up, or None.
    """

    helper: str
    quantity: str
    inputs: Any
    total: bool = False
    turn: int = 0
    in_reply_to: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """The parts of an exhibit that depend on input and output alone; claims and a meter complete it.

    `public` is what else everybody sees of the input, in the task's own shape; for its `survey`. `shared` are the
    instruments that read the input and not the output: what is read on one side of a comparison holds on the other.
    `texts` are what instruments show to who reads words; the field of the same name is then what a fixed rule, the
    task's `reading`, makes of the text at each place, for who reads numbers.
    """

    face: Float[np.ndarray, "batch face"]
    probes: Mapping[str, Probe]
    fields: Mapping[str, Float[np.ndarray, "batch _"]]
    public: Mapping[str, np.ndarray] = field(default_factory=dict)
    shared: frozenset[str] = frozenset()
    texts: Mapping[str, Texts] = field(default_factory=dict)


def raw_values(quantities: Sequence[str], claims: Claims) -> Float[np.ndarray, "batch claims"]:
    """The values that claims give, in the order of the task's quantities, float32."""
    return np.stack([claims[q].value.astype(np.float32) for q in quantities if q in claims], axis=1)


@runtime_checkable
class Task(Protocol):
    """A task of a node. Everything works on whole batches.

    See `rewardtree.tasks.answers.AnswerTask` for one that can be used as it is, and `docs/domain.md` for a
    worked example from nothing.
    """

    @property
    def name(self) -> str:
        """The node's name in trees, stores and reports."""
        ...

    def sample(self, rng: np.random.Generator, count: int, split: Split) -> Any:
        """Draw inputs. Splits never share an input."""
        ...

    def base_outputs(self, rng: np.random.Generator, inputs: Any) -> Any:
        """One output an input from the fixed distribution on which evaluators are measured and calibrated."""
        ...

    def view(self, inputs: Any, outputs: Any, claims: Claims) -> View:
        """Face, probes and instrument fields; claims may suggest places to probe."""
        ...

    def sense(self, face: Float[np.ndarray, "batch face"], known: Mapping[str, Float[np.ndarray, " batch"]]) -> Any:
        """What an evaluator makes of the quantities that it knows, [batch, features].

        `known` holds every quantity of `quantities`; those not read or claimed hold the value usual on the
        calibration split.
        """
        ...

    @property
    def quantities(self) -> tuple[str, ...]:
        """Names of all that probes read and helpers claim here."""
        ...

    def questions(self, inputs: Any, outputs: Any, claims: Claims) -> Sequence[Question]:
        """The next round of questions to the helpers, given their claims so far; none when all is asked."""
        ...

    def survey(self, view: View) -> Mapping[str, Float[np.ndarray, " batch"]]:
        """The quantities as someone with every reading of every instrument concludes them."""
        ...

    def claim(self, inputs: Any, outputs: Any, *, question: Question, version: str) -> Claim:
        """Outputs of this task as claims before the parent's evaluator. Only for tasks that help."""
        ...

    def observe(self, inputs: Any, outputs: Any) -> Any:
        """What a reward model sees of an output, [batch, features]."""
        ...

    def hear(self, inputs: Any, outputs: Any, claims: Claims) -> Any:
        """What a reward model makes of claims, [batch, features]; their raw values where they are amounts."""
        ...

    def measures(self, inputs: Any, outputs: Any) -> Mapping[str, Float[np.ndarray, " batch"]]:
        """Measures beside the true reward, by name."""
        ...


@runtime_checkable
class Measured(Task, Protocol):
    """A task with a true reward, as nearly all have. What has none can be a tree's root, judged by readers alone."""

    def true_reward(self, inputs: Any, outputs: Any) -> Float[np.ndarray, " batch"]:
        """The domain's own measure, [batch]; used only to measure and to calibrate simulated evaluators."""
        ...


def measured(task: Task) -> Measured:
    """The task, which is to have a true reward.

    Raises:
        TaskError: where it has none.
    """
    if not isinstance(task, Measured):
        raise TaskError(f"{task.name} has no true reward to measure by; what its outputs are worth people or a "
                        f"language model alone can say: {READERS}")  # fmt: skip
    return task


@runtime_checkable
class Readable(Protocol):
    """What a task without a true reward brings along, so that a report can show what readers were shown."""

    def given(self, inputs: Any, row: int) -> tuple[str, str]:
        """An input, for people: where it comes from, and its words."""
        ...

    def made(self, inputs: Any, outputs: Any, row: int) -> str:
        """An output in words."""
        ...

    def originals(self, inputs: Any) -> Any:
        """Outputs that nobody had to make, to compare others with: how a book goes on by itself."""
        ...


@runtime_checkable
class Helping(Task, Protocol):
    """A task whose outputs can be given by somebody else than its policy; `AnswerTask` has these built in."""

    def ideal(self, inputs: Any) -> Any:
        """The best outputs, as someone with every reading gives them."""
        ...

    def stand_in(self, control: str, rng: np.random.Generator, inputs: Any) -> Any:
        """Outputs of a control: `random_places`, `heuristic` or `adversarial`."""
        ...


@runtime_checkable
class Demonstrated(Protocol):
    """A task of which somebody, or a rule that stands for somebody, shows how it is done."""

    def demonstrate(self, rng: np.random.Generator, count: int) -> tuple[Any, Any]:
        """So many inputs of the training split, and the outputs shown for them."""
        ...


@runtime_checkable
class ReadsWords(Protocol):
    """What a task brings along whose view has texts and fields of the same instruments."""

    def reading(self, inputs: Any, outputs: Any, row: int, instrument: str, text: str) -> float:
        """What a simulated evaluator takes from one text, of the output at `row`; from these words and nothing else.

        At every place with a text, the field of `View.fields` is this, bit for bit.
        """
        ...


@runtime_checkable
class ForPeople(Protocol):
    """What a task may bring along for people who compare its outputs; each part is optional by itself.

    Without a `board`, people see the records that name input and output, and places by number.
    """

    @property
    def question(self) -> str:
        """What people are asked about two outputs; else `Which is the better output of NAME?`."""
        ...

    @property
    def guide(self) -> str:
        """What counts, in a few sentences."""
        ...

    @property
    def better(self) -> Mapping[str, int]:
        """Quantities of which more is better (1) or less is better (-1), taken by themselves."""
        ...

    def board(self, inputs: Any, outputs: Any, row: int) -> tuple[Board, tuple[Instrument, ...]]:
        """One output as people see it, and the instruments with their places on it.

        On the board is what the face shows, what the output itself says, and where probes point; nothing that an
        instrument reads. Instruments may leave out their values: those of `View.fields` are put in. One that `View`
        does not know has values or pictures of its own, and is people's alone.
        """
        ...

    def words(self, inputs: Any, claim: Claim, row: int) -> tuple[str, str] | None:
        """A claim's pointer and statement in words of the task's own; None for the claim's."""
        ...
