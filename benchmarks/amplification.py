"""What amplification reaches, beside supervised learning from right answers, on the five algorithmic tasks.

The comparison of Christiano et al. 2018 (arXiv 1810.08575), section 3, at small sizes: how often the network's answers
to the root's questions are right at the end of the curriculum, on held-out worlds; questions that it was trained on;
human demonstrations; seconds of computing. Supervised learning may take as many updates as amplification did.
Run with OMP_NUM_THREADS=1.
"""

import argparse
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from rewardtree.domains.algorithms.domain import DOMAIN, FAMILIES, family_of
from rewardtree.evaluators.simulated import Bounds
from rewardtree.preferences import open_store
from rewardtree.protocols import amplification, supervised
from rewardtree.protocols.scheme import Scheme
from rewardtree.protocols.setting import Setting
from rewardtree.tasks.decomposition import one_each, truth
from rewardtree.tree.checkpoint import folder, load_weights
from rewardtree.tree.domain import Settings
from rewardtree.tree.node import Budget

SCHEMES: Mapping[str, Scheme] = {"amplification": amplification.SCHEME, "supervised": supervised.SCHEME}
ROUNDS = 2
QUESTIONS = 4000
"""Held-out questions, one a world."""


@dataclass(frozen=True, kw_only=True)
class Reached:
    """What one training came to; `stages` of the curriculum were passed of so many."""

    agreement: float
    updates: int
    questions: int
    stages: str
    demonstrations: int
    seconds: float


def reached(scheme: Scheme, options: Mapping[str, object], seed: int, updates: int) -> Reached:
    """Train by a scheme, in `updates` of each level and round at most, and compare the answers with the right ones."""
    budget = Budget(iterations=ROUNDS, labels=500)
    settings = Settings(
        seed=seed, helper=budget, root=budget, bounds=Bounds(), updates=updates, helper_updates=updates, options=options
    )
    family = family_of(options)
    with tempfile.TemporaryDirectory() as place, open_store(Path(place) / "store.db") as store:
        setting = Setting(build=DOMAIN.build, settings=settings, store=store, out=Path(place), decomposition=family)
        start = time.process_time()
        outcome = scheme.run(setting)
        seconds = time.process_time() - start
        root, stages = outcome.tree.root, amplification.curriculum(family)
        records = [load_weights(folder(setting.out, scheme.name, root, number)) for number in range(len(stages))]
        demonstrations = sum(row.demonstrations for row in store.ledger())
    done = [record for _, record in filter(None, records)]
    asked = one_each(family, np.random.default_rng(1810_08575), QUESTIONS, "test", family.depth)
    right = outcome.nodes[root].policy.answer(asked).value == truth(family, family.depth, asked)
    return Reached(
        agreement=float(right.mean()), updates=done[-1]["updates"], questions=done[-1]["questions"],
        stages=f"{sum(record['passed'] for record in done)}/{len(stages)}", demonstrations=demonstrations,
        seconds=seconds,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--depth", type=int, default=3)
    parser.add_argument("--updates", type=int, default=1200, help="of a level and round, in two rounds")
    parser.add_argument("--tasks", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(f"depth {given.depth}, {given.seeds} seeds; agreement with right answers to {QUESTIONS} test questions")
    print(f"{'task':13}{'scheme':15}{'seed':>5}{'agreement':>11}{'updates':>9}{'questions':>11}"
          f"{'stages':>8}{'demonstrations':>16}{'CPU s':>7}")  # fmt: skip
    for task in given.tasks:
        for seed in range(given.seeds):
            updates = given.updates
            for name, scheme in SCHEMES.items():
                found = reached(scheme, {"task": task, "depth": given.depth}, seed, updates)
                updates = -(-found.updates // (ROUNDS * (given.depth + 1)))
                print(f"{task:13}{name:15}{seed:5}{found.agreement:11.4f}{found.updates:9}{found.questions:11}"
                      f"{found.stages:>8}{found.demonstrations:16}{found.seconds:7.0f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
