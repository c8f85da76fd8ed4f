"""People's answers as flat rows, and rows as comparisons and answers."""

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from rewardtree.errors import StoreError
from rewardtree.preferences.checks import canonical_json
from rewardtree.preferences.exchange_files import Kind, Row
from rewardtree.preferences.records import Answer, Records
from rewardtree.preferences.values import PERSON, Comparison, Preference

COLUMNS: Mapping[str, Kind] = {
    "run": "text", "comparison": "text", "node": "text", "protocol": "text", "question": "text", "budget": "whole",
    "priority": "real", "slots": "whole", "purpose": "text", "original": "text", "known": "real", "shadow": "real",
    "mode": "text", "view": "text", "claims": "whole", "verdicts": "text", "labeller": "text", "condition": "text",
    "probability": "real", "swapped": "yes", "seconds": "real", "readings": "whole", "claims_seen": "wholes",
    "rationale": "text", "time": "real", "withdrawn": "yes", "policy_versions": "text", "payload": "text",
    "fields": "bytes",
}  # fmt: skip
"""Columns of an exported row and their types; docs/labels.md says what each means."""
PREFERENCES: Mapping[str, Kind] = {
    "prompt": "any", "chosen": "any", "rejected": "any", "margin": "real", "probability": "real",
    "comparison": "text", "node": "text", "labeller": "text", "raters": "whole",
}  # fmt: skip
"""Columns of a row of prompt, chosen and rejected: texts, or conversations."""
NEEDED = ("run", "comparison", "node", "protocol", "question", "budget", "policy_versions", "payload")
ANSWERED = (
    "condition", "probability", "swapped", "seconds", "readings", "claims_seen", "rationale", "time", "withdrawn",
)  # fmt: skip
_OF_ANSWER = (*ANSWERED, "labeller", "mode", "view", "claims")


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """An answer that a row holds.

    Attributes:
        preference: the answer.
        withdrawn: whether it was taken back.
    """

    preference: Preference
    withdrawn: bool = False


def rows_of(
    records: Records, comparisons: Mapping[str, tuple[str, Comparison]], *, boards: bool, unanswered: bool
) -> Iterator[dict[str, Any]]:
    """One row an answer, in the order of the records.

    Args:
        records: the answers.
        comparisons: name of the run, and comparison, by id.
        boards: whether to write what people were shown, in the first row of each comparison.
        unanswered: whether comparisons without an answer get a row without a labeller, at the end.
    """
    shown: set[str] = set()

    def described(run: str, asked: Comparison) -> dict[str, Any]:
        board = asked.fields if boards and asked.id not in shown else None
        shown.add(asked.id)
        return {
            "run": run, "comparison": asked.id, "node": asked.node, "protocol": asked.protocol,
            "question": asked.question, "budget": asked.budget, "priority": asked.priority, "slots": asked.slots,
            "purpose": asked.purpose, "original": asked.original, "known": asked.known, "shadow": asked.shadow,
            "policy_versions": canonical_json(asked.policy_versions).decode(), "payload": asked.encoded.decode(),
            "fields": board,
        }  # fmt: skip

    empty = dict.fromkeys(COLUMNS)
    for answer in records.answers:
        run, asked = comparisons[answer.comparison]
        given = {name: getattr(answer, name) for name in _OF_ANSWER}
        given |= {"claims_seen": list(answer.claims_seen), "verdicts": canonical_json(dict(answer.verdicts)).decode()}
        yield empty | described(run, asked) | given
    if unanswered:
        for run, asked in comparisons.values():
            if asked.id not in shown:
                yield empty | described(run, asked)


def comparison_in(row: Row) -> Comparison:
    """The comparison that a row describes.

    Raises:
        StoreError: the row lacks a column, or a value cannot be one.
    """
    for name in NEEDED:
        if row.get(name) is None:
            raise StoreError(f"has no {name}; export the file again with `rewardtree labels export`")
    fields = row.get("fields")
    return Comparison(
        id=row["comparison"],
        node=row["node"],
        protocol=row["protocol"],
        question=row["question"],
        payload=_dictionary(row, "payload"),
        fields=_bytes(fields) if isinstance(fields, str) else fields,
        budget=row["budget"],
        policy_versions=_dictionary(row, "policy_versions"),
        priority=_or(row, "priority", 0.0),
        slots=_or(row, "slots", 1),
        purpose=_or(row, "purpose", "training"),
        original=row.get("original"),
        known=row.get("known"),
        shadow=row.get("shadow"),
    )


def answer_in(row: Row, versions: dict[str, str]) -> Given | None:
    """The answer that a row holds; None where it holds only a comparison.

    Args:
        row: the row.
        versions: of the policies behind the comparison.

    Raises:
        StoreError: the row lacks a column, or a value cannot be one.
    """
    labeller = row.get("labeller")
    if labeller is None:
        return None
    if not isinstance(labeller, str) or not labeller:
        raise StoreError(f"labeller is {labeller!r}; give a name, or null where nobody answered")
    for name in ANSWERED:
        if name not in row:
            raise StoreError(f"has no {name}; export the file again with `rewardtree labels export`")
    for name in ("swapped", "withdrawn"):
        if not isinstance(row[name], bool):
            raise StoreError(f"{name} is {row[name]!r}; give true or false")
    if not isinstance(row["claims_seen"], list):
        raise StoreError(f"claims_seen is {row['claims_seen']!r}; give a list of positions, which may be empty")
    preference = Preference(
        comparison=row["comparison"],
        probability=row["probability"],
        evaluator=PERSON + labeller,
        seconds=row["seconds"],
        readings=row["readings"],
        claims_seen=tuple(row["claims_seen"]),
        swapped=row["swapped"],
        condition=row["condition"],
        time=row["time"],
        policy_versions=versions,
        rationale=row["rationale"],
    )
    return Given(preference=preference, withdrawn=row["withdrawn"])


def preference_rows(
    records: Records,
    comparisons: Mapping[str, tuple[str, Comparison]],
    *,
    aggregated: Mapping[str, float] | None = None,
    ties: bool = False,
    least_margin: float = 0.0,
) -> Iterator[dict[str, Any]]:
    """Rows of prompt, chosen and rejected, as TRL's RewardTrainer and DPOTrainer read them.

    `probability` is that the chosen one is better, `margin` 2 probability - 1: 1 for a clear answer, 0.5 for
    "slightly", 0 for a tie. Prompts and outputs are texts, or
    conversations where all are; what is neither is written as JSON. Known comparisons and repeats are left out (they
    are there to measure people), and so is whoever can't tell.

    Args:
        records: the answers; of an answer and its revision the revision counts.
        comparisons: name of the run, and comparison, by id.
        aggregated: probabilities by comparison: one row a comparison; None for one row an answer.
        ties: whether to keep ties; which output stands as chosen says nothing then.
        least_margin: leave out what has less.
    """
    kept = [(given, comparisons[given.comparison][1]) for given in _final(records) if given.purpose == "training"]
    conversations = all(is_conversation(value) for _, asked in kept for value in _shown(asked))
    as_written = _itself if conversations and kept else text_of
    raters: dict[str, int] = {}
    for given, asked in kept:
        raters[asked.id] = raters.get(asked.id, 0) + (given.probability is not None)
    found: list[tuple[float, str | None, Comparison]]
    if aggregated is not None:
        first = {asked.id: asked for _, asked in kept if asked.id in aggregated}
        found = [(aggregated[name], None, asked) for name, asked in first.items()]
    else:
        found = [(given.probability, given.labeller, asked) for given, asked in kept if given.probability is not None]
    for probability, labeller, asked in found:
        margin = abs(2 * probability - 1)
        if margin < least_margin or (margin == 0 and not ties):
            continue
        prompt, one, other = (as_written(value) for value in _shown(asked))
        chosen, rejected = (one, other) if probability >= 0.5 else (other, one)
        yield {
            "prompt": prompt, "chosen": chosen, "rejected": rejected, "margin": margin,
            "probability": max(probability, 1 - probability), "comparison": asked.id, "node": asked.node,
            "labeller": labeller, "raters": raters[asked.id],
        }  # fmt: skip


def is_conversation(value: object) -> bool:
    """Whether a value is a list of messages, each with a role and content."""
    if not isinstance(value, list) or not value:
        return False
    parts = [one.get(name) for one in value if isinstance(one, dict) for name in ("role", "content")]
    return len(parts) == 2 * len(value) and all(isinstance(part, str) for part in parts)


def text_of(value: object) -> str:
    """A value as people can read it: a text as it is, a conversation with its roles, anything else as JSON."""
    if isinstance(value, str):
        return value
    if is_conversation(value):
        assert isinstance(value, list)
        return "\n\n".join(f"{message['role']}: {message['content']}" for message in value)
    return canonical_json(value).decode()


def _itself(value: Any) -> Any:
    return value


def _shown(asked: Comparison) -> tuple[Any, Any, Any]:
    """Prompt, first and second output, as the payload has them."""
    payload = asked.payload
    prompt = payload.get("prompt", payload.get("input", asked.question))
    return prompt, payload.get("first"), payload.get("second")


def _final(records: Records) -> Sequence[Answer]:
    """Each labeller's last word on each comparison; a first of two answers is none."""
    latest: dict[tuple[str, str], Answer] = {}
    for given in sorted(records.answers, key=lambda given: (given.condition == "revised", given.time)):
        if not given.withdrawn and not (given.mode == "revise" and given.condition == "unaided"):
            latest[given.comparison, given.labeller] = given
    return sorted(latest.values(), key=lambda given: (given.comparison, given.time))


def _or(row: Row, name: str, otherwise: Any) -> Any:
    value = row.get(name)
    return otherwise if value is None else value


def _dictionary(row: Row, name: str) -> dict[str, Any]:
    value: Any = row[name]
    if isinstance(value, str):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError as error:
            raise StoreError(f"{name} is no JSON; give a dictionary, or one as JSON text") from error
    if not isinstance(value, dict):
        raise StoreError(f"{name} is a {type(value).__name__}; give a dictionary, or one as JSON text")
    return value


def _bytes(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except (Base64Error, ValueError) as error:
        raise StoreError("fields are not base64; export the file again") from error
