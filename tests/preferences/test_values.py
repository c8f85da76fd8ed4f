"""Values check themselves at birth, and a comparison's name depends on its content alone."""

import hashlib
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardtree.errors import StoreError
from rewardtree.preferences import (
    Comparison,
    Critique,
    Demonstration,
    Preference,
    Rating,
    StepLabel,
    canonical_json,
    comparison_id,
    comparison_ids,
)

ID = "0123456789abcdef" * 2
QUESTION = {
    "run": "r",
    "node": "root",
    "protocol": "flat",
    "question": "Which?",
    "payload": {"first": "a", "second": "b"},
    "budget": 3,
    "policy_versions": {"root": "1"},
}
ASKED = {key: value for key, value in QUESTION.items() if key != "run"}
REMARK = {"node": "root", "protocol": "flat", "subject": "a", "evaluator": "ada"}


def test_the_name_is_the_hash_of_canonical_json() -> None:
    head = {key: value for key, value in QUESTION.items() if key != "payload"}
    texts = [json.dumps(part, sort_keys=True, separators=(",", ":")) for part in (head, QUESTION["payload"])]
    expected = hashlib.sha256("\n".join(texts).encode()).hexdigest()[:32]
    assert comparison_id(**QUESTION) == expected


def test_the_name_does_not_depend_on_the_order_of_keys() -> None:
    turned = QUESTION | {"payload": {"second": "b", "first": "a"}}
    assert comparison_id(**turned) == comparison_id(**QUESTION)


@pytest.mark.parametrize(
    ("key", "other"),
    [
        ("run", "s"),
        ("node", "leaf"),
        ("protocol", "debate"),
        ("question", "What?"),
        ("payload", {"first": "b", "second": "a"}),
        ("budget", 4),
        ("policy_versions", {"root": "2"}),
    ],
)
def test_the_name_changes_with_everything_that_defines_the_question(key: str, other: object) -> None:
    assert comparison_id(**(QUESTION | {key: other})) != comparison_id(**QUESTION)


def test_a_batch_gets_the_names_that_its_members_get_alone() -> None:
    payloads = [{"i": i} for i in range(5)]
    shared = {key: value for key, value in QUESTION.items() if key != "payload"}
    alone = [comparison_id(payload=payload, **shared) for payload in payloads]
    assert comparison_ids(payloads, **shared) == alone
    assert len(set(alone)) == 5


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"id": "12"}, "comparison_id"),
        ({"id": ID.upper()}, "hexadecimal"),
        ({"node": ""}, "node"),
        ({"protocol": "a\0b"}, "NUL"),
        ({"question": "\ud800"}, "surrogate"),
        ({"budget": -1}, "budget"),
        ({"budget": 2**31}, "budget"),
        ({"slots": -1}, "slots"),
        ({"priority": math.nan}, "priority"),
        ({"payload": {"x": math.nan}}, "NaN"),
        ({"payload": {"x": [{"y": (1.0, -math.inf)}]}}, "infinity"),
        ({"payload": {"x": np.zeros(2)}}, "tolist"),
        ({"payload": {"x": np.float64(1)}}, "tolist"),
        ({"payload": {"x": 2**64}}, "payload"),
        ({"payload": {"x": "\udfff"}}, "payload"),
        ({"payload": {"x": b"bytes"}}, "payload"),
    ],
)
def test_a_comparison_refuses(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(StoreError, match=said):
        Comparison(**({"id": ID} | ASKED | wrong))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"comparison": "x"}, "hexadecimal"),
        ({"probability": 1.01}, "can't tell"),
        ({"probability": -0.01}, "can't tell"),
        ({"probability": math.nan}, "probability"),
        ({"evaluator": ""}, "evaluator"),
        ({"seconds": -1.0}, "seconds"),
        ({"seconds": math.inf}, "seconds"),
        ({"readings": -1}, "readings"),
        ({"weight": -0.1}, "weight"),
        ({"claims_seen": (0, -1)}, "claims_seen"),
        ({"rationale": "a\0"}, "NUL"),
        ({"policy_versions": {"helper": "\ud800"}}, "surrogate"),
    ],
)
def test_a_preference_refuses(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(StoreError, match=said):
        Preference(**({"comparison": ID, "probability": 0.5, "evaluator": "ada"} | wrong))


@pytest.mark.usefixtures("shapes_unchecked")
@pytest.mark.parametrize(
    "wrong",
    [
        {"probability": "1"},
        {"readings": 1.5},
        {"condition": "helped"},
        {"claims_seen": 3},
        {"policy_versions": None},
        {"evaluator": 3},
    ],
)
def test_a_preference_of_the_wrong_type_is_refused_in_words(wrong: dict[str, object]) -> None:
    with pytest.raises(StoreError, match=next(iter(wrong))):
        Preference(**({"comparison": ID, "probability": 0.5, "evaluator": "ada"} | wrong))


@pytest.mark.usefixtures("shapes_unchecked")
@pytest.mark.parametrize(
    "wrong", [{"payload": [1]}, {"payload": {1: 2}}, {"fields": "text"}, {"policy_versions": {"root": 1}}]
)
def test_a_comparison_of_the_wrong_type_is_refused_in_words(wrong: dict[str, object]) -> None:
    with pytest.raises(StoreError):
        Comparison(**({"id": ID} | ASKED | wrong))


def test_other_feedback_refuses_what_no_database_keeps() -> None:
    for kind, wrong in (
        (Rating, {"value": math.nan}),
        (Critique, {"text": "\0"}),
        (Critique, {"text": "", "place": "\0"}),
        (StepLabel, {"part": "1", "value": math.inf}),
        (StepLabel, {"part": "\0", "value": 1.0}),
        (Demonstration, {"output": {"x": math.nan}}),
        (Rating, {"value": 1.0, "subject": ""}),
    ):
        with pytest.raises(StoreError):
            kind(**(REMARK | wrong))


@pytest.mark.usefixtures("shapes_unchecked")
def test_numbers_from_numpy_become_plain() -> None:
    given_ = Preference(
        comparison=ID,
        probability=np.float64(0.25),
        evaluator="sim",
        readings=np.int64(2),  # type: ignore[arg-type]
        claims_seen=tuple(np.arange(2)),
        swapped=np.bool_(True),  # type: ignore[arg-type]
    )
    plain = [given_.probability, given_.readings, given_.claims_seen[0], given_.swapped]
    assert [type(value) for value in plain] == [float, int, int, bool]
    assert plain == [0.25, 2, 0, True]


def test_a_payload_is_taken_as_it_was_at_birth() -> None:
    payload = {"first": [1]}
    comparison = Comparison(**({"id": ID} | ASKED | {"payload": payload}))
    payload["first"].append(2)
    assert comparison.encoded == b'{"first":[1]}'


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=20,
)


@given(value=JSON)
def test_canonical_json_agrees_with_the_standard_library(value: object) -> None:
    body = canonical_json(value)
    assert json.loads(body) == value
    assert b"\n" not in body
