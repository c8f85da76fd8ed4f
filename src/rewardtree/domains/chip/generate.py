"""Random netlists with the statistics of real ones: the distribution that placers are trained on.

Sources of the statistics:

- Connectivity: Rent's rule `T(m) = t m^p`, the number of nets that leave a cluster of m blocks (Landman &
  Russo 1971, "On a pin versus block relationship for partitions of logic graphs", IEEE Trans. Computers C-20;
  p from about 0.5 for regular to 0.75 for complex logic). Nets are laid on a balanced binary hierarchy of the
  blocks as Donath (1979, "Placement and average interconnection lengths of computer logic", IEEE Trans.
  Circuits and Systems CAS-26) counts them: each cluster of two or more has the nets that join its two halves.
  A review of both is Christie & Stroobandt (2000, "The interpretation and application of Rent's rule", IEEE
  Trans. VLSI Systems 8).
- Pins a net: `((d-1)^(p-1) - d^(p-1)) / d` for d pins, the net-degree distribution that follows from Rent's
  rule (Zarkesh-Ha, Davis, Loh & Meindl 2000, "Prediction of interconnect fan-out distribution using Rent's
  rule", SLIP), cut off at `MAX_PINS`.
- Wires that join the same blocks are bundled; a bundle's activity is the sum of its wires' switching
  activities. Rent's rule holds for activities: a wire counts by how often it switches.

Assumed, as no public source fixes them: block areas and power densities are log-normal; the hottest block has
about 3 to 6 times the median power density; leakage is 15 to 30 % of all power and proportional to area;
which blocks are secret, untrusted and critical.
"""

import math
import zlib

import numpy as np
from jaxtyping import Bool, Float, Int

from rewardtree.domains.chip.netlist import BLOCK_AREA, TOTAL_ACTIVITY, TOTAL_POWER, Netlist
from rewardtree.errors import TaskError

MAX_PINS = 5
"""Most pins of a generated net."""
RENT_EXPONENT = (0.50, 0.75)
"""Range that a netlist's Rent exponent is drawn from."""
ASPECT_RATIO = (0.5, 2.0)
"""Range of height / width, drawn log-uniformly."""
AREA_SPREAD = 0.7
"""Standard deviation of the logarithm of a block's area (assumed)."""
HOTTEST_RATIO = (4.0, 7.5)
"""Range of the largest dynamic power density over the median one; with leakage added it is about 3 to 6."""
LEAKAGE_SHARE = (0.15, 0.30)
"""Range of leakage as a share of all power."""
TAGGED = (2, 3)
"""Fewest and most secret, untrusted and critical blocks; one each where there are fewer than eight blocks."""

MOST_BLOCKS, MOST_NETLISTS = 256, 1_000_000
"""Most blocks of a netlist and most netlists of one call."""

_ACTIVITY_SPREAD = 0.8
"""Standard deviation of the logarithm of one wire's switching activity (assumed)."""
_WIRES_A_NET = 4
"""Wires drawn a bundle kept, in the first go."""

_Tags = Bool[np.ndarray, "count blocks"]
_Nets = tuple[Int[np.ndarray, " nets_plus_one"], Int[np.ndarray, " all_pins"], Float[np.ndarray, " nets"]]
_Nodes = Int[np.ndarray, " nodes"]


def generate(rng: np.random.Generator, *, blocks: int = 16, nets: int = 48, count: int) -> list[Netlist]:
    """Draw random netlists, scaled to `BLOCK_AREA`, `TOTAL_POWER` and `TOTAL_ACTIVITY`.

    Args:
        rng: the only source of chance; the same state gives the same netlists.
        blocks: blocks a netlist, four or more.
        nets: nets a netlist, all with different block sets; at most the number of pairs of blocks.
        count: number of netlists.

    Returns:
        `count` netlists, each with exactly `blocks` blocks and `nets` nets.

    Raises:
        TaskError: where a count is out of range.
    """
    if not 4 <= blocks <= MOST_BLOCKS or not 0 <= count <= MOST_NETLISTS:
        raise TaskError(
            f"{count} netlists of {blocks} blocks were asked for; "
            f"ask for 4 to {MOST_BLOCKS} blocks and up to {MOST_NETLISTS} netlists at a time"
        )
    fewest, most = -(-blocks // 2), blocks * (blocks - 1) // 2
    if not fewest <= nets <= most:
        raise TaskError(f"{nets} nets were asked for; {blocks} blocks take {fewest} to {most} nets")
    if count == 0:
        return []
    rent = rng.uniform(*RENT_EXPONENT, size=count)
    connections = _connect(rng, rent, blocks, nets)
    width, height = _sizes(rng, blocks, count)
    power, leakage = _powers(rng, width * height)
    secret, untrusted, critical = draw_tags(rng, blocks, count)
    names = tuple(f"b{block}" for block in range(blocks))
    return [
        Netlist(
            name=f"generated-{row}", block_names=names, width=width[row], height=height[row],
            power=power[row], leakage=leakage[row], secret=secret[row], untrusted=untrusted[row],
            critical=critical[row], net_start=start, net_pins=pins, activity=activity,
        )
        for row, (start, pins, activity) in enumerate(connections)
    ]  # fmt: skip


def draw_tags(rng: np.random.Generator, blocks: int, count: int) -> tuple[_Tags, _Tags, _Tags]:
    """Secret, untrusted and critical blocks at random.

    Untrusted blocks are neither secret nor critical; a critical block may be secret.
    """
    fewest, most = TAGGED if blocks >= 8 else (1, 1)
    order = rng.permuted(np.tile(np.arange(blocks), (count, 1)), axis=1)
    many = rng.integers(fewest, most, size=(3, count, 1), endpoint=True)
    secret, untrusted = order < many[0], (order >= many[0]) & (order < many[0] + many[1])
    key = rng.random((count, blocks)) + untrusted
    critical = np.argsort(np.argsort(key, axis=1), axis=1) < many[2]
    return secret, untrusted, critical


def random_of(name: str, purpose: str) -> np.random.Generator:
    """The source of chance of what is assumed about a named circuit or block: the same in every run."""
    return np.random.default_rng(zlib.crc32(f"{purpose} {name}".encode()))


def _sizes(
    rng: np.random.Generator, blocks: int, count: int
) -> tuple[Float[np.ndarray, "count blocks"], Float[np.ndarray, "count blocks"]]:
    """Widths and heights in mm."""
    area = np.exp(AREA_SPREAD * rng.standard_normal((count, blocks)))
    area *= BLOCK_AREA / area.sum(axis=1, keepdims=True)
    ratio = np.exp(rng.uniform(math.log(ASPECT_RATIO[0]), math.log(ASPECT_RATIO[1]), size=(count, blocks)))
    return np.sqrt(area / ratio), np.sqrt(area * ratio)


def _powers(
    rng: np.random.Generator, area: Float[np.ndarray, "count blocks"]
) -> tuple[Float[np.ndarray, "count blocks"], Float[np.ndarray, "count blocks"]]:
    """Dynamic power and leakage in W."""
    count = len(area)
    deviation = rng.standard_normal(area.shape)
    span = deviation.max(axis=1) - np.median(deviation, axis=1)
    hottest = rng.uniform(*HOTTEST_RATIO, size=count)
    power = np.exp(deviation * (np.log(hottest) / span)[:, None]) * area
    share = rng.uniform(*LEAKAGE_SHARE, size=(count, 1))
    power *= (1 - share) * TOTAL_POWER / power.sum(axis=1, keepdims=True)
    leakage = share * TOTAL_POWER * area / area.sum(axis=1, keepdims=True)
    return power, leakage


def _connect(rng: np.random.Generator, rent: Float[np.ndarray, " count"], blocks: int, nets: int) -> list[_Nets]:
    """`net_start`, `net_pins` and `activity` of each netlist: its most active bundles of wires."""
    count = len(rent)
    label = rng.permuted(np.tile(np.arange(blocks), (count, 1)), axis=1)
    lacking = np.arange(count)
    key: Int[np.ndarray, " bundles"] = np.empty(0, dtype=np.int64)
    depth: Int[np.ndarray, " bundles"] = key
    activity: Float[np.ndarray, " bundles"] = np.empty(0)
    while len(lacking):
        rows = np.repeat(lacking, _WIRES_A_NET * nets)
        pins, new_depth = _wires(rng, rent, rows, blocks)
        key, first, bundle = np.unique(
            np.concatenate([key, _set_keys(rows, pins, blocks)]), return_index=True, return_inverse=True
        )
        depth = np.concatenate([depth, new_depth])[first]
        switching = np.exp(_ACTIVITY_SPREAD * rng.standard_normal(len(rows)))
        activity = np.bincount(bundle, weights=np.concatenate([activity, switching]))
        owner = key // (blocks + 1) ** MAX_PINS
        lacking = np.flatnonzero(np.bincount(owner, minlength=count) < nets)
    order = np.lexsort((-activity, owner))
    start = np.searchsorted(owner[order], np.arange(count))
    kept = order[(start[:, None] + np.arange(nets)).ravel()]
    activity = _hand_over(owner * blocks + depth, activity, kept)
    pins = _key_pins(key[kept], blocks)
    present = pins < blocks
    label = np.repeat(label, nets, axis=0)
    pins = np.take_along_axis(label, np.where(present, pins, 0), axis=1)
    mine = [slice(row * nets, (row + 1) * nets) for row in range(count)]
    return [_finish(rng, pins[rows], present[rows], activity[rows], blocks) for rows in mine]


def _hand_over(
    group: Int[np.ndarray, " bundles"],
    activity: Float[np.ndarray, " bundles"],
    kept: Int[np.ndarray, " kept"],
) -> Float[np.ndarray, " kept"]:
    """Activity of the kept bundles, with what was dropped handed to those of the same netlist and depth.

    So the cut to the most active bundles leaves Rent's rule, weighted by activity, in place.
    """
    before = np.bincount(group, weights=activity)
    after = np.bincount(group[kept], weights=activity[kept], minlength=len(before))
    shares: Float[np.ndarray, " kept"] = activity[kept] / after[group[kept]]
    return np.asarray(shares * before[group[kept]])


def _wires(
    rng: np.random.Generator,
    rent: Float[np.ndarray, " count"],
    rows: Int[np.ndarray, " wires"],
    blocks: int,
) -> tuple[Int[np.ndarray, "wires max_pins"], Int[np.ndarray, " wires"]]:
    """Sorted block positions of a wire for each of `rows`, padded with `blocks`, and its depth.

    A wire belongs to the smallest node of the hierarchy that holds all its pins: it has pins in both halves.
    """
    node_low, node_mid, node_high, node_depth = _hierarchy(blocks)
    cumulated = np.cumsum(_depth_weights(rent, blocks)[:, node_depth] / 2.0**node_depth, axis=1)
    cumulated /= cumulated[:, -1:]
    picks = rng.random((len(rows), MAX_PINS + 1))
    node = np.minimum((cumulated[rows] < picks[:, -1:]).sum(axis=1), len(node_low) - 1)
    low, mid, high = node_low[node], node_mid[node], node_high[node]
    degree = np.minimum(_degrees(rng, rent[rows]), high - low)
    lows = np.column_stack([low, mid, *[low] * (MAX_PINS - 2)])
    highs = np.column_stack([mid, *[high] * (MAX_PINS - 1)])
    pins = lows + np.floor(picks[:, :-1] * (highs - lows)).astype(np.int64)
    pins[np.arange(MAX_PINS) >= degree[:, None]] = blocks
    pins.sort(axis=1)
    again = np.zeros(pins.shape, dtype=bool)
    again[:, 1:] = pins[:, 1:] == pins[:, :-1]
    pins[again] = blocks
    pins.sort(axis=1)
    return pins, node_depth[node]


def _depths(blocks: int) -> int:
    """Depths of the hierarchy that hold a node of two blocks or more."""
    return math.ceil(math.log2(blocks))


def _hierarchy(blocks: int) -> tuple[_Nodes, _Nodes, _Nodes, _Nodes]:
    """First position, middle, end and depth of every node that holds two blocks or more.

    Node j at depth d holds positions floor(j blocks / 2^d) up to floor((j+1) blocks / 2^d).
    """
    low, mid, high, depths = [], [], [], []
    for depth in range(_depths(blocks)):
        edge = np.arange(2 ** (depth + 1) + 1) * blocks >> (depth + 1)
        large = edge[2::2] - edge[:-2:2] >= 2
        low.append(edge[:-2:2][large])
        mid.append(edge[1:-1:2][large])
        high.append(edge[2::2][large])
        depths.append(np.full(int(large.sum()), depth))
    return np.concatenate(low), np.concatenate(mid), np.concatenate(high), np.concatenate(depths)


def _depth_weights(rent: Float[np.ndarray, " count"], blocks: int) -> Float[np.ndarray, "count depths"]:
    """Relative number of wires of each depth, so that Rent's rule holds in expectation.

    Terminals to the outside are shared evenly and left out, so the 2^k clusters of m = blocks / 2^k blocks
    must have 2^k (m^p - blocks^(p-1) m) terminals altogether. A wire gives terminals to the clusters below
    its own node too; solving from the top gives each depth what the shallower ones leave to it.
    """
    depths = _depths(blocks)
    degree = np.arange(2, MAX_PINS + 1)
    shares = _degree_shares(rent)
    weights = np.zeros((len(rent), depths))
    for depth in range(depths):
        size = blocks / 2 ** (depth + 1)
        wanted = 2 ** (depth + 1) * (size**rent - blocks ** (rent - 1) * size)
        for above in range(depth):
            cells = 2 ** (depth + 1 - above)
            pins = np.minimum(degree, int(blocks / 2**above))
            touched = cells * (1 - (1 - 2 / cells) * (1 - 1 / cells) ** (pins - 2))
            wanted = wanted - weights[:, above] * (shares @ touched)
        weights[:, depth] = np.maximum(wanted, 0) / 2
    return weights


def _degree_shares(rent: Float[np.ndarray, " rows"]) -> Float[np.ndarray, "rows degrees"]:
    """Share of wires with 2 to `MAX_PINS` pins (Zarkesh-Ha et al. 2000)."""
    degree = np.arange(2.0, MAX_PINS + 1)
    power = rent[:, None] - 1
    shares: Float[np.ndarray, "rows degrees"] = ((degree - 1) ** power - degree**power) / degree
    shares /= shares.sum(axis=1, keepdims=True)
    return shares


def _degrees(rng: np.random.Generator, rent: Float[np.ndarray, " wires"]) -> Int[np.ndarray, " wires"]:
    """Pins of each wire, 2 to `MAX_PINS`."""
    cumulated = np.cumsum(_degree_shares(rent)[:, :-1], axis=1)
    return np.asarray(2 + (cumulated < rng.random((len(rent), 1))).sum(axis=1))


def _set_keys(
    rows: Int[np.ndarray, " wires"], pins: Int[np.ndarray, "wires max_pins"], blocks: int
) -> Int[np.ndarray, " wires"]:
    """One integer for a netlist and a block set."""
    key: Int[np.ndarray, " wires"] = rows
    for column in range(MAX_PINS):
        key = key * (blocks + 1) + pins[:, column]
    return key


def _key_pins(key: Int[np.ndarray, " nets"], blocks: int) -> Int[np.ndarray, "nets max_pins"]:
    """The block set of each key, padded with `blocks`."""
    place = (blocks + 1) ** np.arange(MAX_PINS - 1, -1, -1)
    pins: Int[np.ndarray, "nets max_pins"] = key[:, None] // place % (blocks + 1)
    return pins


def _finish(
    rng: np.random.Generator,
    pins: Int[np.ndarray, "nets max_pins"],
    present: Bool[np.ndarray, "nets max_pins"],
    activity: Float[np.ndarray, " nets"],
    blocks: int,
) -> _Nets:
    """Join blocks left without a net to one of the smallest nets, and lay the pins out flat."""
    alone = np.flatnonzero(np.bincount(pins[present], minlength=blocks) == 0)
    if len(alone):
        pins, present = pins.copy(), present.copy()
        for block in alone:
            degree = present.sum(axis=1)
            net = int(rng.choice(np.flatnonzero(degree == degree.min())))
            pins[net, degree[net]] = block
            present[net, degree[net]] = True
    start = np.concatenate([[0], np.cumsum(present.sum(axis=1))])
    return start, pins[present], activity * (TOTAL_ACTIVITY / activity.sum())
