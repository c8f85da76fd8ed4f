"""The task of control conforms."""

from dataclasses import replace

import numpy as np
from line import line

from rewardtree.domains.control.segments import Segments, Starts
from rewardtree.domains.control.task import SegmentTask, paces
from rewardtree.tasks.conformance import TaskConformance
from rewardtree.tasks.specimen import Specimen, moved_fields


def behind_other_fields(inputs: Starts, outputs: Segments, rng: np.random.Generator) -> tuple[Starts, Segments]:
    """The same pieces, as if the environment had paid something else."""
    return inputs, replace(outputs, **moved_fields({"rewards": outputs.rewards}, rng))


class TestBehaviour(TaskConformance):
    @property
    def specimen(self) -> Specimen:
        task = SegmentTask(environment=line(), segment=8)
        return Specimen(task=task, other_fields=behind_other_fields)


class TestBehaviourOfManyLengths(TaskConformance):
    @property
    def specimen(self) -> Specimen:
        task = SegmentTask(environment=line(falls=True), segment=9, parts=3)
        return Specimen(task=task, other_fields=behind_other_fields)


def test_parts_add_up_to_the_whole() -> None:
    task = SegmentTask(environment=line(falls=True), segment=9, parts=3)
    inputs = task.sample(np.random.default_rng(0), 50, "test")
    outputs = task.base_outputs(np.random.default_rng(0), inputs)
    parts = paces(outputs, 3)
    np.testing.assert_allclose(parts.sum(axis=1), task.true_reward(inputs, outputs))
    np.testing.assert_allclose(parts[:, 0], outputs.rewards[:, :3].sum(axis=1))


def test_inputs_of_several_splits_have_outputs_of_their_own() -> None:
    task = SegmentTask(environment=line(), segment=8)
    rng = np.random.default_rng(0)
    drawn = [task.sample(rng, 6, split) for split in ("test", "train")]
    mixed = Starts(seeds=np.stack([one.seeds for one in drawn], axis=1).ravel())
    made = task.base_outputs(np.random.default_rng(1), mixed)
    assert len(made) == 12 and (made.length == 8).all()
