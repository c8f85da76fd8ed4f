"""A ceiling for the floorplanning task: simulated annealing of every layout on the true reward.

It sees the true reward at each of its steps, tens of thousands of times a netlist, which no learner here ever
does. It says how good layouts can be. It is no method to compare with on equal terms, and nothing is trained
on what it finds.

The walk is over sequence pairs with the usual moves (Murata, Fujiyoshi, Nakatake and Kajitani, IEEE Trans.
CAD 15(12), 1996): two blocks change places in both sequences or in one, a block moves elsewhere in both or in
one, a block is turned. A move that changes the reward by d is accepted with probability min(1, exp(d / T))
(Metropolis et al. 1953), and T falls geometrically (Kirkpatrick, Gelatt and Vecchi, Science 220, 1983). All
chains of all netlists walk together, a batch a step.

Solving the fields costs many times what packing and measuring the drawing does. So a move is scored first
with its own wires, exposure and area but with the leakage, hottest cell and lifetime of the layout that it
came from; only where that is within `MARGIN` of acceptance are the fields solved, and they decide. Rewards are
exact for every layout that is accepted; what is lost are moves whose fields gain more than `MARGIN`.
"""

from dataclasses import dataclass
from typing import no_type_check

import numba
import numpy as np
from jaxtyping import Bool, Float, Int

from rewardtree.domains.chip import exposure, supply, thermal, wiring
from rewardtree.domains.chip.floorplan import FloorplanTask, terms
from rewardtree.domains.chip.layouts import Designs, Layouts, random_layouts
from rewardtree.domains.chip.netlist import NetlistBatch
from rewardtree.domains.chip.packing import Floorplans, pack
from rewardtree.errors import TaskError

STEPS = 18_000
"""Moves tried a chain."""
CHAINS = 1
"""Independent walks a netlist, of which the best counts; steps are worth more than chains."""
TEMPERATURES = (0.25, 0.01)
"""First and last temperature, in units of the true reward, for 16 blocks; fewer ones need more heat."""
MARGIN = 0.4
"""Gain in reward that a move's fields are given credit for before they are solved."""
MOVES = (0.25, 0.40, 0.60, 0.80)
"""Upper edges of the moves' shares: exchange in both sequences, in one, move in both, in one; the rest
turn."""
_DRAWS = 7


@dataclass(kw_only=True, slots=True)
class _Walk:
    """Where all chains are; arrays change in place.

    Attributes:
        first, second, rotated: the layouts, [chains, blocks].
        fields: total leakage in W, hottest cell in degrees C and least log lifetime, [3, chains].
        reward: true reward, [chains].
    """

    first: Int[np.ndarray, "chains blocks"]
    second: Int[np.ndarray, "chains blocks"]
    rotated: Bool[np.ndarray, "chains blocks"]
    fields: Float[np.ndarray, "3 chains"]
    reward: Float[np.ndarray, " chains"]

    def copy(self) -> "_Walk":
        return _Walk(
            first=self.first.copy(), second=self.second.copy(), rotated=self.rotated.copy(),
            fields=self.fields.copy(), reward=self.reward.copy(),
        )  # fmt: skip

    def keep(self, other: "_Walk", rows: Int[np.ndarray, " rows"]) -> None:
        """Replace the chains at `rows` by those of `other`."""
        self.first[rows], self.second[rows] = other.first[rows], other.second[rows]
        self.rotated[rows], self.fields[:, rows] = other.rotated[rows], other.fields[:, rows]
        self.reward[rows] = other.reward[rows]


def anneal(
    task: FloorplanTask,
    designs: Designs,
    rng: np.random.Generator,
    *,
    steps: int = STEPS,
    chains: int = CHAINS,
    start: Layouts | None = None,
    temperatures: tuple[float, float] = TEMPERATURES,
) -> Layouts:
    """Search for layouts of high true reward; only ever a ceiling, see the module's docstring.

    Args:
        task: whose true reward is climbed.
        designs: netlists; the same one given twice is searched once.
        rng: the only source of chance.
        steps: moves tried a chain.
        chains: walks a netlist.
        start: layouts that the first chain of each netlist starts from; random ones if None.
        temperatures: first and last, in units of the true reward.

    Returns:
        The best layout seen of each netlist, never worse than its `start`.

    Raises:
        TaskError: where chains, steps or temperatures are out of range, or there is not one start a netlist.
    """
    if steps < 0 or chains < 1 or min(temperatures) <= 0:
        raise TaskError("anneal: give steps of 0 or more, chains of 1 or more and temperatures above 0")
    if start is not None and len(start) != len(designs):
        raise TaskError(f"anneal: there are {len(start)} starts; give one a netlist, {len(designs)}")
    one_of_each, which = _distinct(designs.netlists)
    some = start or random_layouts(rng, designs)
    lists = designs.netlists.take(np.repeat(one_of_each, chains))
    walk = _begin(lists, some.take(one_of_each), chains, rng)
    best = _descend(lists, walk, rng, steps, temperatures)
    rewards = best.reward.reshape(-1, chains)
    row = (rewards.argmax(axis=1) + np.arange(len(rewards)) * chains)[which]
    found = Layouts(
        netlists=designs.netlists, first=best.first[row], second=best.second[row], rotated=best.rotated[row]
    )
    if start is None:
        return found
    worse = (task.true_reward(designs, found) < task.true_reward(designs, start))[:, None]
    return Layouts(
        netlists=designs.netlists,
        first=np.where(worse, start.first, found.first),
        second=np.where(worse, start.second, found.second),
        rotated=np.where(worse, start.rotated, found.rotated),
    )


def _distinct(lists: NetlistBatch) -> tuple[Int[np.ndarray, " distinct"], Int[np.ndarray, " batch"]]:
    """A row of each distinct netlist, and which of them each row is."""
    blocks = (lists.width, lists.height, lists.power, lists.leakage)
    tags = (lists.secret, lists.untrusted, lists.critical, lists.mask)
    parts = (*blocks, *tags, lists.activity, lists.pins.reshape(len(lists), -1))
    _, rows, which = np.unique(np.concatenate(parts, axis=1), axis=0, return_index=True, return_inverse=True)
    return rows, which.reshape(-1)


def _begin(lists: NetlistBatch, start: Layouts, chains: int, rng: np.random.Generator) -> _Walk:
    """The first chain of each netlist at its start, the others anywhere; padded blocks come last for good."""
    other = random_layouts(rng, Designs(netlists=lists))
    is_first = (np.arange(len(lists)) % chains == 0)[:, None]
    pairs = []
    for given, drawn in ((start.first, other.first), (start.second, other.second)):
        order = np.where(is_first, np.repeat(given, chains, axis=0), drawn)
        padded = ~np.take_along_axis(lists.mask, order, axis=1)
        pairs.append(np.take_along_axis(order, padded.argsort(axis=1, kind="stable"), axis=1))
    rotated = np.where(is_first, np.repeat(start.rotated, chains, axis=0), other.rotated)
    plan = pack(lists, pairs[0], pairs[1], rotated)
    fields = _fields(lists, plan, np.arange(len(lists)))
    return _Walk(
        first=pairs[0], second=pairs[1], rotated=rotated, fields=fields,
        reward=_reward(_drawn(lists, plan), fields),
    )  # fmt: skip


def _descend(
    lists: NetlistBatch, walk: _Walk, rng: np.random.Generator, steps: int, temperatures: tuple[float, float]
) -> _Walk:
    """Walk while it cools; the best that each chain saw."""
    count = lists.mask.sum(axis=1)
    best, tried = walk.copy(), walk.copy()
    high, low = temperatures
    for step in range(steps):
        chance = rng.random((len(count), _DRAWS))
        for before, after in (
            (walk.first, tried.first),
            (walk.second, tried.second),
            (walk.rotated, tried.rotated),
        ):
            np.copyto(after, before)
        _move(tried.first, tried.second, tried.rotated, count, chance)
        plan = pack(lists, tried.first, tried.second, tried.rotated)
        drawn = _drawn(lists, plan)
        least = walk.reward + high * (low / high) ** (step / steps) * np.log1p(-chance[:, -1])
        rows = np.flatnonzero(_reward(drawn, walk.fields) + MARGIN > least)
        if not len(rows):
            continue
        fields = _fields(lists, plan, rows)
        reward = _reward(drawn[:, rows], fields)
        accepted = reward > least[rows]
        rows = rows[accepted]
        tried.fields[:, rows], tried.reward[rows] = fields[:, accepted], reward[accepted]
        walk.keep(tried, rows)
        best.keep(walk, rows[walk.reward[rows] > best.reward[rows]])
    return best


def _drawn(lists: NetlistBatch, plan: Floorplans) -> Float[np.ndarray, "3 chains"]:
    """What needs no field: power of all nets in W, worst exposure, side of the die in mm."""
    wires = wiring.net_power(lists.activity, wiring.net_lengths(plan, lists)).sum(axis=1)
    exposed = exposure.exposure(exposure.coupling(plan, lists), exposure.free_area(plan, lists))
    return np.stack([wires, exposed.max(axis=1), plan.side])


def _fields(lists: NetlistBatch, plan: Floorplans, rows: Int[np.ndarray, " rows"]) -> Float[np.ndarray, "3 rows"]:
    """Total leakage in W, hottest cell in degrees C and least log lifetime of the plans at `rows`."""
    some = Floorplans(
        x=plan.x[rows], y=plan.y[rows], width=plan.width[rows], height=plan.height[rows], side=plan.side[rows]
    )
    leakage = lists.leakage[rows]
    power = thermal.power_map(some, lists.power[rows] + leakage)
    temperature = thermal.temperature(power, some.side)
    life = supply.log_lifetime(temperature, supply.current_density(power, some.side))
    leaked = wiring.block_leakage(leakage, thermal.block_temperature(some, temperature)).sum(axis=1)
    return np.stack([leaked, temperature.max(axis=(1, 2)), life.min(axis=(1, 2))])


def _reward(
    drawn: Float[np.ndarray, "3 chains"], fields: Float[np.ndarray, "3 chains"]
) -> Float[np.ndarray, " chains"]:
    """True reward from `_drawn` and `_fields`."""
    parts = terms(drawn[0] + fields[0], fields[1], fields[2], drawn[1], drawn[2])
    reward: Float[np.ndarray, " chains"] = np.sum(list(parts.values()), axis=0)
    return reward


@numba.njit(cache=True)
@no_type_check
def _move(
    first: Int[np.ndarray, "chains blocks"],
    second: Int[np.ndarray, "chains blocks"],
    rotated: Bool[np.ndarray, "chains blocks"],
    count: Int[np.ndarray, " chains"],
    chance: Float[np.ndarray, "chains draws"],
) -> None:
    """Make one random move in each layout; the first `count` blocks of each sequence take part."""
    for c in range(len(first)):
        n, kind = count[c], chance[c, 0]
        block = first[c, int(chance[c, 1] * n)]
        if n < 2 or kind >= MOVES[3]:
            rotated[c, block] = not rotated[c, block]
            continue
        exchange = kind < MOVES[1]
        both = kind < MOVES[0] or MOVES[1] <= kind < MOVES[2]
        in_first = both or chance[c, 2] < 0.5
        other = first[c, (_place(first[c], block) + 1 + int(chance[c, 3] * (n - 1))) % n]
        if in_first:
            _change(first[c], block, other, int(chance[c, 4] * n), exchange)
        if both or not in_first:
            _change(second[c], block, other, int(chance[c, 5] * n), exchange)


@numba.njit(cache=True)
@no_type_check
def _place(sequence: Int[np.ndarray, " blocks"], block: int) -> int:
    """Where a block stands in a sequence."""
    k = 0
    while sequence[k] != block:
        k += 1
    return k


@numba.njit(cache=True)
@no_type_check
def _change(sequence: Int[np.ndarray, " blocks"], block: int, other: int, goal: int, exchange: bool) -> None:
    """Exchange a block with another one, or move it to the place `goal`."""
    k = _place(sequence, block)
    if exchange:
        sequence[_place(sequence, other)], sequence[k] = block, other
        return
    step = 1 if goal > k else -1
    while k != goal:
        sequence[k] = sequence[k + step]
        k += step
    sequence[goal] = block
