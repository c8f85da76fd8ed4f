"""The scripted evaluator answers by its rule, under the same meter as everybody."""

from types import MappingProxyType

import numpy as np

from rewardtree.evaluators.scripted import Scripted
from rewardtree.tasks.exhibit import NO_CLAIMS, Exhibit
from rewardtree.tasks.meter import Meter


def pair(values: tuple[list[float], list[float]], budget: int) -> tuple[Exhibit, Exhibit]:
    meter = Meter(len(values[0]), budget=budget)
    first, second = (
        Exhibit(
            face=np.zeros((len(side), 1)),
            probes=MappingProxyType({}),
            claims=NO_CLAIMS,
            fields={"look": np.array(side)[:, None]},
            meter=meter,
        )
        for side in values
    )
    return first, second


def by_look(first: Exhibit, second: Exhibit) -> np.ndarray:
    places = np.zeros((len(first), 1), dtype=np.int64)
    seen = [side.read("look", places)[0][:, 0] for side in (first, second)]
    return np.where(np.isnan(seen[0] + seen[1]), 0.5, (seen[0] > seen[1]).astype(float))


def test_it_answers_by_its_rule_and_its_readings_count() -> None:
    judged = Scripted(rule=by_look).judge(*pair(([1.0, 5.0], [2.0, 3.0]), budget=2), np.random.default_rng(0))
    assert judged.first_better.tolist() == [False, True]
    assert judged.readings.tolist() == [2, 2]


def test_its_meter_refuses_past_the_budget() -> None:
    judged = Scripted(rule=by_look).judge(*pair(([1.0], [2.0]), budget=1), np.random.default_rng(0))
    assert judged.probability.tolist() == [0.5] and judged.readings.tolist() == [1]
