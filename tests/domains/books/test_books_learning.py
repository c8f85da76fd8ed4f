"""Imitation and then comparisons at each height make summaries of a book that nothing trained on tell more."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from rewardtree.domains.books.domain import DOMAIN, library_of
from rewardtree.domains.books.measuring import measured, writers
from rewardtree.evaluators.simulated import Bounds
from rewardtree.preferences import open_store
from rewardtree.protocols import book_summaries
from rewardtree.protocols.setting import Setting
from rewardtree.tree.domain import Settings
from rewardtree.tree.node import Budget


def test_every_stage_tells_more_of_a_book_that_nothing_trained_on(long_books: Path, tmp_path: Path) -> None:
    settings = Settings(
        seed=0, helper=Budget(iterations=1, labels=100), root=Budget(iterations=1, labels=60), bounds=Bounds(budget=4),
        helper_updates=30, updates=15, options={"books": str(long_books), "fan": 4},
    )  # fmt: skip
    with open_store(tmp_path / "store.db") as store:
        setting = Setting(
            build=DOMAIN.build, settings=settings, store=store, out=tmp_path, demonstrations=40, schedule="interleaved"
        )
        begun = book_summaries.cloned(setting)["summariser"]
        nodes = book_summaries.run(setting).nodes
        ledger = {(row.protocol, row.node): row for row in store.ledger()}
        again = book_summaries.cloned(replace(setting, start={}))["summariser"]
    assert all(torch.equal(again.weights[name], value) for name, value in begun.weights.items())
    for height in range(3):
        assert ledger["behavioural_cloning", f"height_{height}"].demonstrations == 40
        assert ledger["book_summaries", f"height_{height}"].labels == (60 if height == 2 else 100)
    policies = {name: node.policy for name, node in nodes.items()}
    assert len({id(policy) for policy in policies.values()}) == 1
    root = nodes["height_2"]
    stages = {"untrained": root.untrained, "imitation": begun, "trained": root.policy}
    found = measured(library_of(settings), "test", writers(stages, 0), frozenset({"trained"}))
    assert list(found) == ["height_0", "height_1", "book", "d_made_up"]
    assert "trained, at once" in found["book"]
    for measure in ("told", "told_of_held_out"):
        for where, margin in (("height_0", 0.03), ("height_1", 0.03)):
            told = {who: float(np.mean(rows[measure])) for who, rows in found[where].items()}
            assert told["trained"] > max(told["untrained"], told["imitation"]) + margin, (where, measure, told)
