"""From outputs to preferences: exhibits, comparisons in the store, and the evaluator's answers."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float

from rewardtree.errors import StoreError
from rewardtree.evaluators.simulated import Judgements
from rewardtree.preferences import Comparison, Preference, Store, comparison_ids
from rewardtree.preferences.rows import mode_of
from rewardtree.preferences.values import PERSON, Condition
from rewardtree.tasks.exhibit import Exhibit
from rewardtree.tasks.meter import Meter
from rewardtree.tasks.task import Task
from rewardtree.tree.sides import Manner, Side, pointed_at, shown_side


def exhibits(task: Task, inputs: Any, sides: tuple[Side, Side], budget: int | None) -> tuple[Exhibit, Exhibit]:
    """Both outputs of every comparison as an evaluator sees them, under one meter."""
    meter = Meter(len(inputs), budget=budget)
    views = [task.view(inputs, side.outputs, side.claims) for side in sides]
    manner = Manner(pointed=pointed_at(views, sides))
    shown = []
    for side, view in zip(sides, views, strict=True):
        shown.append(
            Exhibit(
                face=view.face,
                probes=view.probes,
                claims=side.claims,
                fields=view.fields,
                meter=meter,
                texts=view.texts,
                public=view.public,
                shared=view.shared,
                shown=partial(shown_side, task, inputs, side, view, manner=manner),
            )
        )
    return shown[0], shown[1]


def describe(
    task: Task,
    inputs: Any,
    sides: tuple[Side, Side],
    shown: tuple[Exhibit, Exhibit],
    *,
    run: str,
    protocol: str,
    place: str,
) -> list[Comparison]:
    """Comparisons as the store keeps them, named by their content.

    An unlimited budget is stored as 0, with the question saying so.

    Args:
        task: asks.
        inputs: one a comparison.
        sides: outputs and claims.
        shown: their exhibits.
        run: key of the run.
        protocol: name of the protocol.
        place: where in training this is asked; two iterations never share a comparison.
    """
    given, budget = inputs.digest(), shown[0].meter.budget
    records = [_record(side, exhibit) for side, exhibit in zip(sides, shown, strict=True)]
    payloads = [
        {"at": place, "row": row, "input": given[row], "first": records[0][row], "second": records[1][row]}
        for row in range(len(given))
    ]
    versions = {c.author: c.version for c in sides[0].claims.values()}
    question = f"Which is the better output of {task.name}?" + (" (unlimited readings)" if budget is None else "")
    shared: dict[str, Any] = {
        "node": task.name,
        "protocol": protocol,
        "question": question,
        "budget": budget or 0,
        "policy_versions": versions,
    }
    ids = comparison_ids(payloads, run=run, **shared)
    return [Comparison(id=i, payload=p, slots=0, **shared) for i, p in zip(ids, payloads, strict=True)]


def _record(side: Side, exhibit: Exhibit) -> list[dict[str, Any]]:
    outputs, face = side.outputs.digest(), np.round(exhibit.face, 6).tolist()
    said: list[list[dict[str, Any]]] = [[] for _ in outputs]
    for quantity, claim in side.claims.items():
        head = {
            "author": claim.author,
            "quantity": quantity,
            "turn": claim.turn,
            "asserted": not claim.revealed,
        }
        spans = [{}] * len(said) if claim.span is None else [{"span": span} for span in claim.span.tolist()]
        for row, (place, value) in enumerate(zip(claim.place.tolist(), claim.value.tolist(), strict=True)):
            said[row].append(head | {"place": place, "value": value} | spans[row])
    return [{"output": o, "face": f, "claims": c} for o, f, c in zip(outputs, face, said, strict=True)]


def keep(store: Store, evaluator: str, condition: Condition, comparisons: list[Comparison], judged: Judgements) -> None:
    """Store an evaluator's answers to those comparisons that have none yet."""
    answered = store.answered([c.id for c in comparisons])
    store.record(
        [
            Preference(
                comparison=comparison.id,
                probability=judged.told(row),
                evaluator=evaluator,
                readings=int(judged.readings[row]),
                claims_seen=tuple(range(int(judged.claims_seen[row]))),
                condition=condition,
                policy_versions=comparison.policy_versions,
                rationale=judged.rationales[row] if judged.rationales else "",
            )
            for row, comparison in enumerate(comparisons)
            if comparison.id not in answered
        ]
    )


def collect(store: Store, ids: list[str]) -> Float[np.ndarray, " comparisons"]:
    """Every comparison's probability that the first is better: the mean of those who can tell.

    Of whoever is to answer before and after claims are shown, the second answer counts. nan where nobody has answered
    yet, nobody can tell, or somebody reported it as broken.
    """
    answers: Mapping[str, list[Preference]] = store.answers(ids)
    if ids[0] not in answers and ids[-1] in answers and not store.comparisons(ids[:1]):
        raise StoreError("the store lacks this run's earlier comparisons; give the run the store that it began with")
    by_people = any(one.evaluator.startswith(PERSON) for given in answers.values() for one in given)
    broken = store.set_aside(ids) if by_people else set()
    found = opinions(store, {i: given for i, given in answers.items() if i not in broken})
    return np.array([found.get(i, np.nan) for i in ids])


def opinions(store: Store, answers: Mapping[str, list[Preference]]) -> dict[str, float]:
    """The mean probability that the first is better, of those who can tell; nan where nobody can.

    Args:
        store: has the comparisons, and with them who is to answer before and after claims are shown.
        answers: by the comparison's id.
    """
    first = [i for i, given in answers.items() if any(_came_first(one) for one in given)]
    asked = store.comparisons(first) if first else {}
    twice = {i for i in first if mode_of(asked[i].payload) == "revise"}
    return {
        i: _opinion([one for one in given if not (i in twice and _came_first(one))]) for i, given in answers.items()
    }


def _came_first(one: Preference) -> bool:
    """Whether a person said this without claims; where claims are shown after it, it does not count."""
    return one.evaluator.startswith(PERSON) and one.condition == "unaided"


def _opinion(given: list[Preference]) -> float:
    """The mean of each evaluator's last word."""
    last = {one.evaluator: one.probability for one in sorted(given, key=lambda one: one.condition == "revised")}
    told = [probability for probability in last.values() if probability is not None]
    return sum(told) / len(told) if told else float("nan")
