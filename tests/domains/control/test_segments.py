import numpy as np

from rewardtree.domains.control.segments import Segments, Starts


def pieces(count: int = 3, steps: int = 5) -> Segments:
    rng = np.random.default_rng(0)
    return Segments(
        observations=rng.normal(size=(count, steps, 3)).astype(np.float32),
        actions=rng.normal(size=(count, steps, 1)).astype(np.float32),
        length=np.array([steps, steps - 2, steps])[:count],
        began=np.arange(count),
        rewards=rng.normal(size=(count, steps)),
        states=np.zeros((count, steps, 0)),
    )


def test_returns_leave_out_what_is_beyond_a_piece() -> None:
    some = pieces()
    assert some.returns[0] == some.rewards[0].sum()
    assert np.isclose(some.returns[1], some.rewards[1, :3].sum())


def test_names_hold_what_was_seen_and_done_and_nothing_of_rewards() -> None:
    some = pieces()
    other = Segments(
        **{name: getattr(some, name) for name in ("observations", "actions", "length", "began", "states")},
        rewards=some.rewards + 1,
    )
    moved = Segments(
        **{name: getattr(some, name) for name in ("observations", "length", "began", "states", "rewards")},
        actions=some.actions + 1,
    )
    assert some.digest() == other.digest()
    assert all(a != b for a, b in zip(some.digest(), moved.digest(), strict=True))
    assert some.take(np.array([2, 0])).digest() == [some.digest()[2], some.digest()[0]]
    assert len({one["content"] for one in some.digest()}) == 3


def test_starts_are_named_by_their_seeds() -> None:
    assert Starts(seeds=np.array([4, 7])).take(np.array([1])).digest() == [{"seed": 7}]
