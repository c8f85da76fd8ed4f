"""A netlist of blocks: what is to be placed, and its padded batches."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from rewardtree.errors import TaskError

BLOCK_AREA = 36.0
"""Total block area in mm^2 that every netlist is scaled to (assumed; the ISCAS circuits are far smaller)."""
TOTAL_POWER = 24.0
"""Power of all blocks together in W at the reference temperature, leakage included (assumed)."""
TOTAL_ACTIVITY = 1.0
"""Sum of the nets' activities: an activity is a share of the chip's switched wire capacitance per length."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Netlist:
    """Blocks and the nets between them.

    Attributes:
        name: where it came from.
        block_names: one a block.
        width: block widths in mm, [blocks].
        height: block heights in mm, [blocks].
        power: dynamic power in W, [blocks].
        leakage: leakage power in W at the reference temperature, [blocks].
        secret: holds secrets that untrusted neighbours could observe, [blocks].
        untrusted: comes from a third party, [blocks].
        critical: free area next to it could hold an inserted Trojan, [blocks].
        net_start: offsets of each net's pins in `net_pins`, [nets + 1].
        net_pins: block indices, a net's one after the other, each net with two or more distinct blocks.
        activity: share of the switched wire capacitance per length, [nets], summing to `TOTAL_ACTIVITY`.

    Raises:
        TaskError: where shapes disagree, a value is not finite or not positive, two blocks share a name, or a
            net lists a block twice or fewer than two blocks.
    """

    name: str
    block_names: tuple[str, ...]
    width: Float[np.ndarray, " blocks"]
    height: Float[np.ndarray, " blocks"]
    power: Float[np.ndarray, " blocks"]
    leakage: Float[np.ndarray, " blocks"]
    secret: Bool[np.ndarray, " blocks"]
    untrusted: Bool[np.ndarray, " blocks"]
    critical: Bool[np.ndarray, " blocks"]
    net_start: Int[np.ndarray, " nets_plus_one"]
    net_pins: Int[np.ndarray, " pins"]
    activity: Float[np.ndarray, " nets"]

    def __post_init__(self) -> None:
        blocks = len(self.block_names)
        for field in ("width", "height", "power", "leakage", "secret", "untrusted", "critical"):
            value = getattr(self, field)
            if value.shape != (blocks,):
                raise TaskError(
                    f"netlist {self.name}: {field} has shape {value.shape}, give one value a block ({blocks})"
                )
            if field in ("width", "height") and not (np.isfinite(value).all() and (value > 0).all()):
                raise TaskError(f"netlist {self.name}: every {field} must be a positive number of mm")
            if field in ("power", "leakage") and not (np.isfinite(value).all() and (value >= 0).all()):
                raise TaskError(f"netlist {self.name}: every {field} must be a number of W, zero or more")
        degrees = np.diff(self.net_start)
        if len(self.net_start) < 2 or self.net_start[0] != 0 or self.net_start[-1] != len(self.net_pins):
            raise TaskError(f"netlist {self.name}: net_start must go from 0 in steps to the number of pins")
        if (degrees < 2).any():
            raise TaskError(f"netlist {self.name}: net {int(np.argmin(degrees))} joins fewer than two blocks; drop it")
        if self.net_pins.min() < 0 or self.net_pins.max() >= blocks:
            raise TaskError(f"netlist {self.name}: a net names a block that does not exist; there are {blocks}")
        pin = np.sort(np.repeat(np.arange(len(degrees)), degrees) * blocks + self.net_pins)
        if (pin[1:] == pin[:-1]).any() or len(set(self.block_names)) < blocks:
            raise TaskError(f"netlist {self.name}: a net lists a block twice or two blocks share a name; drop one")
        if self.activity.shape != (len(degrees),) or not (
            np.isfinite(self.activity).all() and (self.activity >= 0).all()
        ):
            raise TaskError(f"netlist {self.name}: activity needs one number a net, zero or more")

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return len(self.block_names)

    @property
    def nets(self) -> int:
        """Number of nets."""
        return len(self.activity)


@dataclass(frozen=True, kw_only=True, slots=True)
class NetlistBatch:
    """Netlists padded to one shape; padded blocks have zero size and `mask` False, padded pins are -1."""

    names: tuple[str, ...]
    width: Float[np.ndarray, "batch blocks"]
    height: Float[np.ndarray, "batch blocks"]
    power: Float[np.ndarray, "batch blocks"]
    leakage: Float[np.ndarray, "batch blocks"]
    secret: Bool[np.ndarray, "batch blocks"]
    untrusted: Bool[np.ndarray, "batch blocks"]
    critical: Bool[np.ndarray, "batch blocks"]
    mask: Bool[np.ndarray, "batch blocks"]
    pins: Int[np.ndarray, "batch nets pins"]
    activity: Float[np.ndarray, "batch nets"]

    def __len__(self) -> int:
        return len(self.names)

    def take(self, rows: Int[np.ndarray, " rows"]) -> "NetlistBatch":
        """The netlists at `rows`, repeats allowed."""
        return NetlistBatch(
            names=tuple(self.names[int(row)] for row in rows),
            width=self.width[rows], height=self.height[rows],
            power=self.power[rows], leakage=self.leakage[rows],
            secret=self.secret[rows], untrusted=self.untrusted[rows], critical=self.critical[rows],
            mask=self.mask[rows], pins=self.pins[rows], activity=self.activity[rows],
        )  # fmt: skip


def stack(netlists: Sequence[Netlist]) -> NetlistBatch:
    """Pad netlists to the largest number of blocks, nets and pins a net among them.

    Raises:
        TaskError: where `netlists` is empty.
    """
    if not netlists:
        raise TaskError("a batch needs at least one netlist")
    batch, blocks = len(netlists), max(n.blocks for n in netlists)
    nets = max(n.nets for n in netlists)
    degree = max(int(np.diff(n.net_start).max()) for n in netlists)
    pins = np.full((batch, nets, degree), -1, dtype=np.int64)
    activity = np.zeros((batch, nets))
    padded = {f: np.zeros((batch, blocks)) for f in ("width", "height", "power", "leakage")}
    flags = {f: np.zeros((batch, blocks), dtype=bool) for f in ("secret", "untrusted", "critical", "mask")}
    for row, netlist in enumerate(netlists):
        for field, values in (padded | {f: flags[f] for f in ("secret", "untrusted", "critical")}).items():
            values[row, : netlist.blocks] = getattr(netlist, field)
        flags["mask"][row, : netlist.blocks] = True
        activity[row, : netlist.nets] = netlist.activity
        degrees = np.diff(netlist.net_start)
        net = np.repeat(np.arange(netlist.nets), degrees)
        pins[row, net, np.arange(len(net)) - netlist.net_start[:-1][net]] = netlist.net_pins
    return NetlistBatch(names=tuple(n.name for n in netlists), pins=pins, activity=activity, **padded, **flags)
