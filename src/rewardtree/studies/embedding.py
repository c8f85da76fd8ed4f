"""Foreign SVG for a page that runs no script and fetches nothing: only what draws is let through."""

import re
from typing import NamedTuple
from xml.etree import ElementTree as ET

from markupsafe import Markup

_SVG = "{http://www.w3.org/2000/svg}"
_DRAWN = frozenset(
    [
        "svg",
        "g",
        "defs",
        "symbol",
        "use",
        "path",
        "rect",
        "circle",
        "ellipse",
        "line",
        "polyline",
        "polygon",
        "text",
        "tspan",
        "title",
        "desc",
        "style",
        "clipPath",
        "mask",
        "pattern",
        "marker",
        "linearGradient",
        "radialGradient",
        "stop",
    ]
)
_LINKS = re.compile(r"url\(\s*['\"]?(?!#)|@import|image-set|src\s*:|\\", re.IGNORECASE)
"""What a style may not hold; a backslash could hide the rest."""


class Embedded(NamedTuple):
    """A picture that may stand in a page, and whether it is much wider than high."""

    svg: Markup
    wide: bool


def embedded(source: str) -> Embedded | None:
    """A picture as it may stand in a page, or None where it is no SVG, or holds more than drawing.

    Args:
        source: SVG of its own, with its namespace.
    """
    try:
        root = ET.fromstring(source)
    except ET.ParseError:
        return None
    if root.tag != _SVG + "svg" or not all(_harmless(element) for element in root.iter()):
        return None
    for element in root.iter():
        element.tag = element.tag.removeprefix(_SVG)
    return Embedded(svg=Markup(ET.tostring(root, encoding="unicode")), wide=_is_wide(root))


def _harmless(element: ET.Element) -> bool:
    if element.tag.removeprefix(_SVG) not in _DRAWN:
        return False
    for name, value in element.attrib.items():
        local = name.rpartition("}")[2].lower()
        link = local in ("href", "src") and not value.startswith("#")
        if link or local.startswith("on") or _LINKS.search(value):
            return False
    return not (element.tag == _SVG + "style" and _LINKS.search(element.text or ""))


def _is_wide(root: ET.Element) -> bool:
    box = re.findall(r"[\d.]+", root.get("viewBox", "")) or [
        "0",
        "0",
        root.get("width", ""),
        root.get("height", ""),
    ]
    try:
        return float(box[2]) > 1.15 * float(box[3])
    except (IndexError, ValueError):
        return False
