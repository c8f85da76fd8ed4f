"""Pieces of rollouts as people see them: what is drawn, when, and what is not."""

import base64
import io
from dataclasses import replace

import numpy as np
import pytest

from rewardtree.domains.control import boards
from rewardtree.domains.control.boards import segment_board
from rewardtree.domains.control.clips import LONGEST, RATE, SHORTEST, timing, webm
from rewardtree.domains.control.drawing import artist
from rewardtree.domains.control.environments import Environment, instances
from rewardtree.domains.control.plots import number, span
from rewardtree.domains.control.segments import Segments, Starts
from rewardtree.domains.control.sensors import sensors_of
from rewardtree.domains.control.snapshots import put_state, state_of
from rewardtree.domains.control.task import SegmentTask
from rewardtree.tasks.board import ShownSide

pytestmark = pytest.mark.filterwarnings("ignore")
REACHER = Environment(id="Reacher-v5")


def moved(environment: Environment, steps: int = 12, lengths: tuple[int, ...] = (12, 7)) -> Segments:
    """Pieces of a rollout of random actions, one after the other."""
    env = instances(environment, 1)[0]
    env.action_space.seed(0)
    seen, states, observations = env.reset(seed=0)[0], [], []
    for _ in range(steps * len(lengths)):
        states.append(state_of(env.unwrapped))
        observations.append(seen)
        seen = env.step(env.action_space.sample())[0]
    rows = (len(lengths), steps, -1)
    return Segments(
        observations=np.array(observations).reshape(*rows[:2], *np.shape(observations[0])),
        actions=np.zeros((*rows[:2], 1), dtype=np.float32), length=np.array(lengths), began=np.zeros(len(lengths), int),
        rewards=np.random.default_rng(0).normal(size=rows[:2]), states=np.array(states).reshape(rows),
    )  # fmt: skip


def frames_of(clip: str) -> list[np.ndarray]:
    """What a player shows of a clip."""
    import av

    with av.open(io.BytesIO(base64.b64decode(clip))) as film:
        return [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]


@pytest.mark.parametrize(("step", "steps"), [(0.008, 50), (0.05, 50), (1 / 15, 25), (0.05, 1000), (0.02, 1)])
def test_a_clip_is_neither_too_short_nor_too_long_and_shows_every_step_in_order(step: float, steps: int) -> None:
    time = timing(step, steps)
    shown = time.shown(steps)
    assert SHORTEST <= time.seconds <= LONGEST and len(shown) == round(time.seconds * RATE)
    assert shown == sorted(shown) and shown[0] <= steps // len(shown) and shown[-1] >= steps - 1 - steps // len(shown)
    assert max(time.shown(max(1, steps // 2))) == max(1, steps // 2) - 1, "a shorter one stands still at its end"


def test_a_film_shows_its_frames_and_is_always_the_same() -> None:
    frames = [np.full((32, 48, 3), shade, dtype=np.uint8) for shade in (20, 120, 220)]
    clip = webm(frames, 5.0)
    assert clip == webm(frames, 5.0)
    assert [abs(float(one.mean()) - shade) < 6 for one, shade in zip(frames_of(clip), (20, 120, 220), strict=True)]


def test_a_state_is_put_back_as_it_was() -> None:
    for environment in (REACHER, Environment(id="Pendulum-v1")):
        env = instances(environment, 1)[0].unwrapped
        env.reset(seed=1)
        before = state_of(env)
        env.step(env.action_space.sample())
        assert not np.array_equal(state_of(env), before)
        put_state(env, before)
        assert np.array_equal(state_of(env), before) and before.dtype == np.float32


def test_sensors_are_joints_by_name_and_speeds_are_apart() -> None:
    known = sensors_of(REACHER)
    assert [one.name for one in known[:4]] == ["joint0", "joint1", "target_x", "target_y"]
    assert known[0].unit == "°" and known[4].name == "speed of joint0" and known[4].moving
    some = moved(REACHER)
    assert np.allclose(known[1].read(some, 1), np.degrees(some.states[1, :7, 1]))
    assert np.allclose(known[4].read(some, 0), np.degrees(some.states[0, :, 4]))


def checked(environment: Environment, some: Segments) -> ShownSide:
    """The second piece as people see it, with the values of an exhibit."""
    board, tools = segment_board(environment, some, 1, 2, "pace")
    paces = (1.0, 2.0)
    return ShownSide(board=board, instruments=tuple(t if t.values else replace(t, values=paces) if t.name == "pace"
                                                    else t for t in tools))  # fmt: skip


@pytest.mark.skipif(artist(REACHER) is None, reason="MuJoCo cannot draw here; install libegl1 and libgl1-mesa-dri")
def test_a_mujoco_piece_is_a_clip_with_slow_motion_stills_and_speeds() -> None:
    some = moved(REACHER)
    side = checked(REACHER, some)
    board, tools = side.board, {tool.name: tool for tool in side.instruments}
    assert (board.kind, board.width, board.height) == ("clip", 320, 240) and "joint0" in board.plot
    film = frames_of(board.data)
    assert len(film) == round(board.seconds * RATE) and np.abs(film[0].astype(int) - film[-1]).max() > 50
    assert list(tools) == ["pace", "still", "speed of joint0", "speed of joint1"]
    assert len(frames_of(str(tools["pace"].pictures[0]))) == 6, "every step of the first half"
    assert len(frames_of(str(tools["pace"].pictures[1]))) == 1, "one step is left in the second half"
    assert [picture is None for picture in tools["still"].pictures] == [False, False, True, True]
    speeds = tools["speed of joint0"].values
    assert speeds[0] == pytest.approx(np.degrees(some.states[1, 0, 4])) and speeds[-1] is None


def test_where_nothing_can_be_drawn_the_plot_is_the_board(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boards, "artist", lambda environment: None)
    side = checked(REACHER, moved(REACHER))
    assert side.board.media_type == "image/svg+xml" and "joint1" in side.board.data
    pace = side.instruments[0]
    assert pace.pictures == () and pace.places[1][2] == (260.0, 0.0, 260.0, side.board.height)
    assert [tool.name for tool in side.instruments] == ["pace", "speed of joint0", "speed of joint1"]


def test_no_reward_is_on_a_board(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boards, "artist", lambda environment: lambda state: np.full((16, 16, 3), 9, dtype=np.uint8))
    some = moved(REACHER)
    task, starts = SegmentTask(environment=REACHER), Starts(seeds=np.arange(2))
    assert task.board(starts, some, 0) == task.board(starts, replace(some, rewards=some.rewards + 5), 0)
    assert "target" in task.guide and "clip" in task.question


def test_images_are_their_own_frames() -> None:
    environment = Environment(id="ALE/Pong-v5")
    side = checked(environment, moved(environment, steps=3, lengths=(3, 2)))
    assert side.board.kind == "clip" and side.board.width == 252 and "change of the picture" in side.board.plot


def test_numbers_are_short_and_spans_alike() -> None:
    assert [number(value) for value in (-0.25, 1234.5, 2.0, 1e-9, 0.1234)] == ["\N{MINUS SIGN}0.25", "1234", "2", "0",
                                                                              "0.123"]  # fmt: skip
    low, high = span(np.array([0.0, 1.3]), 0.1)
    assert high - low == pytest.approx(2) and (low + high) / 2 == pytest.approx(0.65)
    assert np.subtract(*reversed(span(np.array([3.0, 3.0]), 5.0))) == pytest.approx(5)
