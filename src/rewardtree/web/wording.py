"""Figures in words. Filters for the templates."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from rewardtree.preferences.quality import Figure

NOTHING = "\N{EN DASH}"


def percent(figure: Figure) -> str:
    """A share in per cent."""
    return NOTHING if figure.mean is None else f"{100 * figure.mean:.1f}\N{NO-BREAK SPACE}%"


def percents(figure: Figure) -> str:
    """A share's interval in per cent, and what it was taken from."""
    if figure.mean is None or figure.low is None or figure.high is None:
        return "" if not figure.n else f"of {figure.n}"
    return f"{100 * figure.low:.1f} to {100 * figure.high:.1f}\N{NO-BREAK SPACE}%, of\N{NO-BREAK SPACE}{figure.n}"


def points(figure: Figure) -> str:
    """A difference of shares in points."""
    return NOTHING if figure.mean is None else f"{signed(100 * figure.mean, 1)} points"


def pointed(figure: Figure) -> str:
    """A difference's interval in points, and what it was taken from."""
    if figure.mean is None or figure.low is None or figure.high is None:
        return "" if not figure.n else f"of {figure.n}"
    return f"{signed(100 * figure.low, 1)} to {signed(100 * figure.high, 1)} points, of {figure.n}"


def plain(figure: Figure) -> str:
    """A figure that is no share."""
    return NOTHING if figure.mean is None else f"{figure.mean:.2f}".replace("-", "\N{MINUS SIGN}")


def plains(figure: Figure) -> str:
    """Its interval."""
    if figure.mean is None or figure.low is None or figure.high is None:
        return "" if not figure.n else f"of {figure.n}"
    return f"{figure.low:.2f} to {figure.high:.2f}, of {figure.n}".replace("-", "\N{MINUS SIGN}")


def reliable(share: float) -> str:
    """What checks of a helper's claims found; the help says what the number is."""
    return f"{100 * share:.0f}\N{NO-BREAK SPACE}% reliable when checked"


def signed(value: float, digits: int) -> str:
    """A number with its sign."""
    return f"{value:+.{digits}f}".replace("-", "\N{MINUS SIGN}")


def number(value: float | None, digits: int = 1) -> str:
    """A number, if there is one."""
    return NOTHING if value is None else f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}")


def moment(at: float | None) -> str:
    """A time of this machine's clock."""
    return NOTHING if at is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(at))


def span(seconds: float) -> str:
    """A length of time.

    Example:
        >>> span(900.0), span(60.0), span(45.0)
        ('15 minutes', '1 minute', '45 seconds')
    """
    count, unit = (round(seconds / 60), "minute") if seconds >= 60 else (round(seconds), "second")
    return f"{count} {unit}" + ("" if count == 1 else "s")


WORDS: Mapping[str, Callable[..., Any]] = {
    "percent": percent,
    "percents": percents,
    "points": points,
    "pointed": pointed,
    "plain": plain,
    "plains": plains,
    "reliable": reliable,
    "number": number,
    "moment": moment,
    "span": span,
}
"""For the templates, by name."""
