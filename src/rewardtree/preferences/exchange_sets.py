"""Comparisons that exist elsewhere, as questions that people can be asked: a prompt and two texts."""

import hashlib
from dataclasses import dataclass
from typing import Any

from rewardtree.errors import StoreError
from rewardtree.preferences.checks import canonical_json
from rewardtree.preferences.exchange_files import Row
from rewardtree.preferences.exchange_rows import Given, is_conversation, text_of
from rewardtree.preferences.values import PEOPLE, PERSON, Comparison, Preference, comparison_id
from rewardtree.tasks.board import Board, Shown, ShownSide, pack

PAIRS = (("chosen", "rejected"), ("a", "b"), ("response_a", "response_b"), ("first", "second"))
"""Names of the two outputs' columns, of which a set has one pair."""
LABELS = {"a": 1.0, "first": 1.0, "response_a": 1.0, "b": 0.0, "second": 0.0, "response_b": 0.0, "tie": 0.5}
IMPORTED = "imported"
"""Evaluator of labels whose labeller is not named."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wishes:
    """How an imported set is put to people.

    Attributes:
        run: name of the run that it becomes.
        node: name of the node that its comparisons belong to.
        question: what people are asked.
        overlap: labellers a comparison.
        gold: whether the set's labels are known answers, to measure people by, and not somebody's answers.
    """

    run: str
    node: str = "imported"
    question: str = "Which answer is better?"
    overlap: int = 1
    gold: bool = False


def is_set(row: Row) -> bool:
    """Whether a row is a prompt with two outputs."""
    return any(one in row and other in row for one, other in PAIRS)


def question_in(row: Row, wishes: Wishes) -> tuple[Comparison, Given | None]:
    """The comparison that a row is, and its label as an answer if it has one.

    Which output becomes the first is drawn from the row's content, so that importing it again changes nothing and
    `chosen` is not always the first.

    Raises:
        StoreError: the row lacks an output, or its label cannot be one.
    """
    names = next((pair for pair in PAIRS if pair[0] in row and pair[1] in row), None)
    if names is None:
        raise StoreError("has no two outputs; name their columns chosen and rejected, or a and b")
    prompt, one, other = _split(row.get("prompt"), row[names[0]], row[names[1]])
    for name, value in zip(names, (one, other), strict=True):
        if not value or not isinstance(value, str | list | dict):
            raise StoreError(f"{name} is {value!r}; give a text or a list of messages")
    favour = _label(row, names)
    turned = bool(hashlib.sha256(canonical_json([prompt, one, other], "the row")).digest()[0] & 1)
    if turned:
        one, other, favour = other, one, None if favour is None else 1.0 - favour
    used = {"prompt", *names, "label", "labeller", "probability", "time"}
    more = {name: value for name, value in row.items() if name not in used and value is not None}
    payload: dict[str, Any] = {"prompt": prompt, "first": one, "second": other, PEOPLE: {"mode": "unaided"}}
    asked = _comparison(payload | ({"more": more} if more else {}), favour if wishes.gold else None, wishes)
    if favour is None or wishes.gold:
        return asked, None
    labeller = row.get("labeller")
    if labeller is not None and (not isinstance(labeller, str) or not labeller):
        raise StoreError(f"labeller is {labeller!r}; give a name, or leave the column out")
    answer = Preference(
        comparison=asked.id,
        probability=favour,
        evaluator=IMPORTED if labeller is None else PERSON + labeller,
        time=row.get("time") or 0.0,
    )
    return asked, Given(preference=answer)


def _comparison(payload: dict[str, Any], known: float | None, wishes: Wishes) -> Comparison:
    shared: dict[str, Any] = {
        "node": wishes.node, "protocol": IMPORTED, "question": wishes.question, "budget": 0, "policy_versions": {},
    }  # fmt: skip
    board = Shown(
        question=wishes.question,
        guide=text_of(payload["prompt"]) if payload["prompt"] else "",
        first=_side(payload["first"]),
        second=_side(payload["second"]),
    )
    return Comparison(
        id=comparison_id(run=wishes.run, payload=payload, **shared),
        payload=payload,
        fields=pack(board),
        slots=wishes.overlap,
        purpose="training" if known is None else "gold",
        known=known,
        **shared,
    )


def _side(value: object) -> ShownSide:
    text = text_of(value)
    return ShownSide(
        board=Board(kind="text", media_type="text/plain", data=text, alt=f"A text of {len(text.split())} words")
    )


def _split(prompt: Any, one: Any, other: Any) -> tuple[Any, Any, Any]:
    """Takes out the messages with which two conversations begin, where there is no prompt beside them."""
    if prompt or not (is_conversation(one) and is_conversation(other)):
        return prompt or "", one, other
    same = 0
    while same < min(len(one), len(other)) - 1 and one[same] == other[same]:
        same += 1
    return one[:same], one[same:], other[same:]


def _label(row: Row, names: tuple[str, str]) -> float | None:
    """The probability that the first of the two columns is better, or None."""
    probability, label = row.get("probability"), row.get("label")
    if probability is not None:
        if isinstance(probability, bool) or not isinstance(probability, int | float) or not 0 <= probability <= 1:
            raise StoreError(f"probability is {probability!r}; give the probability that {names[0]} is better")
        return float(probability)
    if label is None:
        return 1.0 if names == PAIRS[0] else None
    if names == PAIRS[0]:
        raise StoreError("has a label beside chosen and rejected; name the outputs a and b, or leave the label out")
    if not isinstance(label, str) or label.lower() not in LABELS:
        raise StoreError(f"label is {label!r}; give a, b or tie, or a number in the column probability")
    return LABELS[label.lower()]
