"""A toy domain: lists of numbers that only instruments show, with hints of them that everybody sees.

`left` and `right` point at the greatest number of their list and say how much it is; `product` points at the
greatest product of both at one place, and asks `left` and `right` how much each is there. A number is a
linear function of its two features.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from rewardtree.evaluators.simulated import Bounds
from rewardtree.policies.answering import AnsweringLearner
from rewardtree.tasks.answers import AnswerTask, Ask, Scenes, some_asked
from rewardtree.tasks.task import SPLITS, Split
from rewardtree.tree.node import Budget, Node, Tree

PLACES = 6
LEFT, RIGHT = slice(0, 2), slice(2, 4)


def lists(rng: np.random.Generator, count: int, split: Split) -> Scenes:
    """Both lists, with their four columns of features; nothing is asked about."""
    features = rng.standard_normal((count, PLACES, 4)).astype(np.float32)
    seen = features.astype(float)
    return Scenes(
        features=features,
        valid=np.ones((count, PLACES), dtype=bool),
        prominence=seen[..., 0] + seen[..., 2],
        fields={"left": 5.0 + 2.0 * seen[..., 0] + seen[..., 1], "right": 5.0 + 2.0 * seen[..., 2] - seen[..., 3]},
        asked=np.full(count, -1),
        origin=rng.integers(2**40, size=count) * len(SPLITS) + SPLITS.index(split),
    )


def one_list(name: str, columns: slice) -> Callable[[np.random.Generator, int, Split], Scenes]:
    def draw(rng: np.random.Generator, count: int, split: Split) -> Scenes:
        scenes = lists(rng, count, split)
        fields = {name: scenes.fields[name]}
        return some_asked(rng, replace(scenes, features=scenes.features[..., columns], fields=fields))

    return draw


def product(fields: Mapping[str, Any]) -> Any:
    return fields["left"] * fields["right"]


def toy_tasks(unit: float = 1.0) -> dict[str, AnswerTask]:
    """The three tasks; `unit` multiplies every field and so every reward but for the product's, its square."""

    def measured(draw: Callable[[np.random.Generator, int, Split], Scenes]) -> Any:
        def drawn(rng: np.random.Generator, count: int, split: Split) -> Scenes:
            scenes = draw(rng, count, split)
            return replace(scenes, fields={n: v * unit for n, v in scenes.fields.items()})

        return drawn

    tasks = {
        name: AnswerTask(
            name=name,
            instruments=(name,),
            draw=measured(one_list(name, columns)),
            low=-5.0 * unit,
            high=15.0 * unit,
            usual=5.0 * unit,
            scale=2.0 * unit,
        )
        for name, columns in (("left", LEFT), ("right", RIGHT))
    }
    tasks["product"] = AnswerTask(
        name="product",
        instruments=("left", "right"),
        draw=measured(lists),
        quantity=product,
        low=-20.0 * unit**2,
        high=140.0 * unit**2,
        usual=25.0 * unit**2,
        scale=15.0 * unit**2,
        asks={"left": Ask(helper="left", columns=LEFT), "right": Ask(helper="right", columns=RIGHT)},
    )
    return tasks


def toy_node(name: str, helpers: tuple[str, ...] = (), **given: Any) -> Node:
    """A node of the toy domain with few labels."""
    task = toy_tasks()[name]
    settings: dict[str, Any] = {
        "budget": Budget(iterations=2, labels=80),
        "bounds": Bounds(budget=2),
        "peaked": True,
        "learner": AnsweringLearner(task=task, updates=20),
    }
    return Node(name=name, task=task, helpers=helpers, **settings | given)


def toy_tree(**given: Any) -> Tree:
    """`product <- {left, right}`."""
    nodes = [toy_node("left", **given), toy_node("right", **given), toy_node("product", ("left", "right"), **given)]
    return Tree(nodes={node.name: node for node in nodes}, root="product")
