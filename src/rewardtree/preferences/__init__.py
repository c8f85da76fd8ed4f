"""Questions and answers: `Comparison`, `Preference` and the store between training and evaluators.

Training submits comparisons and collects preferences; evaluators answer either at once (`record`) or, as
people do, under a lease (`lease`, `answer`). A comparison is named by its content, so a replayed iteration
finds its answers. No answer that was stored is ever changed:

    >>> import tempfile
    >>> from pathlib import Path
    >>> folder = tempfile.TemporaryDirectory()
    >>> store = open_store(Path(folder.name) / "store.db", run="demo")
    >>> asked = dict(node="root", protocol="flat", question="Which is larger?", budget=2, policy_versions={})
    >>> payload = {"first": "3 + 4", "second": "2 + 2"}
    >>> name = comparison_id(run=store.run, payload=payload, **asked)
    >>> store.submit([Comparison(id=name, payload=payload, **asked)])
    1
    >>> store.record([Preference(comparison=name, probability=1.0, evaluator="simulated", readings=2)])
    1
    >>> store.submit([Comparison(id=name, payload=payload, **asked)])  # the same iteration, replayed
    0
    >>> store.answered([name])[name].probability
    1.0
    >>> [(row.node, row.labels, row.readings) for row in store.ledger()]
    [('root', 1, 2)]

A second comparison goes to a person, who answers with the token that came with it:

    >>> payload = {"first": "1 + 1", "second": "5 + 5"}
    >>> name = comparison_id(run=store.run, payload=payload, **asked)
    >>> store.submit([Comparison(id=name, payload=payload, **asked)])
    1
    >>> comparison, token = store.lease("ada")
    >>> answer = Preference(comparison=comparison.id, probability=0.0, evaluator="ada", seconds=4.5)
    >>> store.answer(token, answer), store.answer(token, answer)  # a double submit stores one answer
    (True, False)
    >>> [preference.probability for preference in store.collect("root", "flat")], store.pending("root")
    ([1.0, 0.0], 0)
    >>> store.close(); folder.cleanup()
"""

from rewardtree.preferences.checks import canonical_json
from rewardtree.preferences.store import Store, open_store
from rewardtree.preferences.values import (
    Comparison,
    Condition,
    Critique,
    Demonstration,
    Feedback,
    LedgerRow,
    Preference,
    Rating,
    Remark,
    StepLabel,
    comparison_id,
    comparison_ids,
)

__all__ = [
    "Comparison",
    "Condition",
    "Critique",
    "Demonstration",
    "Feedback",
    "LedgerRow",
    "Preference",
    "Rating",
    "Remark",
    "StepLabel",
    "Store",
    "canonical_json",
    "comparison_id",
    "comparison_ids",
    "open_store",
]
