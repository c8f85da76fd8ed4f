"""Helpers' claims in a picture: a mark and a number at each claim's place, and its words below the die."""

import textwrap
from collections.abc import Sequence

from rewardtree.domains.chip.packing import GRID
from rewardtree.domains.chip.sketch import (
    Box,
    Sheet,
    badge,
    clean,
    net_title,
    number,
    outline,
    overlap,
    put,
    star,
    write,
)
from rewardtree.tasks.exhibit import Claim, Claims

COLUMNS = 56
"""Characters that surely fit on a line beside a number."""
LINE = 17.0
"""Height of a line of text."""
BADGE = 18.0
"""Side of the box that a number takes."""

Marked = tuple[Box | None, str, str]
"""The marked box, the place in the statement's words, and where it is."""


def mark_claims(sheet: Sheet, claims: Claims) -> list[Marked]:
    """Mark the place of every claim on the die."""
    return [_mark(sheet, claim, int(claim.place[sheet.row])) for claim in claims.values()]


def write_claims(sheet: Sheet, claims: Claims, marked: Sequence[Marked], taken: Sequence[Box], y: float) -> float:
    """Number the marks, and write out the claims from `y` downwards.

    Args:
        sheet: where.
        claims: by quantity.
        marked: of each claim, from `mark_claims`.
        taken: boxes that numbers should not hide.
        y: height of the first line.

    Returns:
        The height at which to go on.
    """
    left = sheet.die[0]
    hidden = [*taken, *(box for box, *_ in marked if box is not None and box[2] < 2 * BADGE)]
    for digit, (claim, (box, words, where)) in enumerate(zip(claims.values(), marked, strict=True), start=1):
        if box is not None:
            spot = _free_spot(sheet, box, hidden)
            hidden.append(spot)
            badge(sheet.svg, (spot[0] + BADGE / 2, spot[1] + BADGE / 2), digit)
        badge(sheet.svg, (left + 9, y - 4.5), digit)
        said = claim.statement.format(place=words, value=float(claim.value[sheet.row]))
        author = clean(claim.author) + ":"
        for line in textwrap.wrap(f"{author} {clean(said)}", COLUMNS):
            label = write(sheet.svg, (left + 26, y), line)
            if line.startswith(author):
                label.text = None
                put(label, "tspan", author, class_="bold").tail = line[len(author) :]
            y += LINE
        for line in textwrap.wrap(clean(where), COLUMNS):
            write(sheet.svg, (left + 26, y - 1), line, "soft")
            y += LINE
        y += 6
    return y


def _mark(sheet: Sheet, claim: Claim, place: int) -> Marked:
    """Mark one claim's place, by what checks the claim."""
    if {"temperature", "current"} & set(claim.check) and 0 <= place < GRID * GRID:
        row, column = divmod(place, GRID)
        cell = sheet.die[2] / GRID
        box = (sheet.die[0] + column * cell, sheet.die[1] + (GRID - 1 - row) * cell, cell, cell)
        outline(sheet.svg, box)
        return box, str(place), f"marked: row {row}, column {column} from the lower left"
    if "surroundings" in claim.check and place in sheet.boxes:
        outline(sheet.svg, sheet.boxes[place])
        return sheet.boxes[place], sheet.names[place], f"marked: block {sheet.names[place]}"
    if "item_power" in claim.check:
        return _mark_item(sheet, claim, place)
    return None, str(place), ""


def _mark_item(sheet: Sheet, claim: Claim, place: int) -> Marked:
    """Mark a net, or the block whose leakage is meant."""
    nets = sheet.layouts.netlists.activity.shape[1]
    worth = "" if claim.items is None else f", {number(claim.items[sheet.row, place])} W claimed"
    if 0 <= place < nets and sheet.pins(place):
        x, y = star(sheet, place, ("ring", 6.5), ("mark", 3.0), title=net_title(sheet, place))
        return (x - 2, y - 2, 4.0, 4.0), f"net {place}", f"marked: {sheet.net_name(place)}{worth}"
    if place - nets in sheet.boxes:
        box, name = sheet.boxes[place - nets], sheet.names[place - nets]
        outline(sheet.svg, box)
        return box, name, f"marked: leakage of block {name}{worth}"
    return None, str(place), ""


def _free_spot(sheet: Sheet, anchor: Box, hidden: Sequence[Box]) -> Box:
    """Where a number beside `anchor`, or across its border if that is large, hides least."""
    x, y, w, h = anchor
    away = 0.55 if min(w, h) > 2 * BADGE else 1.05
    shares = [(i, j) for j in (0.0, 0.5, 1.0) for i in (0.0, 0.5, 1.0) if (i, j) != (0.5, 0.5)]
    corners = [
        (x + i * w - BADGE * (i + (1 - 2 * i) * away), y + j * h - BADGE * (j + (1 - 2 * j) * away)) for i, j in shares
    ]
    left, top, die = sheet.die[0], sheet.die[1], sheet.die[2]
    spots = [
        (min(max(a, left), left + die - BADGE), min(max(b, top), top + die - BADGE), BADGE, BADGE) for a, b in corners
    ]
    avoided = [*hidden] if away < 1 else [*hidden, anchor]
    return min(spots, key=lambda spot: sum(overlap(spot, box) for box in avoided))
