"""How many helper calls a second one core makes on the algorithmic tasks, beside the bare products of the same network.

A call answers one question about one world. Comparisons ask one question a world; a policy's updates ask all questions
of a level about each of some worlds, which takes no more passes: the network answers at every token. The floor is the
matrix products of all blocks that a level stands on, one after the other, on as many worlds.
Run with OMP_NUM_THREADS=1. The last line is JSON: by task and level, calls a second and the ratio to the floor.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from rewardtree.domains.algorithms.domain import FAMILIES
from rewardtree.policies.naming import WORLDS, Fitting, NamingLearner, NamingPolicy
from rewardtree.policies.transformer import HEADS, grown
from rewardtree.tasks.decomposition import Questions, everything, one_each
from rewardtree.tasks.levels import LevelTask
from rewardtree.tasks.task import Question
from rewardtree.tree.stand_ins import trained

HELD = 256
"""Worlds that helpers are asked about at a time."""
REPEATS = 15


def seconds(run: Callable[[], Any]) -> float:
    """The median of several runs after one to warm up."""
    run()
    taken = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        run()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def products(learner: NamingLearner, worlds: int, tokens: int) -> Callable[[], Any]:
    """The bare products of one pass up to the learner's level: of every block, its answers among them."""
    wide, names, rows = learner.width, learner.task.family.names, worlds * tokens
    shapes = [(wide, 3 * wide), (wide, wide), (wide, 4 * wide), (4 * wide, wide)] * learner.layers
    answers = [(wide, wide), (wide, names)]
    linear = [(torch.randn(rows, k), torch.randn(k, n)) for k, n in shapes + answers]
    between = [(torch.randn(rows, names), torch.randn(names, wide)), (torch.randn(rows, wide), torch.randn(wide, wide))]
    batch, part = worlds * HEADS, wide // HEADS
    scores = torch.randn(batch, tokens, part), torch.randn(batch, part, tokens)
    mixed = torch.randn(batch, tokens, tokens), torch.randn(batch, tokens, part)

    def run() -> None:
        for block in range(learner.task.level + 1):
            for a, b in linear + (between if block else []):
                torch.mm(a, b)
            for _ in range(learner.layers):
                torch.bmm(*scores)
                torch.bmm(*mixed)

    return run


def fresh(asked: Questions) -> Questions:
    """The same questions about worlds of which nothing has been worked out."""
    return replace(asked, worlds=replace(asked.worlds, notes={}))


def measured(name: str, depth: int, level: int) -> dict[str, float]:
    """Calls a second, one and all questions a world, and an update, each over its floor."""
    rng = np.random.default_rng(0)
    family = FAMILIES[name](depth=depth)
    learner = NamingLearner(task=LevelTask(family=family, level=level))
    weights = learner.initial(rng).weights
    for upper in range(1, level + 1):
        weights = grown(weights, upper)
    policy: NamingPolicy = learner.restore(weights, "bench")
    one = one_each(family, rng, HELD, "train", level)
    every = everything(family, one, level)
    helper = trained(learner.task, policy)
    tokens = one.worlds.tokens.shape[1]

    def call(asked: Questions) -> Callable[[], Any]:
        return lambda: helper(Question(helper=learner.task.name, quantity="part_0", inputs=fresh(asked)))

    floor = seconds(products(learner, HELD, tokens))
    single, whole = seconds(call(one)), seconds(call(every))
    few = everything(family, one_each(family, rng, WORLDS, "train", level), level)
    target = np.log(np.where(family.allowed(level), 1.0 / family.allowed(level).sum(), 0.0) + 1e-300)
    targets = np.tile(np.where(family.allowed(level), target, -np.inf), (len(few), 1))
    fitting = Fitting(weights, 1000)
    update = seconds(lambda: fitting.update(few, level, targets))
    with torch.no_grad():
        least = seconds(products(learner, WORLDS, tokens))
    below = least * level / (level + 1)
    return {
        "calls_a_second": HELD / single, "ratio": single / floor, "calls_a_second_all": len(every) / whole,
        "ratio_all": whole / floor, "update_ms": update * 1e3, "ratio_update": update / (below + 3 * (least - below)),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--depth", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'task':13}{'level':>6}{'calls/s':>10}{'x floor':>9}{'all calls/s':>13}{'x floor':>9}"
          f"{'update ms':>11}{'x floor':>9}")  # fmt: skip
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name in FAMILIES:
        for level in range(given.depth + 1):
            row = measured(name, given.depth, level)
            found.setdefault(name, {})[str(level)] = {key: round(value, 2) for key, value in row.items()}
            print(f"{name:13}{level:6}{row['calls_a_second']:10.0f}{row['ratio']:9.2f}{row['calls_a_second_all']:13.0f}"
                  f"{row['ratio_all']:9.2f}{row['update_ms']:11.1f}{row['ratio_update']:9.2f}", flush=True)  # fmt: skip
    print(json.dumps(found))


if __name__ == "__main__":
    main()
