"""Frames of a simulator's states, drawn off-screen.

MuJoCo draws by EGL, without shadows and reflections, which would cost most of the time where there is no graphics
card: 5 to 20 ms a frame in software.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from rewardtree.domains.control.environments import Environment, form_of, require
from rewardtree.domains.control.snapshots import put_state, state_of

Frame = UInt8[np.ndarray, "height width 3"]
Draw = Callable[[Float[np.ndarray, " state"]], Frame]
WIDTH, HEIGHT = 320, 240
"""Of a frame that MuJoCo draws, in pixels; other environments choose their own size, which is made as small."""
SAMPLES = 4
"""Of every pixel, so that edges are smooth."""
SWITCH = "MUJOCO_GL"


@cache
def artist(environment: Environment) -> Draw | None:
    """What draws an environment's states; None where nothing can, for want of a way to draw or of what it needs.

    It has an instance of its own, and is kept: where one is given up, its context takes those of the others with it.
    """
    try:
        env = _drawn(environment)
        env.reset(seed=0)
        inner = env.unwrapped
        if not len(state_of(inner)):
            return None
        with _by_egl():
            _plainly(inner)
            fits = np.asarray(inner.render()).ndim == 3
    except Exception:  # whatever a graphics driver or a missing library says, people still get the plot
        return None
    return (lambda state: _frame(inner, state)) if fits else None


def _drawn(environment: Environment) -> Any:
    gym = require("gymnasium")
    options = dict(environment.options) | {"render_mode": "rgb_array"}
    if form_of(environment).physics:
        options |= {"width": WIDTH, "height": HEIGHT}
    return gym.make(environment.id, disable_env_checker=True, **options)


def _plainly(inner: Any) -> None:
    """Turn off what is dear to draw, in MuJoCo's own settings."""
    renderer = getattr(inner, "mujoco_renderer", None)
    if renderer is None:
        return
    mujoco = require("mujoco")
    inner.model.vis.quality.offsamples = SAMPLES
    inner.render()
    for costly in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
        renderer.viewer.scn.flags[costly] = 0


@contextmanager
def _by_egl() -> Iterator[None]:
    """Let Gymnasium choose EGL while it makes MuJoCo's context, where the user has chosen nothing."""
    chosen = os.environ.get(SWITCH)
    os.environ.setdefault(SWITCH, "egl")
    try:
        yield
    finally:
        if chosen is None:
            os.environ.pop(SWITCH, None)


def _frame(inner: Any, state: Float[np.ndarray, " state"]) -> Frame:
    viewer = getattr(getattr(inner, "mujoco_renderer", None), "viewer", None)
    if viewer is not None:
        viewer.make_context_current()
    put_state(inner, state)
    return fitted(np.asarray(inner.render(), dtype=np.uint8))


def fitted(frame: Frame, most: tuple[int, int] = (WIDTH, HEIGHT)) -> Frame:
    """A frame made as small as another, its shape kept and its sides even; a small one as it is."""
    image = require("PIL.Image")
    high, wide = frame.shape[:2]
    share = min(1.0, most[0] / wide, most[1] / high)
    size = max(2, int(wide * share) // 2 * 2), max(2, int(high * share) // 2 * 2)
    if size == (wide, high):
        return frame
    drawn: Frame = np.asarray(image.fromarray(frame).resize(size, image.Resampling.BOX))
    return drawn
