"""What the store keeps: comparisons (questions) and feedback (answers), frozen and checked at birth."""

import dataclasses
import hashlib
import math
import operator
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypeAlias, get_args

from rewardtree.errors import StoreError
from rewardtree.preferences.checks import (
    ID_LENGTH,
    LARGEST_COUNT,
    at_least_0,
    canonical_json,
    check_id,
    check_name,
    check_text,
    check_versions,
    count,
    finite,
    positions,
)

Condition = Literal["unaided", "assisted", "revised"]
Purpose = Literal["training", "gold", "repeat"]
PURPOSES: tuple[str, ...] = get_args(Purpose)
PERSON = "person/"
"""What the names of people among evaluators begin with."""
PEOPLE = "people"
"""The part of a payload that says how a comparison is put to people: `mode`, `view`, `verdicts`, `reliability`."""
CONDITIONS: tuple[str, ...] = get_args(Condition)

_put = object.__setattr__
"""Sets a field of a frozen value while it is born."""


def comparison_id(
    *,
    run: str,
    node: str,
    protocol: str,
    question: str,
    payload: Mapping[str, Any],
    budget: int,
    policy_versions: Mapping[str, str],
) -> str:
    """Names a comparison by its content, so that a replayed iteration asks for the same name.

    Args:
        run: key of the run; two runs never share a comparison.
        node: name of the node whose outputs are compared.
        protocol: name of the protocol that asks.
        question: the question as the evaluator reads it.
        payload: what is shown; see `Comparison`.
        budget: readings that the evaluator may use on both outputs together.
        policy_versions: version of every policy that had a part in the question.

    Returns:
        The first 32 hexadecimal digits of a SHA-256 over canonical JSON.

    Raises:
        StoreError: the payload is not JSON-able.
    """
    shared: dict[str, Any] = {"node": node, "protocol": protocol, "question": question, "budget": budget}
    return comparison_ids([payload], run=run, policy_versions=policy_versions, **shared)[0]


def comparison_ids(
    payloads: Iterable[Mapping[str, Any]],
    *,
    run: str,
    node: str,
    protocol: str,
    question: str,
    budget: int,
    policy_versions: Mapping[str, str],
) -> list[str]:
    """Names a batch of comparisons that differ in their payloads only; see `comparison_id`.

    What they share is hashed once. Arguments and errors are those of `comparison_id`.

    Returns:
        One name a payload, in order.
    """
    head = {
        "run": run,
        "node": node,
        "protocol": protocol,
        "question": question,
        "budget": operator.index(budget),
        "policy_versions": dict(policy_versions),
    }
    # Neither JSON text holds a raw line break, which keeps the two apart.
    shared = hashlib.sha256(canonical_json(head, "what the comparisons share") + b"\n")
    names = []
    for payload in payloads:
        digest = shared.copy()
        digest.update(canonical_json(payload, "payload"))
        names.append(digest.hexdigest()[:ID_LENGTH])
    return names


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """A question: which of two outputs is better?

    Attributes:
        id: content hash from `comparison_id`, 32 hexadecimal digits.
        node: name of the node whose outputs are compared.
        protocol: name of the protocol that asks.
        question: the question as the evaluator reads it.
        payload: JSON-able: references of inputs and outputs, their ready-rendered faces, and the claims
            (author, version, place, value, turn, asserted). What is written here names the question, so
            references must pin down the outputs. It is encoded once at birth: later changes to the dictionary
            are not stored.
        fields: what only a labelling server reads, or None; see `rewardtree.tasks.board`. Not part of the name.
        budget: readings that the evaluator may use on both outputs together.
        policy_versions: version of every policy that had a part in the question.
        priority: the higher, the earlier it is given out.
        slots: number of labellers that it may be given to; 0 where only synchronous evaluators answer.
        purpose: `training`; `gold` where the answer is known; `repeat` where a labeller is asked again.
        original: id of the comparison that this one repeats; only who answered that one is given this one.
        known: of a gold comparison, the probability that the first is better; no learner sees it.
        shadow: a simulated evaluator's probability that the first is better, to compare people with; no label.

    Raises:
        StoreError: a value is out of range or the payload is not JSON-able.
    """

    id: str
    node: str
    protocol: str
    question: str
    payload: dict[str, Any]
    fields: bytes | None = None
    budget: int
    policy_versions: dict[str, str]
    priority: float = 0.0
    slots: int = 1
    purpose: Purpose = "training"
    original: str | None = None
    known: float | None = None
    shadow: float | None = None
    encoded: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Checks the values and encodes the payload."""
        check_id(self.id)
        check_name("node", self.node)
        check_name("protocol", self.protocol)
        check_text("question", self.question)
        if not isinstance(self.payload, dict):
            raise StoreError(f"payload is a {type(self.payload).__name__}; give a dictionary")
        if self.fields is not None and not isinstance(self.fields, bytes):
            raise StoreError(f"fields are a {type(self.fields).__name__}; give bytes or None")
        check_versions(self.policy_versions)
        _put(self, "budget", count("budget", self.budget))
        _put(self, "slots", count("slots", self.slots))
        _put(self, "priority", finite("priority", self.priority))
        if self.purpose not in PURPOSES:
            raise StoreError(f"purpose is {self.purpose!r}; give one of {', '.join(PURPOSES)}")
        if (self.original is not None) != (self.purpose == "repeat"):
            raise StoreError("a repeat names its original, and nothing else does; give both or neither")
        for name in ("known", "shadow"):
            if getattr(self, name) is not None:
                _put(self, name, at_least_0(name, getattr(self, name)))
        _put(self, "encoded", canonical_json(self.payload, "payload"))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Given:
    """What every kind of feedback has in common; see `Preference` for the meaning of each."""

    evaluator: str
    seconds: float = 0.0
    readings: int = 0
    condition: Condition = "unaided"
    weight: float = 1.0
    time: float = field(default_factory=time.time)
    policy_versions: dict[str, str] = field(default_factory=dict)
    rationale: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Preference(_Given):
    """An answer to a comparison.

    Attributes:
        comparison: id of the comparison.
        probability: probability that the first output is better, in [0, 1]; None means "can't tell". First
            and second are the comparison's own, however they were displayed.
        evaluator: name of the person, simulation or judge.
        seconds: time spent.
        readings: readings used, of both outputs together.
        claims_seen: positions, in the payload's list of claims, of the claims that were opened.
        swapped: True if the second output was displayed first.
        condition: `unaided` (no claims), `assisted` (claims from the start) or `revised` (claims after a
            first answer).
        weight: weight in a fit, at least 0.
        time: seconds since 1970 (UTC).
        policy_versions: versions of the policies behind the evaluator or its helpers, where there are any.
        rationale: the evaluator's reason in its own words, may be empty.

    Raises:
        StoreError: a value is out of range.
    """

    kind: ClassVar[str] = "comparison"
    comparison: str
    probability: float | None
    claims_seen: tuple[int, ...] = ()
    swapped: bool = False

    def __post_init__(self) -> None:
        """Checks the values."""
        _check_given(self)
        check_id(self.comparison)
        if self.probability is not None:
            probability = finite("probability", self.probability)
            if not 0.0 <= probability <= 1.0:
                raise StoreError(f"probability is {probability}; give a number in [0, 1], or None for can't tell")
            _put(self, "probability", probability)
        if self.claims_seen:
            _put(self, "claims_seen", positions(self.claims_seen))
        _put(self, "swapped", bool(self.swapped))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Remark(_Given):
    """What feedback on one output has in common.

    Attributes:
        node: name of the node.
        protocol: name of the protocol.
        subject: reference of the input and output that it is about (of the input, for a demonstration).
    """

    node: str
    protocol: str
    subject: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Rating(_Remark):
    """A number for one output.

    Attributes:
        value: the higher, the better; any finite number.

    Raises:
        StoreError: a value is out of range.
    """

    kind: ClassVar[str] = "rating"
    value: float

    def __post_init__(self) -> None:
        """Checks the values."""
        _check_remark(self)
        _put(self, "value", finite("value", self.value))


@dataclass(frozen=True, kw_only=True, slots=True)
class Critique(_Remark):
    """What is wrong with one output, in words.

    Attributes:
        text: the critique.
        place: the part of the output that it points at, or None for the whole.

    Raises:
        StoreError: a value is out of range.
    """

    kind: ClassVar[str] = "critique"
    text: str
    place: str | None = None

    def __post_init__(self) -> None:
        """Checks the values."""
        _check_remark(self)
        check_text("text", self.text)
        if self.place is not None:
            check_text("place", self.place)


@dataclass(frozen=True, kw_only=True, slots=True)
class Demonstration(_Remark):
    """An output that the evaluator made for an input.

    Attributes:
        output: the output, JSON-able.

    Raises:
        StoreError: a value is out of range or the output is not JSON-able.
    """

    kind: ClassVar[str] = "demonstration"
    output: dict[str, Any]

    def __post_init__(self) -> None:
        """Checks the values."""
        _check_remark(self)
        if not isinstance(self.output, dict):
            raise StoreError(f"output is a {type(self.output).__name__}; give a dictionary")
        canonical_json(self.output, "output")


@dataclass(frozen=True, kw_only=True, slots=True)
class StepLabel(_Remark):
    """A number for one part of an output (Lightman et al. 2023, arXiv 2305.20050, section 2.4).

    Attributes:
        part: address of the part.
        value: the higher, the better; any finite number.

    Raises:
        StoreError: a value is out of range.
    """

    kind: ClassVar[str] = "step"
    part: str
    value: float

    def __post_init__(self) -> None:
        """Checks the values."""
        _check_remark(self)
        check_text("part", self.part)
        _put(self, "value", finite("value", self.value))


Remark: TypeAlias = Rating | Critique | Demonstration | StepLabel
Feedback: TypeAlias = Preference | Remark
REMARKS: dict[str, type[Remark]] = {cls.kind: cls for cls in (Rating, Critique, Demonstration, StepLabel)}


@dataclass(frozen=True, kw_only=True, slots=True)
class LedgerRow:
    """What one evaluator gave to one node of one protocol under one condition.

    Attributes:
        protocol: name of the protocol.
        node: name of the node.
        evaluator: name of the evaluator.
        condition: `unaided`, `assisted` or `revised`.
        labels: answered comparisons, abstentions among them.
        abstentions: answers "can't tell".
        readings: readings used.
        seconds: time spent.
        demonstrations: demonstrations given.
        verdicts: judgements of one output or part: ratings, critiques and step labels.
    """

    protocol: str
    node: str
    evaluator: str
    condition: str
    labels: int
    abstentions: int
    readings: int
    seconds: float
    demonstrations: int
    verdicts: int


def remark_details(remark: Remark) -> dict[str, Any]:
    """Returns the fields that only this kind of remark has, by name."""
    shared = {f.name for f in dataclasses.fields(_Remark)}
    return {f.name: getattr(remark, f.name) for f in dataclasses.fields(remark) if f.name not in shared}


def _check_given(given: _Given) -> None:
    check_name("evaluator", given.evaluator)
    if given.condition not in CONDITIONS:
        raise StoreError(f"condition is {given.condition!r}; give one of {', '.join(CONDITIONS)}")
    if given.rationale != "":
        check_text("rationale", given.rationale)
    if given.policy_versions != {}:
        check_versions(given.policy_versions)
    # Tens of thousands are born at once: what is right already is not looked at again.
    if type(given.readings) is not int or not 0 <= given.readings <= LARGEST_COUNT:
        _put(given, "readings", count("readings", given.readings))
    for name in ("seconds", "weight", "time"):
        number = getattr(given, name)
        if type(number) is not float or not 0.0 <= number < math.inf:
            _put(given, name, at_least_0(name, number))


def _check_remark(remark: _Remark) -> None:
    _check_given(remark)
    check_name("node", remark.node)
    check_name("protocol", remark.protocol)
    check_name("subject", remark.subject)
