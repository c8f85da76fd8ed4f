"""Clips of pieces of rollouts: which steps are shown when, and WebM of their frames."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from jaxtyping import UInt8

from rewardtree.domains.control.drawing import Frame
from rewardtree.domains.control.environments import require

RATE = 15
"""Frames a second, at most."""
SHORTEST, LONGEST = 1.5, 8.0
"""Seconds that a clip lasts at least and at most; others play slower or faster, by powers of two."""
SLOWER = 4
"""Times as slow as the clip is a part of it in slow motion."""
PICTURE = 80
"""Quality of a still, of 100."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Timing:
    """How steps of a simulator become seconds of a clip.

    Attributes:
        step: simulated seconds of a step.
        steps: of the longest piece that is compared; shorter ones stand still at their end.
        speed: simulated seconds a second of the clip.
    """

    step: float
    steps: int
    speed: float

    @property
    def seconds(self) -> float:
        """Of the clip."""
        return self.steps * self.step / self.speed

    def at(self, step: float | int) -> float:
        """The second of the clip at which a step begins."""
        return step * self.step / self.speed

    def shown(self, length: int) -> list[int]:
        """The step that each frame shows."""
        count = max(1, round(self.seconds * RATE))
        return [min(int((frame + 0.5) * self.steps / count), length - 1) for frame in range(count)]

    @property
    def pace(self) -> str:
        """How much faster or slower than it was it plays, in words."""
        return f"{self.speed:g} times faster" if self.speed > 1 else f"{1 / self.speed:g} times slower"


def timing(step: float, steps: int) -> Timing:
    """How so many steps are best shown."""
    real, speed = step * steps, 1.0
    while real / speed < SHORTEST:
        speed /= 2
    while real / speed > LONGEST:
        speed *= 2
    return Timing(step=step, steps=steps, speed=speed)


def webm(frames: Sequence[Frame], rate: float) -> str:
    """A clip of frames of one size, VP9 in WebM, in base64; the same frames always give the same bytes."""
    av = require("av")
    held = io.BytesIO()
    with av.open(held, "w", format="webm", options={"fflags": "+bitexact"}) as film:
        stream = film.add_stream("libvpx-vp9", rate=Fraction(rate).limit_denominator(1000))
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        stream.options = {"deadline": "realtime", "cpu-used": "6", "crf": "40", "b": "0", "row-mt": "0"}
        for frame in frames:
            film.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        film.mux(stream.encode())
    return base64.b64encode(held.getvalue()).decode()


def still(frame: UInt8[np.ndarray, "height width 3"]) -> str:
    """A frame as WebP, in base64."""
    held = io.BytesIO()
    require("PIL.Image").fromarray(frame).save(held, "WEBP", quality=PICTURE)
    return base64.b64encode(held.getvalue()).decode()
