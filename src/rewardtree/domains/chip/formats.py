"""Netlists from floorplanning files: GSRC Bookshelf (`.blocks` with `.nets`) and MCNC YAL (`.yal`).

What the files lack is filled in, the same way in every run:

- sizes are scaled, in proportion, to a total block area of `BLOCK_AREA`; power to `TOTAL_POWER` and
  activities to `TOTAL_ACTIVITY`;
- power and tags are read from `name.power.csv` beside `name.blocks` or `name.yal`, where there is one, with
  the columns block, power_w, leakage_w, secret, untrusted, critical (tags are 0 or 1). Else each block's
  dynamic power is its area times a log-normal density drawn from a seed made of its name, leakage is
  `LEAKAGE` of all power in proportion to area, and tags are drawn from a seed made of the file's name;
- each net is as active as any other, or as its weight in `name.wts` says; nets that join the same blocks are
  one.

Terminals (pads) are not placed. Nets that join fewer than two blocks without them are dropped.
"""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from rewardtree.domains.chip.bookshelf import read_bookshelf, read_placement
from rewardtree.domains.chip.generate import draw_tags, random_of
from rewardtree.domains.chip.netlist import BLOCK_AREA, TOTAL_ACTIVITY, TOTAL_POWER, Netlist
from rewardtree.domains.chip.parsed import LARGEST, SMALLEST, Parsed, number, read_text
from rewardtree.domains.chip.yal import read_yal
from rewardtree.errors import InputFileError

DENSITY_SPREAD = 0.8
"""Standard deviation of the logarithm of a block's dynamic power density, where the file gives no power."""
LEAKAGE = 0.225
"""Share of leakage in all power, where the file gives no power."""
_COLUMNS = ["block", "power_w", "leakage_w", "secret", "untrusted", "critical"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """A netlist and what became of its file.

    Attributes:
        netlist: ready to be placed.
        terminals: pads, which are not placed.
        dropped: nets that join fewer than two blocks or carry supply.
        bundled: nets that were joined with another one on the same blocks.
        reshaped: soft blocks and blocks that are no rectangle, which got one.
        millimetres: what one unit of the file became.
        corners: lower left corners from the sibling `.pl` file in mm, nan where it leaves a block out,
            [blocks, 2]; None without such a file.
        has_power: whether power and tags were read and not made up.
    """

    netlist: Netlist
    terminals: int
    dropped: int
    bundled: int
    reshaped: int
    millimetres: float
    corners: Float[np.ndarray, "blocks 2"] | None
    has_power: bool


def read_netlist(path: Path) -> Netlist:
    """Read a `.blocks` file with its siblings, or a `.yal` file.

    Raises:
        InputFileError: where a file is missing or broken; names the file, the line and the remedy.
    """
    return read_file(path).netlist


def read_file(path: Path) -> Reading:
    """As `read_netlist`, with a report of what was dropped, reshaped and filled in.

    Raises:
        InputFileError: where a file is missing or broken; names the file, the line and the remedy.
    """
    if path.suffix not in (".blocks", ".yal"):
        raise InputFileError(path, None, "is neither .blocks nor .yal", "give one of these")
    is_yal = path.suffix == ".yal"
    parsed = read_yal(path) if is_yal else read_bookshelf(path)
    area = parsed.width * parsed.height
    scale = float(np.sqrt(BLOCK_AREA / area.sum()))
    sidecar, places = path.with_suffix(".power.csv"), path.with_suffix(".pl")
    has_power = sidecar.exists()
    power, leakage, tags = _read_power(sidecar, parsed.names) if has_power else _make_power(path, parsed)
    watts = TOTAL_POWER / (power.sum() + leakage.sum())
    bundles: dict[tuple[int, ...], float] = {}
    for pins, weight in zip(parsed.nets, parsed.activity, strict=True):
        bundles[pins] = bundles.get(pins, 0.0) + float(weight)
    activity = np.array(list(bundles.values()))
    netlist = Netlist(
        name=path.stem,
        block_names=parsed.names,
        width=parsed.width * scale,
        height=parsed.height * scale,
        power=power * watts,
        leakage=leakage * watts,
        secret=tags[0],
        untrusted=tags[1],
        critical=tags[2],
        net_start=np.concatenate([[0], np.cumsum([len(pins) for pins in bundles])]),
        net_pins=np.concatenate([np.array(pins) for pins in bundles]),
        activity=activity * (TOTAL_ACTIVITY / activity.sum()),
    )
    placed = read_placement(places, parsed.names) * scale if places.exists() and not is_yal else None
    return Reading(
        netlist=netlist,
        terminals=parsed.terminals,
        dropped=parsed.dropped,
        bundled=len(parsed.nets) - len(bundles),
        reshaped=parsed.reshaped,
        millimetres=scale,
        corners=placed,
        has_power=has_power,
    )


def _make_power(
    path: Path, parsed: Parsed
) -> tuple[Float[np.ndarray, " blocks"], Float[np.ndarray, " blocks"], Bool[np.ndarray, "tags blocks"]]:
    """Power, leakage and tags where the file has none."""
    share = parsed.width * parsed.height
    share /= share.sum()
    deviation = np.array([random_of(name, "power density").standard_normal() for name in parsed.names])
    power = share * np.exp(DENSITY_SPREAD * deviation)
    tags = draw_tags(random_of(path.stem, "tags"), len(share), 1)
    return power * ((1 - LEAKAGE) / power.sum()), share * LEAKAGE, np.concatenate(tags)


def _read_power(
    path: Path, names: tuple[str, ...]
) -> tuple[Float[np.ndarray, " blocks"], Float[np.ndarray, " blocks"], Bool[np.ndarray, "tags blocks"]]:
    """Power, leakage and tags of each block from the sidecar."""
    text = read_text(path, ".power.csv file")
    try:
        rows = list(csv.reader(io.StringIO(text.replace("\r\n", "\n")), strict=True))
    except csv.Error as error:
        raise InputFileError(path, None, f"is no table ({error})", f"write rows of {','.join(_COLUMNS)}") from error
    if [word.strip() for word in rows[0]] != _COLUMNS:
        raise InputFileError(path, 1, "the columns differ", f"begin with {','.join(_COLUMNS)}")
    number_of = {name: index for index, name in enumerate(names)}
    watts = np.full((2, len(names)), np.nan)
    tags = np.zeros((3, len(names)), dtype=bool)
    for line, row in enumerate(rows[1:], start=2):
        words = [word.strip() for word in row]
        if not words or words == [""]:
            continue
        if len(words) != len(_COLUMNS) or words[0] not in number_of:
            problem = f"the row has {len(words)} columns, or its block {words[0][:40]!r} is not among the blocks"
            raise InputFileError(path, line, problem, f"write {','.join(_COLUMNS)} of a block")
        block = number_of[words[0]]
        if np.isfinite(watts[0, block]):
            raise InputFileError(path, line, f"block {words[0]} is there a second time", "give each one row")
        watts[:, block] = [number(path, line, word, "the power") for word in words[1:3]]
        if watts[:, block].min() < 0 or watts[:, block].max() > LARGEST:
            raise InputFileError(path, line, "the power is out of range", f"give 0 to {LARGEST:g} W")
        if not set(words[3:]) <= {"0", "1"}:
            raise InputFileError(path, line, "a tag is neither 0 nor 1", "write 0 or 1")
        tags[:, block] = [word == "1" for word in words[3:]]
        if tags[1, block] and (tags[0, block] or tags[2, block]):
            problem = f"block {words[0]} is untrusted and secret or critical"
            raise InputFileError(path, line, problem, "tag it as one or the other")
    missing = [name for name, watt in zip(names, watts[0], strict=True) if not np.isfinite(watt)]
    if missing:
        problem = f"{len(missing)} blocks have no row, {missing[0]} for one"
        raise InputFileError(path, None, problem, "give each block a row")
    if watts.sum() < SMALLEST:
        raise InputFileError(path, None, "has no power above 0", "give one, or remove the file")
    return watts[0], watts[1], tags
