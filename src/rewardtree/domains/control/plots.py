"""What moved, as a plot on a clip's time line: a strip a sensor, from its least to its greatest value.

The left end is the clip's beginning and the right end the end of its time line, so that a cursor and marked seconds lie
where they belong.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

import numpy as np
from jaxtyping import Float

WIDTH, STRIP = 520.0, 46.0
"""Of the plot and of each of its strips, in units of the drawing."""
HEAD = 18.0
"""Of a strip, for its words."""
LEAST = {"m": 0.1, "m/s": 0.2, "°": 5.0, "°/s": 20.0, "%": 1.0}
"""A span below which nothing is drawn larger, by unit; elsewhere it is `FINEST`."""
FINEST = 0.1
STYLE = """
svg{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;font-size:15px}
text{stroke:#fff;stroke-width:3;paint-order:stroke}.name{fill:#1b212b;font-weight:600}.range{fill:#565f6c;text-anchor:end}.back{fill:#f1f3f5}
.zero{stroke:#1b212b;stroke-opacity:.25;stroke-width:1;vector-effect:non-scaling-stroke}
.line{fill:none;stroke:#0060a8;stroke-width:1.8;stroke-linejoin:round}.end{fill:#0060a8}
@media (max-width:280px){.name{font-size:24px;font-weight:500;transform:translateY(10px)}.range{display:none}
.line{stroke-width:3}}
@media (prefers-color-scheme:dark){text{stroke:#1b2027}.name{fill:#e7eaef}.range{fill:#a9b2be}.back{fill:#262d36}
.zero{stroke:#e7eaef}.line{stroke:#6cb6ff}.end{fill:#6cb6ff}}
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """What one sensor said.

    Attributes:
        name: of the sensor.
        unit: of its values.
        seconds: of the clip, increasing.
        values: at these.
    """

    name: str
    unit: str
    seconds: Float[np.ndarray, " points"]
    values: Float[np.ndarray, " points"]

    @property
    def told(self) -> str:
        """How it moved, in words."""
        low, high = float(self.values.min()), float(self.values.max())
        return (f"{self.name} from {number(self.values[0])} to {number(self.values[-1])}{self._unit}, between "
                f"{number(low)} and {number(high)}")  # fmt: skip

    @property
    def range(self) -> str:
        """The ends of what it said."""
        low, high = float(self.values.min()), float(self.values.max())
        return f"{number(low)} to {number(high)}{self._unit}"

    @property
    def _unit(self) -> str:
        return f"\N{NO-BREAK SPACE}{self.unit}" if self.unit else ""


def number(value: float) -> str:
    """Up to three digits of a value, with a proper minus sign."""
    value = float(value)
    if abs(value) < 5e-4:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    told = f"{value:.{min(digits, 3)}f}"
    return (told.rstrip("0").rstrip(".") if "." in told else told).replace("-", "\N{MINUS SIGN}")


def plot(curves: Sequence[Curve], seconds: float) -> tuple[str, float]:
    """The plot as an SVG, and its height; its width is `WIDTH`.

    Args:
        curves: from above.
        seconds: to which it reaches.
    """
    height = STRIP * len(curves)
    svg = ET.Element("svg", {
        "xmlns": "http://www.w3.org/2000/svg", "viewBox": f"0 0 {WIDTH:g} {height:g}", "width": f"{WIDTH:g}",
        "height": f"{height:g}",
    })  # fmt: skip
    ET.SubElement(svg, "style").text = STYLE.replace("\n", "")
    for place, curve in enumerate(curves):
        _strip(svg, curve, place * STRIP, seconds)
    return ET.tostring(svg, encoding="unicode"), height


def _strip(svg: ET.Element, curve: Curve, top: float, seconds: float) -> None:
    low, high = span(curve.values, LEAST.get(curve.unit, FINEST))
    tall = STRIP - HEAD - 5

    def down(value: float) -> float:
        return top + HEAD + tall * (1 - (value - low) / (high - low))

    ET.SubElement(svg, "rect", {"class": "back", "y": f"{top + HEAD:g}", "width": f"{WIDTH:g}",
                                "height": f"{STRIP - HEAD - 3:g}"})  # fmt: skip
    if low < 0 < high:
        ET.SubElement(svg, "path", {"class": "zero", "d": f"M0 {down(0.0):.1f}H{WIDTH:g}"})
    along = curve.seconds / seconds * WIDTH
    points = [(x, down(value)) for x, value in zip(along.tolist(), curve.values.tolist(), strict=True)]
    ET.SubElement(svg, "path", {"class": "line", "d": "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)})
    if points[-1][0] < WIDTH - 6:
        ET.SubElement(svg, "circle", {"class": "end", "cx": f"{points[-1][0]:.1f}", "cy": f"{points[-1][1]:.1f}",
                                      "r": "2.6"})  # fmt: skip
    ET.SubElement(svg, "text", {"class": "name", "x": "0", "y": f"{top + HEAD - 3:g}"}).text = curve.name
    ET.SubElement(svg, "text", {"class": "range", "x": f"{WIDTH:g}", "y": f"{top + HEAD - 3:g}"}).text = curve.range


def span(values: Float[np.ndarray, " points"], least: float) -> tuple[float, float]:
    """The ends of a strip.

    They are 1, 2 or 5 times a power of ten from each other, the least such width that holds the values and is no less
    than `least`, so that like movements are drawn alike in two plots.
    """
    low, high = float(values.min()), float(values.max())
    wide = max(high - low, least)
    power = 10.0 ** math.floor(math.log10(wide))
    wide = next(step * power for step in (1, 2, 5, 10) if step * power >= wide * (1 - 1e-9))
    middle = (low + high) / 2
    return middle - wide / 2, middle + wide / 2
