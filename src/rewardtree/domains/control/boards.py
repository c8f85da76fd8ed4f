"""Pieces of rollouts as people see them who compare: a clip, a plot of what moved, and instruments on its time line.

A clip may be watched as often as one likes. What `pace` reads for who reads numbers, the reward earned in a part,
people see: to them it shows this part in slow motion. Beside it there are instruments of people's own: a still picture
at a second, and what a sensor of speed says there. No reward is on a board.
"""

from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise

import numpy as np

from rewardtree.domains.control.clips import SLOWER, Timing, still, timing, webm
from rewardtree.domains.control.drawing import Frame, artist, fitted
from rewardtree.domains.control.environments import Environment, form_of
from rewardtree.domains.control.plots import WIDTH, Curve, number, plot
from rewardtree.domains.control.segments import Segments
from rewardtree.domains.control.sensors import Sensor, seconds_a_step, sensors_of
from rewardtree.tasks.board import Board, Box, Instrument, Spot

PLOTTED, SPEEDS = 4, 2
"""Sensors that are plotted, and those of speed that are instruments."""
STILLS, MOMENTS = 4, 8
"""Places of a clip for still pictures and for sensors."""
GREATER = 3
"""Times as large as its pixels an image is shown."""
ORDINALS = ("first", "second", "third", "fourth")

GOALS = {
    "Acrobot": "The lower end should swing up above the line, as soon as possible.",
    "Ant": "It should walk to the right as fast as it can, without wasting effort.",
    "BeamRider": "Shoot down as many ships as possible, and don't get hit.",
    "Breakout": "Break as many bricks as possible, and keep the ball in play.",
    "CartPole": "The pole should stay upright, and the cart near the middle.",
    "Enduro": "Drive as fast as possible and overtake as many cars as possible.",
    "HalfCheetah": "It should run to the right as fast as it can; how far it moved counts most.",
    "Hopper": "It should hop to the right without falling; how far it moved counts most.",
    "InvertedPendulum": "The pole should stay upright.",
    "MountainCarContinuous": "The car should reach the flag on the hill, with little thrust.",
    "Pendulum": "The pendulum should be upright and still; the nearer to it the better.",
    "Pong": "You are the paddle on the right: don't miss the ball, and make the other one miss.",
    "Qbert": "Change the colour of as many cubes as possible, and don't be caught.",
    "Reacher": "The arm's tip should be at the target and stay there, without wasting effort.",
    "Seaquest": "Shoot and rescue as much as possible, and surface before the air is used up.",
    "SpaceInvaders": "Shoot as many invaders as possible, and don't get hit.",
    "Swimmer": "It should swim to the right as fast as it can.",
    "Walker2d": "It should walk to the right without falling; how far it moved counts most.",
}
"""What people are told, by an environment's name; after the instructions in Christiano et al. 2017, appendix B."""

Show = Callable[[int], Frame]


def segment_board(
    environment: Environment, outputs: Segments, row: int, parts: int, name: str
) -> tuple[Board, tuple[Instrument, ...]]:
    """One piece as people see it.

    Args:
        environment: of which it is.
        outputs: pieces, of which those compared have the same place in their batches.
        row: which.
        parts: of equal length that are watched by themselves.
        name: of the instrument that watches them.
    """
    time = timing(seconds_a_step(environment), outputs.rewards.shape[1])
    length, show = int(outputs.length[row]), shown(environment, outputs, row)
    curves = curves_of(environment, outputs, row, time)
    svg, height = plot(curves, time.seconds)
    facts = (("lasts", f"{number(length * time.step)} s"), *([("plays", time.pace)] if time.speed != 1 else []))
    alt = f"{number(length * time.step)} seconds: " + "; ".join(curve.told for curve in curves)
    if show is None:
        facts = facts[:1]
        board = Board(kind="picture", media_type="image/svg+xml", data=svg, width=WIDTH, height=height, alt=alt,
                      facts=facts)  # fmt: skip
    else:
        frames = [show(step) for step in time.shown(length)]
        board = Board(
            kind="clip", media_type="video/webm", data=webm(frames, len(frames) / time.seconds), alt=alt, facts=facts,
            width=float(frames[0].shape[1]), height=float(frames[0].shape[0]), seconds=time.seconds, plot=svg,
        )  # fmt: skip
    place = _on_time_line if show is not None else _on_plot(height)
    tools = [_parts(time, parts, length, name, show, place), *_speeds(environment, outputs, row, time, place)]
    if show is not None:
        tools.insert(1, _stills(time, length, show))
    return board, tuple(tools)


def shown(environment: Environment, outputs: Segments, row: int) -> Show | None:
    """What draws the steps of a piece, each once; None where nothing can be drawn."""
    if form_of(environment).pixels:
        return lambda step: _image(outputs.observations[row, step])
    draw = artist(environment) if outputs.states.shape[2] else None
    if draw is None:
        return None
    states = outputs.states[row]
    return lru_cache(maxsize=None)(lambda step: draw(states[step]))


def _image(observation: np.ndarray) -> Frame:
    """An image that a policy sees; of stacked grey ones, the newest."""
    if observation.ndim == 3 and observation.shape[-1] == 3:
        return fitted(observation)
    grey = observation[-1] if observation.ndim == 3 else observation
    large = grey.repeat(GREATER, axis=0).repeat(GREATER, axis=1)
    return np.repeat(large[..., None], 3, axis=2)


def curves_of(environment: Environment, outputs: Segments, row: int, time: Timing) -> list[Curve]:
    """What the plotted sensors said of a piece: where things were, or, where no sensor says that, all there is."""
    known = sensors_of(environment)
    still_ones = [sensor for sensor in known if not sensor.moving and _there(sensor, outputs)] or list(known)
    seconds = np.array([time.at(step) for step in range(int(outputs.length[row]))])
    return [Curve(name=sensor.name, unit=sensor.unit, seconds=seconds, values=sensor.read(outputs, row))
            for sensor in still_ones[:PLOTTED]]  # fmt: skip


def _there(sensor: Sensor, outputs: Segments) -> bool:
    return sensor.source != "state" or outputs.states.shape[2] > sensor.column


def _parts(
    time: Timing, parts: int, length: int, name: str, show: Show | None, place: Callable[[Timing, float, float], Box]
) -> Instrument:
    """What watches a part; its values are the exhibit's."""
    edges = np.linspace(0, time.steps, parts + 1).round().astype(int).tolist()
    spots, clips = [], []
    for part, (first, last) in enumerate(pairwise(edges)):
        spots.append((part, _part(part, parts), place(time, time.at(first), time.at(last))))
        steps = range(first, min(last, length))
        rate = time.speed / time.step / SLOWER
        clips.append(webm([show(step) for step in steps], rate) if show is not None and len(steps) else None)
    if show is None:
        return Instrument(name=name, label="Reward", places=tuple(spots))
    return Instrument(
        name=name, label="Slow motion", places=tuple(spots), pictures=tuple(clips), media_type="video/webm"
    )  # fmt: skip


def _part(part: int, parts: int) -> str:
    if parts == 1:
        return "the whole"
    if parts > len(ORDINALS):
        return f"part {part + 1}"
    return f"{ORDINALS[part]} {('half', 'third', 'quarter')[parts - 2]}"


def _stills(time: Timing, length: int, show: Show) -> Instrument:
    """Still pictures at a few seconds."""
    moments = _moments(time, STILLS, _on_time_line)
    pictures = tuple(still(show(step)) if step < length else None for step, _ in moments)
    return Instrument(name="still", label="Still picture", places=tuple(spot for _, spot in moments),
                      pictures=pictures, media_type="image/webp")  # fmt: skip


def _speeds(
    environment: Environment, outputs: Segments, row: int, time: Timing,
    place: Callable[[Timing, float, float], Box],
) -> list[Instrument]:  # fmt: skip
    """What sensors of speed say at a second."""
    known = [sensor for sensor in sensors_of(environment) if sensor.moving and _there(sensor, outputs)][:SPEEDS]
    moments, found = _moments(time, MOMENTS, place), []
    for sensor in known:
        values = sensor.read(outputs, row)
        read = tuple(float(values[step]) if step < len(values) else None for step, _ in moments)
        found.append(Instrument(
            name=sensor.name, label=sensor.label, unit=sensor.unit, values=read,
            places=tuple(spot for _, spot in moments),
        ))  # fmt: skip
    return found


def _moments(time: Timing, count: int, place: Callable[[Timing, float, float], Box]) -> list[tuple[int, Spot]]:
    """So many stretches of the time line: the step in the middle of each, and its place."""
    edges = np.linspace(0, time.steps, min(count, time.steps) + 1)
    found: list[tuple[int, Spot]] = []
    for number_, (first, last) in enumerate(pairwise(edges.tolist())):
        step = int((first + last) / 2)
        label = f"{number(step * time.step)} s"
        found.append((step, (number_, label, place(time, time.at(first), time.at(last)))))
    return found


def _on_time_line(time: Timing, start: float, end: float) -> Box:
    return start, min(end, time.seconds)


def _on_plot(height: float) -> Callable[[Timing, float, float], Box]:
    """Where stretches of time are where the plot is a picture of its own."""

    def place(time: Timing, start: float, end: float) -> Box:
        left, right = (min(second / time.seconds, 1.0) * WIDTH for second in (start, end))
        return round(left, 3), 0.0, round(right - left, 3), height

    return place
