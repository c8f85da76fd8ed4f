"""Numbers in words for people: as many digits as an interval supports, nothing made up where nothing is known."""

import math
from collections.abc import Mapping
from typing import Any, Literal

Style = Literal["share", "plain", "count", "seconds"]
UNDEFINED, UNKNOWN = "undefined", "not measured"
_NARROW, _MINUS = "\N{NO-BREAK SPACE}", "\N{MINUS SIGN}"


def mean_of(estimate: Any) -> float | None:
    """The middle of an estimate, or of a bare number; None where there is none."""
    value = estimate.get("mean") if isinstance(estimate, Mapping) else estimate
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def ends_of(estimate: Any) -> tuple[float, float] | None:
    """The ends of an estimate's interval; None where it has none or its width is zero."""
    if mean_of(estimate) is None or not isinstance(estimate, Mapping):
        return None
    low, high = mean_of(estimate.get("low")), mean_of(estimate.get("high"))
    return None if low is None or high is None or high <= low else (low, high)


def middle(estimate: Any, style: Style = "plain") -> str:
    r"""An estimate without its interval.

    Example:
        >>> middle({"mean": 0.7123, "low": 0.69, "high": 0.73, "n": 5, "unit": "seeds"}, "share")
        '71.2\xa0%'
        >>> middle("undefined")
        'undefined'
    """
    value = mean_of(estimate)
    if value is None:
        return UNDEFINED if estimate == UNDEFINED else UNKNOWN
    return number(value, style, digits=_decimals(estimate, style))


def interval(estimate: Any, style: Style = "plain") -> str:
    r"""An estimate's interval, or nothing where it has none.

    Example:
        >>> interval({"mean": 0.7123, "low": 0.69, "high": 0.73, "n": 5, "unit": "seeds"}, "share")
        '69.0 to 73.0\xa0%'
    """
    ends = ends_of(estimate)
    if ends is None:
        return ""
    digits = _decimals(estimate, style)
    return f"{number(ends[0], style, digits=digits, unit=False)} to {number(ends[1], style, digits=digits)}"


def both(estimate: Any, style: Style = "plain") -> str:
    """An estimate and its interval."""
    ends = interval(estimate, style)
    return middle(estimate, style) + (f" ({ends})" if ends else "")


def points(difference: float) -> str:
    """A difference of shares in percentage points, without its sign.

    Example:
        >>> points(-0.123)
        '12.3 points'
    """
    return f"{abs(100 * difference):.1f} points"


def number(value: float, style: Style = "plain", *, digits: int | None = None, unit: bool = True) -> str:
    r"""A number with its unit.

    Args:
        value: in units, where a share of 1 is 100 %.
        style: how it is written.
        digits: after the point; found from the value if None.
        unit: whether the unit is written.

    Example:
        >>> number(12345.6), number(0.71234, "share")
        ('12,346', '71.2\xa0%')
        >>> number(5400, "seconds")
        '1 h 30 min'
    """
    if style == "seconds":
        return duration(value)
    if style == "count":
        digits = 0
    shown = 100 * value if style == "share" else value
    if digits is None:
        digits = min(_few(shown), 1) if style == "share" else _few(shown)
    text = f"{shown:,.{digits}f}"
    if text.startswith("-"):
        text = _MINUS + text[1:] if float(text.replace(",", "")) else text[1:]
    return text + (f"{_NARROW}%" if style == "share" and unit else "")


def duration(seconds: float) -> str:
    """A time for people.

    Example:
        >>> duration(4.12), duration(61.2), duration(86_500)
        ('4.12 s', '1 min 1 s', '24 h 1 min')
    """
    if seconds < 60:
        return f"{seconds:.{_few(seconds) if seconds < 10 else 0}f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def plain_words(name: str) -> str:
    """An identifier as words: underscores are blanks, the first letter is a capital."""
    words = name.replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def _decimals(estimate: Any, style: Style) -> int | None:
    """Two digits of half the interval; shares have one at the most."""
    ends = ends_of(estimate)
    if ends is None:
        return None
    if style == "share":
        return 1 if ends[1] - ends[0] < 0.2 else 0
    return min(max(1 - math.floor(math.log10((ends[1] - ends[0]) / 2)), 0), 4)


def _few(value: float) -> int:
    """Decimals for three digits, none for whole numbers."""
    if value == round(value) or not math.isfinite(value):
        return 0
    return min(max(2 - math.floor(math.log10(abs(value))), 0), 4)
