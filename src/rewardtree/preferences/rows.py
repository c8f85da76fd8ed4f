"""Values to rows of the tables and back."""

import hashlib
from collections.abc import Mapping
from typing import Any, TypeAlias

import orjson

from rewardtree.preferences.checks import ID_LENGTH, canonical_json
from rewardtree.preferences.values import PEOPLE, REMARKS, Comparison, Feedback, Preference, Remark, remark_details

Row: TypeAlias = dict[str, Any]
"""What is written into a table, by column."""

Found: TypeAlias = Any
"""What a query gave. SQLAlchemy's own type for it cannot be checked at run time."""

_ASKED = ("purpose", "original", "known", "shadow")
_COMMON = ("evaluator", "condition", "seconds", "readings", "weight", "time")


def comparison_row(run: int, comparison: Comparison) -> Row:
    """Returns the row of a comparison nobody has answered."""
    return {
        "run": run,
        "id": comparison.id,
        "node": comparison.node,
        "protocol": comparison.protocol,
        "budget": comparison.budget,
        "priority": comparison.priority,
        "slots": comparison.slots,
        "slots_left": comparison.slots,
        "policy_versions": canonical_json(comparison.policy_versions, "policy_versions").decode(),
        "question": comparison.question,
        "payload": comparison.encoded.decode(),
        "fields": comparison.fields,
        **{name: getattr(comparison, name) for name in _ASKED},
    }


def comparison_of(row: Found) -> Comparison:
    """Returns the comparison of a row of the comparison table."""
    return Comparison(
        id=row.id,
        node=row.node,
        protocol=row.protocol,
        question=row.question,
        payload=orjson.loads(row.payload),
        fields=None if row.fields is None else bytes(row.fields),
        budget=row.budget,
        policy_versions=orjson.loads(row.policy_versions),
        priority=row.priority,
        slots=row.slots,
        **{name: getattr(row, name) for name in _ASKED},
    )


def preference_row(
    run: int, preference: Preference, asked: Found, *, lease: int | None = None, attempt: int = 0
) -> Row:
    """Returns the feedback row of a preference.

    Args:
        run: number of the run.
        preference: the answer.
        asked: `seq`, `node` and `protocol` of its comparison.
        lease: number of the lease that it was answered under, or None.
        attempt: how many answers of this evaluator under this condition were taken back.
    """
    details = {
        "claims_seen": preference.claims_seen,
        "policy_versions": preference.policy_versions,
        "rationale": preference.rationale,
    }
    return {
        "run": run,
        "kind": preference.kind,
        "node": asked.node,
        "protocol": asked.protocol,
        "comparison": asked.seq,
        "lease": lease,
        "attempt": attempt,
        "digest": None,
        "probability": preference.probability,
        "swapped": preference.swapped,
        "details": canonical_json(details, "details").decode(),
        **{name: getattr(preference, name) for name in _COMMON},
    }


def remark_row(run: int, remark: Remark) -> Row:
    """Returns the feedback row of a rating, critique, demonstration or step label.

    Its digest covers everything but the time and seconds, so recording it again changes nothing.
    """
    details = canonical_json(
        {
            "subject": remark.subject,
            "policy_versions": remark.policy_versions,
            "rationale": remark.rationale,
            "own": remark_details(remark),
        },
        "details",
    )
    told_apart_by = [remark.kind, remark.node, remark.protocol, remark.evaluator, remark.condition]
    digest = hashlib.sha256(canonical_json(told_apart_by) + b"\n" + details).hexdigest()[:ID_LENGTH]
    return {
        "run": run,
        "kind": remark.kind,
        "node": remark.node,
        "protocol": remark.protocol,
        "comparison": None,
        "lease": None,
        "attempt": 0,
        "digest": digest,
        "probability": None,
        "swapped": False,
        "details": details.decode(),
        **{name: getattr(remark, name) for name in _COMMON},
    }


def feedback_of(row: Found) -> Feedback:
    """Returns the feedback of a row of the feedback table that also has the comparison's `id`."""
    details = orjson.loads(row.details)
    if row.kind == Preference.kind:
        return Preference(
            comparison=row.id,
            probability=row.probability,
            evaluator=row.evaluator,
            seconds=row.seconds,
            readings=row.readings,
            claims_seen=tuple(details["claims_seen"]),
            swapped=row.swapped,
            condition=row.condition,
            weight=row.weight,
            time=row.time,
            policy_versions=details["policy_versions"],
            rationale=details["rationale"],
        )
    common = {name: getattr(row, name) for name in _COMMON}
    return REMARKS[row.kind](
        node=row.node,
        protocol=row.protocol,
        subject=details["subject"],
        policy_versions=details["policy_versions"],
        rationale=details["rationale"],
        **details["own"],
        **common,
    )


def mode_of(payload: Mapping[str, Any]) -> str:
    """Whether a comparison shows people claims: `assisted`, `unaided` or `revise`."""
    return str(payload.get(PEOPLE, {}).get("mode", "assisted"))


def claims_in(payload: Mapping[str, Any]) -> int:
    """How many claims a comparison shows, of both outputs."""
    sides = (payload.get(side) for side in ("first", "second"))
    return sum(len(side.get("claims", ())) for side in sides if isinstance(side, dict))
