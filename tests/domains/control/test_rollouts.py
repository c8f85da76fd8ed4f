import numpy as np
import pytest
from line import HORIZON, line

from rewardtree.domains.control.behaviours import random_pieces, random_rollouts
from rewardtree.domains.control.rollouts import Record, episodes


def record(ends: list[list[int]], steps: int = 12) -> Record:
    """Rollouts whose observation is their number and the step, and which end an episode after the named steps."""
    count = len(ends)
    ended = np.zeros((steps, count), dtype=bool)
    at = np.zeros((steps, count), dtype=np.int64)
    for rollout, steps_ in enumerate(ends):
        ended[steps_, rollout] = True
        for step in range(1, steps):
            at[step, rollout] = 0 if ended[step - 1, rollout] else at[step - 1, rollout] + 1
    seen = np.stack(np.broadcast_arrays(np.arange(count)[None, :], np.arange(steps)[:, None]), axis=2)
    return Record(
        observations=seen.astype(np.float32), actions=seen.astype(np.float32) + 1, at=at, ended=ended,
        rewards=seen[..., 1].astype(float), states=np.zeros((steps, count, 0)),
    )  # fmt: skip


def test_pieces_are_whole_and_never_cross_the_end_of_an_episode() -> None:
    some = record([[7], []])
    pieces = some.cut(np.random.default_rng(0), 400, 5)
    begun = {(int(seen[0, 0]), int(seen[0, 1])) for seen in pieces.observations}
    assert begun == {(0, s) for s in (0, 1, 2, 3)} | {(1, s) for s in range(8)}
    assert (pieces.length == 5).all()
    for row in range(400):
        assert (np.diff(pieces.observations[row, :, 1]) == 1).all() and len(set(pieces.observations[row, :, 0])) == 1
    np.testing.assert_array_equal(pieces.actions, pieces.observations + 1)
    np.testing.assert_array_equal(pieces.rewards, pieces.observations[..., 1])
    np.testing.assert_array_equal(pieces.began, pieces.observations[:, 0, 1])


def test_short_episodes_are_taken_whole_and_what_was_cut_off_is_not() -> None:
    pieces = record([[2, 5, 8]], steps=11).cut(np.random.default_rng(0), 300, 5)
    assert {(int(s[0, 1]), int(n)) for s, n in zip(pieces.observations, pieces.length, strict=True)} == {
        (0, 3), (3, 3), (6, 3)
    }  # fmt: skip
    assert not pieces.observations[:, 3:].any() and not pieces.rewards[:, 3:].any()


def test_steps_are_pieces_of_one_step_in_order() -> None:
    some = record([[3], []])
    steps = some.steps()
    assert len(steps) == some.count == 24 and (steps.length == 1).all()
    np.testing.assert_array_equal(steps.returns.reshape(some.at.shape), some.rewards)


def test_early_ends_are_told_from_the_limit() -> None:
    assert record([[7]]).early(9) and not record([[7]]).early(8)


def test_records_go_on_and_come_back() -> None:
    one, two = record([[3]]), record([[5]])
    both = one.plus(two)
    assert both.count == 24 and np.array_equal(both.last(12).at, two.at)
    again = Record.of(both.tensors())
    assert all(np.array_equal(getattr(again, name), getattr(both, name)) for name in Record.__slots__)


@pytest.mark.parametrize("falls", [False, True])
def test_an_episode_from_each_seed(falls: bool) -> None:
    def right(seen: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return np.full((len(seen), 1), 0.1 * (1 + rows[:, None] % 3), dtype=np.float32)

    seeds = np.arange(40) * 4
    found = episodes(line(falls=falls), seeds, right)
    assert (found.length == HORIZON).all() is np.bool_(not falls)
    alone = episodes(line(falls=falls), seeds[33:34], lambda seen, rows: right(seen, rows + 33))
    steps = int(found.length[33])
    np.testing.assert_array_equal(found.observations[33, :steps], alone.observations[0, :steps])
    assert found.returns[33] == pytest.approx(alone.returns[0]) and not found.rewards[~found.valid].any()


def test_random_behaviour_belongs_to_its_split_and_varies() -> None:
    whole = [random_rollouts(line(), split) for split in ("train", "test")]
    assert not set(whole[0].observations[:, 0, 0]) & set(whole[1].observations[:, 0, 0])
    assert random_rollouts(line(), "test") is whole[1]
    pieces = random_pieces(line(), "test", np.random.default_rng(0), 500, 8)
    assert pieces.returns.std() > 1 and len(set(np.abs(np.diff(pieces.actions[:, :, 0])).max(axis=1) > 0)) == 2
