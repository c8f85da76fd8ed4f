"""Readers and writers of the Bookshelf floorplanning formats that the GSRC benchmarks come in.

The formats are described in the MARCO GSRC Bookshelf, block packing slot (Dai, Wu & Zhang, "New block packing
formats") and in the UCLA placement formats that it builds upon. In short:

- `.blocks`: how many blocks of each kind, then `name hardrectilinear 4 (0, 0) (0, 3) (2, 3) (2, 0)`, `name
  softrectangular area min_aspect max_aspect` or `name terminal` a line; vertices may go on in the next lines.
- `.nets`: `NumNets : n` and `NumPins : n`, then each net as `NetDegree : d name` and d lines that begin with
  a block's or terminal's name.
- `.pl`: `name x y` a line, the lower left corner.
- `.wts`: `net weight` a line.

`#` begins a comment; the first line of each file, such as `UCSC blocks 1.0`, may be left out.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from rewardtree.domains.chip.netlist import Netlist
from rewardtree.domains.chip.parsed import LARGEST, SMALLEST, Parsed, check, number, read_text, size
from rewardtree.errors import InputFileError, TaskError

_VERTEX = re.compile(r"\(\s*([^\s,()]+)\s*,?\s*([^\s,()]+)\s*\)")
_COUNT = re.compile(r"(\w+)\s*:\s*(\S+)(.*)")
_BLOCK_COUNTS = ("NumSoftRectangularBlocks", "NumHardRectilinearBlocks", "NumTerminals")
_MICRONS = 1000.0
"""Written lengths are in microns."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Blocks:
    """A `.blocks` file: each block's width and height, and the terminals."""

    sizes: dict[str, tuple[float, float]]
    terminals: set[str]
    reshaped: int


def read_bookshelf(path: Path) -> Parsed:
    """Read a `.blocks` file and its siblings of the same stem: `.nets`, and `.wts` where there is one.

    Soft blocks get the shape nearest to a square that they allow, rectilinear ones their bounding box.

    Raises:
        InputFileError: where a file is missing or broken.
    """
    blocks = _read_blocks(path)
    nets = path.with_suffix(".nets")
    number_of = {name: index for index, name in enumerate(blocks.sizes)}
    found = _read_nets(nets, number_of, blocks.terminals)
    weights = path.with_suffix(".wts")
    weight = _read_weights(weights, found) if weights.exists() else dict.fromkeys(found, 1.0)
    kept = [name for name, pins in found.items() if len(pins) > 1]
    shapes = np.array(list(blocks.sizes.values())).reshape(-1, 2)
    return check(
        path,
        Parsed(
            names=tuple(blocks.sizes),
            width=shapes[:, 0],
            height=shapes[:, 1],
            nets=tuple(tuple(sorted(found[name])) for name in kept),
            activity=np.array([weight[name] for name in kept]),
            terminals=len(blocks.terminals),
            dropped=len(found) - len(kept),
            reshaped=blocks.reshaped,
        ),
    )


def _lines(path: Path, what: str) -> Iterator[tuple[int, str]]:
    """Numbered lines with content, without comments and the title line."""
    first = True
    for index, line in enumerate(read_text(path, what).split("\n")):
        content = line.split("#")[0].strip()
        if content and not (first and re.match(r"UC\w+\s+\w+\s+[\d.]+$", content)):
            yield index + 1, content
        first = first and not content


def _read_blocks(path: Path) -> _Blocks:
    lines = list(_lines(path, ".blocks file"))
    counts: dict[str, tuple[int, int]] = {}
    sizes: dict[str, tuple[float, float]] = {}
    terminals: set[str] = set()
    kinds = dict.fromkeys(_BLOCK_COUNTS, 0)
    reshaped, place = 0, 0
    while place < len(lines):
        line, content = lines[place]
        place += 1
        words = content.split()
        if (match := _COUNT.fullmatch(content)) and match[1] in _BLOCK_COUNTS:
            counts[match[1]] = _count(path, line, match), line
            continue
        if words[0] in sizes or words[0] in terminals:
            raise InputFileError(path, line, f"{words[0]} is there a second time", "give each its own name")
        if len(words) > 1 and words[1] == "hardrectilinear":
            while place < len(lines) and lines[place][1][0] in "(,:":
                content += " " + lines[place][1]
                place += 1
            sizes[words[0]], is_box = _hard(path, line, content)
            reshaped += not is_box
            kinds["NumHardRectilinearBlocks"] += 1
        elif len(words) > 1 and words[1] == "softrectangular":
            sizes[words[0]] = _soft(path, line, words)
            reshaped += 1
            kinds["NumSoftRectangularBlocks"] += 1
        elif "terminal" in words[1:]:
            terminals.add(words[0])
            kinds["NumTerminals"] += 1
        else:
            remedy = "write 'name hardrectilinear 4 (x, y) ...', 'name softrectangular ...' or 'name terminal'"
            raise InputFileError(path, line, f"cannot read {content[:40]!r}", remedy)
    if not set(counts) & set(_BLOCK_COUNTS[:2]):
        raise InputFileError(path, None, "does not say how many blocks there are", f"add {_BLOCK_COUNTS[1]} : n")
    for kind, found in kinds.items():
        _agree(path, kind, counts.get(kind, (0, None)), found)
    return _Blocks(sizes=sizes, terminals=terminals, reshaped=reshaped)


def _count(path: Path, line: int, match: re.Match[str]) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", match[2]) or match[3].strip():
        raise InputFileError(path, line, f"{match[1]} is no count", f"write {match[1]} : 12")
    return int(match[2])


def _agree(path: Path, kind: str, said: tuple[int | None, int | None], found: int) -> None:
    """Compare a count, given with its line, with what there is."""
    count, line = said
    if count != found:
        problem = f"{kind} says {'nothing' if count is None else count}, but there are {found}"
        raise InputFileError(path, line, problem, "mend the count, or the file is cut off")


def _hard(path: Path, line: int, content: str) -> tuple[tuple[float, float], bool]:
    """Size of the bounding box, and whether the block fills it."""
    words, _, vertices = content.partition("(")
    vertices = f"({vertices.partition(':')[0]}"
    corners = [
        (number(path, line, x, "the corner"), number(path, line, y, "the corner")) for x, y in _VERTEX.findall(vertices)
    ]
    said = words.split()[2:]
    if len(said) != 1 or said[0] != str(len(corners)) or len(corners) < 4:
        problem = f"the block says {' '.join(said)[:40] or 'no'} corners and gives {len(corners)}"
        raise InputFileError(path, line, problem, "write the number of corners, 4 or more, and each as (x, y)")
    if _VERTEX.sub("", vertices).strip(" ,"):
        rest = _VERTEX.sub("", vertices).strip(" ,")
        raise InputFileError(path, line, f"cannot read {rest[:40]!r}", "write each corner as (x, y)")
    x, y = np.clip(np.array(corners).T, -LARGEST, LARGEST)
    width, height = float(np.ptp(x)), float(np.ptp(y))
    size(path, line, width, "the width")
    size(path, line, height, "the height")
    area = abs(float(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))) / 2
    return (width, height), bool(np.isclose(area, width * height))


def _soft(path: Path, line: int, words: Sequence[str]) -> tuple[float, float]:
    """Width and height of the shape nearest to a square, of height / width within the aspect ratios."""
    said = words[2 : words.index(":") if ":" in words else None]
    if len(said) != 3:
        problem = f"{words[0]} gives {len(said)} numbers"
        raise InputFileError(path, line, problem, "write 'softrectangular area min_aspect max_aspect'")
    area, low, high = (number(path, line, word, "the value") for word in said)
    if not 1e-3 <= low <= high <= 1e3:
        problem = f"the aspect ratios go from {low:g} to {high:g}"
        raise InputFileError(path, line, problem, "give them in rising order, from 0.001 to 1000")
    side = size(path, line, max(area, 0.0) ** 0.5, "the square root of the area")
    ratio = min(max(1.0, low), high)
    return side / ratio**0.5, side * ratio**0.5


def _read_nets(path: Path, blocks: dict[str, int], terminals: set[str]) -> dict[str, set[int]]:
    """Blocks of each net, by its name or place."""
    lines = list(_lines(path, ".nets file"))
    counts: dict[str, tuple[int, int]] = {}
    starts: list[int] = []
    for place, (line, content) in enumerate(lines):
        match = _COUNT.fullmatch(content)
        if match and match[1] in ("NumNets", "NumPins"):
            if starts:
                raise InputFileError(path, line, f"{match[1]} is among the nets", "put it above the first net")
            counts[match[1]] = _count(path, line, match), line
        elif match and match[1] == "NetDegree":
            starts.append(place)
        elif not starts:
            raise InputFileError(path, line, f"cannot read {content[:40]!r}", "begin each net with NetDegree : d")
    nets: dict[str, set[int]] = {}
    pins = 0
    for net, (start, end) in enumerate(pairwise([*starts, len(lines)])):
        line, content = lines[start]
        degree, _, name = content.partition(":")[2].strip().partition(" ")
        name = name.strip() or f"net{net}"
        if degree != str(end - start - 1):
            problem = f"the net says {degree[:40] or 'no'} pins and has {end - start - 1}"
            raise InputFileError(path, line, problem, "mend the number, or the file is cut off")
        if name in nets:
            raise InputFileError(path, line, f"net {name} is there a second time", "give each its own name")
        nets[name] = set()
        pins += end - start - 1
        for line, content in lines[start + 1 : end]:
            owner = content.split()[0]
            if owner in blocks:
                nets[name].add(blocks[owner])
            elif owner not in terminals:
                remedy = "add it to the .blocks file or mend its name"
                raise InputFileError(path, line, f"{owner} is neither block nor terminal", remedy)
    for kind, found in (("NumNets", len(nets)), ("NumPins", pins)):
        _agree(path, kind, counts.get(kind, (None, None)), found)
    return nets


def _read_weights(path: Path, nets: dict[str, set[int]]) -> dict[str, float]:
    """Weight of each net."""
    weights: dict[str, float] = {}
    for line, content in _lines(path, ".wts file"):
        words = content.split()
        if len(words) != 2 or words[0] not in nets or words[0] in weights:
            problem = f"cannot read {content[:40]!r}"
            raise InputFileError(path, line, problem, "write 'net weight', once a net of the .nets file")
        weights[words[0]] = number(path, line, words[1], "the weight")
        if not 0 <= weights[words[0]] <= LARGEST:
            raise InputFileError(path, line, f"the weight is {words[1]}", f"give 0 to {LARGEST:g}")
    if missing := set(nets) - set(weights):
        problem = f"{len(missing)} nets have no weight, {min(missing)} for one"
        raise InputFileError(path, None, problem, "give each net one, or remove the file")
    if sum(weights[name] for name, pins in nets.items() if len(pins) > 1) < SMALLEST:
        problem = "has no weight above 0 for a net between blocks"
        raise InputFileError(path, None, problem, "give one, or remove the file")
    return weights


def read_placement(path: Path, names: Sequence[str]) -> Float[np.ndarray, "blocks 2"]:
    """Read lower left corners from a `.pl` file, in its unit; blocks that it leaves out are at nan.

    Raises:
        InputFileError: where it is missing or broken.
    """
    corner = np.full((len(names), 2), np.nan)
    number_of = {name: index for index, name in enumerate(names)}
    for line, content in _lines(path, ".pl file"):
        words = content.partition(":")[0].split()
        if len(words) != 3:
            raise InputFileError(path, line, f"cannot read {content[:40]!r}", "write 'name x y'")
        x, y = (number(path, line, word, "the place") for word in words[1:])
        if words[0] in number_of:
            corner[number_of[words[0]]] = x, y
    return corner


def write_placement(
    netlist: Netlist,
    path: Path,
    x: Float[np.ndarray, " blocks"],
    y: Float[np.ndarray, " blocks"],
    turned: Bool[np.ndarray, " blocks"] | None = None,
) -> None:
    """Write a `.pl` file: lower left corners in microns, `E` for a block turned by a right angle, else `N`.

    Args:
        netlist: names the blocks.
        path: where to write.
        x: mm, [blocks].
        y: mm, [blocks].
        turned: width and height exchanged, [blocks]; none where not given.
    """
    turned = np.zeros(netlist.blocks, dtype=bool) if turned is None else turned
    rows = zip(_writable(netlist), x * _MICRONS, y * _MICRONS, turned, strict=True)
    lines = [f"{name} {a:.9g} {b:.9g} : {'E' if turn else 'N'}" for name, a, b, turn in rows]
    path.write_text("\n".join(["UCLA pl 1.0", "", *lines, ""]), encoding="utf-8")


def write_bookshelf(netlist: Netlist, path: Path) -> None:
    """Write `path`, a `.blocks` file in microns, and the siblings `.nets`, `.wts` and `.power.csv`.

    `read_netlist` gives the netlist back from them, to about nine digits.

    Raises:
        TaskError: where a block's name cannot be written in the format.
    """
    names = _writable(netlist)
    sizes = zip(names, netlist.width * _MICRONS, netlist.height * _MICRONS, strict=True)
    blocks = [f"{n} hardrectilinear 4 (0, 0) (0, {h:.9g}) ({w:.9g}, {h:.9g}) ({w:.9g}, 0)" for n, w, h in sizes]
    head = [f"{kind} : {count}" for kind, count in zip(_BLOCK_COUNTS, (0, len(names), 0), strict=True)]
    path.write_text("\n".join(["UCSC blocks 1.0", "", *head, "", *blocks, ""]), encoding="utf-8")
    nets = [f"NumNets : {netlist.nets}", f"NumPins : {len(netlist.net_pins)}", ""]
    for net, (start, end) in enumerate(pairwise(netlist.net_start.tolist())):
        pins = netlist.net_pins[start:end].tolist()
        nets += [f"NetDegree : {end - start} net{net}", *(f"{names[pin]} B" for pin in pins)]
    path.with_suffix(".nets").write_text("\n".join(["UCLA nets 1.0", "", *nets, ""]), encoding="utf-8")
    weights = [f"net{net} {activity:.9g}" for net, activity in enumerate(netlist.activity)]
    path.with_suffix(".wts").write_text("\n".join(["UCLA wts 1.0", "", *weights, ""]), encoding="utf-8")
    tags = zip(netlist.secret, netlist.untrusted, netlist.critical, strict=True)
    rows = [
        f"{name},{power:.9g},{leakage:.9g},{','.join(str(int(tag)) for tag in mine)}"
        for name, power, leakage, mine in zip(names, netlist.power, netlist.leakage, tags, strict=True)
    ]
    table = "\n".join(["block,power_w,leakage_w,secret,untrusted,critical", *rows, ""])
    path.with_suffix(".power.csv").write_text(table, encoding="utf-8")


def _writable(netlist: Netlist) -> tuple[str, ...]:
    """The blocks' names, if the format can hold them."""
    for name in netlist.block_names:
        if not re.fullmatch(r"[^\s#:(),\"]+", name) or name in _BLOCK_COUNTS:
            raise TaskError(f"block name {name!r} cannot be written as Bookshelf; use letters, digits and _")
    return netlist.block_names
