"""The chip's six tasks conform."""

from functools import lru_cache
from typing import Any

import numpy as np

from rewardtree.domains.chip.domain import pools
from rewardtree.domains.chip.layouts import Designs, Layouts
from rewardtree.domains.chip.nodes import chip_tasks
from rewardtree.domains.chip.physics import Fields
from rewardtree.tasks.answers import AnswerTask
from rewardtree.tasks.conformance import TaskConformance
from rewardtree.tasks.specimen import Specimen, moved_fields
from rewardtree.tree.stand_ins import ideal


@lru_cache(maxsize=1)
def tasks() -> dict[str, Any]:
    """The tasks on the netlists that come with the domain."""
    return dict(chip_tasks(pools(0)))


def behind_other_fields(inputs: Designs, outputs: Layouts, rng: np.random.Generator) -> tuple[Designs, Layouts]:
    """The same layouts, as if the engineering models said something else."""
    other = outputs.take(np.arange(len(outputs)))
    named = {name: getattr(outputs.fields, name) for name in Fields.__slots__}
    vars(other)["fields"] = Fields(**moved_fields(named, rng))
    return inputs, other


def specimen_of(name: str) -> Specimen:
    task = tasks()[name]
    if not isinstance(task, AnswerTask):
        helpers = {helper: ideal(tasks()[helper]) for helper in ("lifetime", "energy", "security")}
        return Specimen(task=task, helpers=helpers, other_fields=behind_other_fields)
    return Specimen(task=task, helpers={ask.helper: ideal(tasks()[ask.helper]) for ask in task.asks.values()})


class TestHeat(TaskConformance):
    @property
    def specimen(self) -> Specimen:
        return specimen_of("heat")


class TestCurrent(TaskConformance):
    @property
    def specimen(self) -> Specimen:
        return specimen_of("current")


class TestLifetime(TaskConformance):
    @property
    def specimen(self) -> Specimen:
        return specimen_of("lifetime")


class TestEnergy(TaskConformance):
    @property
    def specimen(self) -> Specimen:
        return specimen_of("energy")


class TestSecurity(TaskConformance):
    @property
    def specimen(self) -> Specimen:
        return specimen_of("security")


class TestFloorplan(TaskConformance):
    @property
    def specimen(self) -> Specimen:
        return specimen_of("floorplan")
