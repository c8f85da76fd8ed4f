"""The chip's tree: `floorplan <- {lifetime <- {heat, current}, energy, security}`.

Each helper's true reward is that of `rewardtree.tasks.answers.AnswerTask` for one quantity at places of a layout:

- `heat`: temperature of a cell, degrees C; the hottest is looked for. Judged with a thermometer, one reading an answer.
- `current`: supply current density of a cell, MA/cm^2; the greatest. One reading an answer.
- `lifetime`: log lifetime of a cell by Black's equation from its temperature and current; the least. A comparison takes
  four readings; it asks `heat` and `current` how much it is at each answer's place, which fixes both lifetimes.
- `energy`: power of an item, a net's or a block's leakage, W; the greatest, and the itemised total. One reading each.
- `security`: exposure of a block by what lies next to it; the greatest. One reading an answer.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from rewardtree.domains.chip.boards import answer_board
from rewardtree.domains.chip.features import block_features
from rewardtree.domains.chip.floorplan import FloorplanTask
from rewardtree.domains.chip.layouts import Designs, Layouts, random_layouts
from rewardtree.domains.chip.packing import GRID
from rewardtree.domains.chip.placer import PlacerLearner
from rewardtree.domains.chip.supply import log_lifetime
from rewardtree.domains.chip.surroundings import CURRENT_COLUMNS, HEAT_COLUMNS, cell_features, item_features
from rewardtree.policies.answering import AnsweringLearner
from rewardtree.tasks.answers import AnswerTask, Ask, Scenes, merge, some_asked
from rewardtree.tasks.backdrop import backdrop
from rewardtree.tasks.task import Split
from rewardtree.tree.domain import Settings
from rewardtree.tree.node import Induce, Node, Tree


def _choose(batch: int) -> Int[np.ndarray, " batch"]:
    return np.full(batch, -1)


HEAT_EYE = HEAT_COLUMNS.start + 3
CURRENT_EYE = CURRENT_COLUMNS.start + 7
ITEM_EYE = (2, 8)
BLOCK_EYE = slice(11, 14)


def cell_scenes(layouts: Layouts, columns: slice, instruments: tuple[str, ...], eye: tuple[int, ...]) -> Scenes:
    """Cells with the named instruments; the eye is caught by what is high in all columns of `eye`."""
    batch, features = len(layouts), cell_features(layouts)
    caught, first = (np.prod(features[:, :, picked], axis=2, dtype=float) for picked in (eye, eye[:1]))
    return Scenes(
        features=features[:, :, columns], valid=np.ones((batch, GRID * GRID), dtype=bool),
        prominence=caught + 1e-3 * first, asked=_choose(batch), origin=layouts.keys,
        fields={name: getattr(layouts.fields, name).reshape(batch, -1) for name in instruments},
        backdrop=backdrop(layouts),
    )  # fmt: skip


def heat_scenes(layouts: Layouts) -> Scenes:
    """Cells with a thermometer; much power around catches the eye."""
    return cell_scenes(layouts, HEAT_COLUMNS, ("temperature",), (HEAT_EYE,))


def current_scenes(layouts: Layouts) -> Scenes:
    """Cells with a current probe; bumps with much power around catch the eye."""
    return cell_scenes(layouts, CURRENT_COLUMNS, ("current",), (HEAT_EYE - 1, CURRENT_EYE))


def lifetime_scenes(layouts: Layouts) -> Scenes:
    """Cells with both; what catches the eye for either."""
    return cell_scenes(layouts, slice(None), ("temperature", "current"), (HEAT_EYE, CURRENT_EYE))


def item_scenes(layouts: Layouts) -> Scenes:
    """Nets and leakages with a power meter; busy nets and leaky blocks catch the eye."""
    fields, lists = layouts.fields, layouts.netlists
    features = item_features(layouts)
    return Scenes(
        features=features, valid=np.concatenate([lists.activity > 0, lists.mask], axis=1),
        prominence=features[:, :, ITEM_EYE].sum(axis=2).astype(float), asked=_choose(len(layouts)), origin=layouts.keys,
        fields={"item_power": np.concatenate([fields.net_power, fields.block_leakage], axis=1)},
        backdrop=backdrop(layouts),
    )  # fmt: skip


def block_scenes(layouts: Layouts) -> Scenes:
    """Sensitive blocks with a look at what lies next to them; untrusted neighbours and large gaps catch the eye."""
    lists, features = layouts.netlists, block_features(layouts)
    return Scenes(
        features=features, valid=lists.mask & (lists.secret | lists.critical), asked=_choose(len(layouts)),
        prominence=features[:, :, BLOCK_EYE].sum(axis=2) + features[:, :, 5].astype(float),
        fields={"surroundings": layouts.fields.exposure}, origin=layouts.keys, backdrop=backdrop(layouts),
    )  # fmt: skip


def black(fields: Mapping[str, Any]) -> Float[np.ndarray, "..."]:
    """Log lifetime where temperature and current are known."""
    lifetime: Float[np.ndarray, "..."] = log_lifetime(fields["temperature"], fields["current"])
    return lifetime


SCENES: Mapping[str, Callable[[Layouts], Scenes]] = {
    "heat": heat_scenes,
    "current": current_scenes,
    "lifetime": lifetime_scenes,
    "energy": item_scenes,
    "security": block_scenes,
}


KINDS: Mapping[str, Mapping[str, Any]] = {
    "heat": {
        "instruments": ("temperature",), "low": 50.0, "high": 150.0, "usual": 80.0, "scale": 10.0, "unit": "°C",
        "statement": "hottest at cell {place}: {value:.1f} °C",
        "pointer": "hottest at cell {place}", "noun": "temperature", "digits": 1,
    },
    "current": {
        "instruments": ("current",), "low": 0.0, "high": 1.6, "usual": 0.3, "scale": 0.15, "unit": "MA/cm²",
        "statement": "most current at cell {place}: {value:.2f} MA/cm²",
        "pointer": "most current at cell {place}", "noun": "supply current",
    },
    "lifetime": {
        "instruments": ("temperature", "current"), "quantity": black, "direction": -1, "low": -3.0, "high": 13.0,
        "usual": 3.0, "scale": 1.5, "unit": "log ratio",
        "asks": {
            "temperature": Ask(helper="heat", columns=HEAT_COLUMNS),
            "current": Ask(helper="current", columns=CURRENT_COLUMNS),
        },
        "statement": "fails first at cell {place}, log lifetime {value:.2f}",
        "pointer": "fails first at cell {place}", "noun": "log lifetime",
    },
    "energy": {
        "instruments": ("item_power",), "low": 0.0, "high": 6.4, "usual": 0.2, "scale": 0.15, "unit": "W",
        "levels": 257,
        "statement": "{place} takes most power: {value:.3f} W", "total": "all items take {value:.2f} W",
        "pointer": "{place} takes most power", "noun": "power", "digits": 3,
    },
    "security": {
        "instruments": ("surroundings",), "low": 0.0, "high": 2.0, "usual": 0.5, "scale": 0.3,
        "statement": "block {place} is exposed worst: {value:.2f}",
        "pointer": "block {place} is exposed worst", "noun": "exposure",
    },
}  # fmt: skip
"""The helpers' tasks: what is read, the range, usual value and spread of answers, and how a claim reads."""
NEVER_ASKED = ("lifetime",)
"""Helpers whose parent asks for no place of its own choice, so that they are not trained on such questions."""


def chip_tasks(pools: Mapping[Split, Designs]) -> dict[str, FloorplanTask | AnswerTask]:
    """The tasks of all nodes, by name.

    Args:
        pools: netlists of each split; no split shares one with another.
    """

    def drawing(name: str) -> Callable[[np.random.Generator, int, Split], Scenes]:
        def draw(rng: np.random.Generator, count: int, split: Split) -> Scenes:
            pool = pools[split]
            scenes = SCENES[name](random_layouts(rng, pool.take(rng.integers(len(pool), size=count))))
            return scenes if name in NEVER_ASKED else some_asked(rng, scenes)

        return draw

    helpers = {
        name: AnswerTask(name=name, draw=drawing(name), picture=answer_board, **kind) for name, kind in KINDS.items()
    }
    return helpers | {"floorplan": FloorplanTask(pools=pools, scenes=SCENES)}


def chip_tree(pools: Mapping[Split, Designs], settings: Settings) -> Tree:
    """The tree with its learners and budgets.

    Args:
        pools: netlists of each split.
        settings: budgets, evaluators' limits and what the root's reward model sees.
    """
    tasks = chip_tasks(pools)
    below = {"lifetime": ("heat", "current")}
    nodes = {
        name: Node(
            name=name,
            task=task,
            learner=AnsweringLearner(task=task, updates=settings.helper_updates),
            helpers=below.get(name, ()),
            budget=settings.helper,
            bounds=settings.bounds,
            peaked=True,
            selection=settings.selection,
            induce=_induced(pools, task) if settings.interleaved else None,
        )
        for name, task in tasks.items()
        if isinstance(task, AnswerTask)
    }
    nodes["floorplan"] = Node(
        name="floorplan",
        task=tasks["floorplan"],
        learner=PlacerLearner(updates=settings.updates),
        helpers=("lifetime", "energy", "security"),
        budget=settings.root,
        bounds=settings.bounds,
        hidden=32,
        claims_in_reward=settings.claims_in_reward,
        selection=settings.selection,
    )
    return Tree(nodes=nodes, root="floorplan")


def _induced(pools: Mapping[Split, Designs], task: AnswerTask) -> Induce:
    """Half of the scenes from random layouts, half from those that the root's policy makes by now."""

    def induce(rng: np.random.Generator, count: int, policies: Mapping[str, Any]) -> Scenes:
        own = task.sample(rng, count, "train")
        root = policies.get("floorplan")
        if root is None:
            return own
        pool = pools["train"]
        made = root.propose(pool.take(rng.integers(len(pool), size=count)), rng)
        scenes = SCENES[task.name](made)
        scenes = scenes if task.name in NEVER_ASKED else some_asked(rng, scenes)
        return merge(own, scenes, rng.random(count) < 0.5)

    return induce
