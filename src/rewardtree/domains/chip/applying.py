"""The trained root on a netlist of one's own: the best of many samples by the reward model, and what is said of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from rewardtree.domains.chip.floorplan import FloorplanTask
from rewardtree.domains.chip.layouts import Designs, Layouts, random_layouts
from rewardtree.domains.chip.netlist import Netlist, stack
from rewardtree.domains.chip.packing import GRID
from rewardtree.tasks.exhibit import Claim, Claims

CHUNK = 64
"""Layouts that are scored at a time."""
NAMED = 4
"""Blocks of a net that are named."""

Score = Callable[[Designs, Layouts], Float[np.ndarray, " batch"]]
Ask = Callable[[Designs, Layouts], Claims]


@dataclass(frozen=True, kw_only=True, slots=True)
class Placed:
    """A netlist placed.

    Attributes:
        netlist: what was placed.
        designs: the same, as a batch of one.
        layouts: the layout chosen, a batch of one.
        claims: what the helpers say of it.
        scores: the reward model's, in nats of preference: of the chosen layout, and the random ones' mean.
        rewards: true rewards by simulation: of the chosen layout, and of random ones, [random].
        chosen: number of the sample that was chosen; 0 is the policy's most probable layout.
    """

    netlist: Netlist
    designs: Designs
    layouts: Layouts
    claims: Claims
    scores: tuple[float, float]
    rewards: tuple[float, Float[np.ndarray, " random"]]
    chosen: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """One helper's claim beside the simulation, in words.

    Attributes:
        helper: who says it.
        claim: what it says.
        there: what the simulation says of the same place.
        overall: what the simulation says of the whole layout.
    """

    helper: str
    claim: str
    there: str
    overall: str


def place(
    task: FloorplanTask,
    policy: Any,
    score: Score,
    ask: Ask,
    netlist: Netlist,
    rng: np.random.Generator,
    samples: int = 64,
) -> Placed:
    """Sample layouts, and choose the one that the reward model likes best. No simulation takes part in the choice.

    Args:
        task: the root's.
        policy: the root's.
        score: the root's reward model, joined to what it sees.
        ask: the trained helpers' claims.
        netlist: to place.
        rng: the only source of chance.
        samples: layouts sampled, beside the most probable one.
    """
    one = Designs(netlists=stack([netlist]))
    many = one.take(np.zeros(samples, dtype=int))
    found = _joined(policy.answer(one), policy.propose(many, rng) if samples else None)
    scores = _scores(score, one, found)
    chosen = int(scores.argmax())
    best = found.take(np.array([chosen]))
    chance = random_layouts(rng, one.take(np.zeros(max(samples, CHUNK), dtype=int)))
    return Placed(
        netlist=netlist,
        designs=one,
        layouts=best,
        claims=ask(one, best),
        scores=(float(scores[chosen]), float(_scores(score, one, chance).mean())),
        rewards=(float(task.true_reward(one, best)[0]), task.true_reward(one, chance)),
        chosen=chosen,
    )


def _joined(first: Layouts, rest: Layouts | None) -> Layouts:
    """Layouts of one netlist, one batch after the other."""
    if rest is None:
        return first
    rows = np.zeros(len(first) + len(rest), dtype=int)
    return Layouts(
        netlists=first.netlists.take(rows),
        first=np.concatenate([first.first, rest.first]),
        second=np.concatenate([first.second, rest.second]),
        rotated=np.concatenate([first.rotated, rest.rotated]),
    )


def _scores(score: Score, one: Designs, layouts: Layouts) -> Float[np.ndarray, " batch"]:
    """Scores, a chunk at a time."""
    chunks = [np.arange(k, min(k + CHUNK, len(layouts))) for k in range(0, len(layouts), CHUNK)]
    return np.concatenate([score(one.take(np.zeros(len(rows), dtype=int)), layouts.take(rows)) for rows in chunks])


def describe(task: FloorplanTask, placed: Placed) -> list[Said]:
    """Every claim in words, with names, beside what the simulation says."""
    view = task.view(placed.designs, placed.layouts, placed.claims)
    overall = {quantity: float(value[0]) for quantity, value in task.survey(view).items()}
    rows = []
    for quantity, claim in placed.claims.items():
        at = int(claim.place[0])
        fields = {name: view.fields[name][0] for name in claim.check}
        truth = claim.combine(fields) if fields else np.array([])
        rows.append(
            Said(
                helper=claim.author,
                claim=_claimed(placed, claim, at),
                there=f"{truth[at]:.3g} W" if claim.items is not None else f"{truth[at]:.2f}",
                overall=_overall(placed, claim, truth, overall[quantity]),
            )
        )
    hottest = int(view.fields["temperature"][0].argmax())
    where = _cell(placed, hottest)
    return [*rows, Said(helper="", claim="", there="", overall=f"hottest: {overall['hottest']:.0f} °C at {where}")]


def _claimed(placed: Placed, claim: Claim, at: int) -> str:
    """The claim's sentence with names in it."""
    said = claim.statement.replace("cell {place}", "{place}").replace("block {place}", "{place}")
    sentence = said.format(place=where(placed, claim, at), value=float(claim.value[0]))
    if claim.items is None:
        return sentence
    return f"{sentence}, most of all {where(placed, claim, at)}: {claim.items[0, at]:.3g} W"


def _overall(placed: Placed, claim: Claim, truth: Float[np.ndarray, " places"], value: float) -> str:
    """The simulation's own answer to the helper's question."""
    if claim.items is not None:
        most = int(truth.argmax())
        return f"{value:.2f} W; most of all {where(placed, claim, most)}: {truth[most]:.3g} W"
    at = int(np.abs(truth - value).argmin())
    return f"{value:.2f} at {where(placed, claim, at)}"


def where(placed: Placed, claim: Claim, at: int) -> str:
    """A claim's place in words."""
    names, nets = placed.netlist.block_names, placed.designs.netlists.pins.shape[1]
    if "item_power" in claim.check:
        return _net(placed, at) if at < nets else f"the leakage of {names[at - nets]}"
    if "surroundings" in claim.check:
        return f"block {names[at]}"
    return _cell(placed, at)


def _net(placed: Placed, net: int) -> str:
    """A net by the blocks that it joins."""
    pins = placed.netlist.net_pins[placed.netlist.net_start[net] : placed.netlist.net_start[net + 1]]
    names = [placed.netlist.block_names[pin] for pin in pins]
    more = [f"{len(names) - NAMED} more"] if len(names) > NAMED else []
    names = [*names[:NAMED], *more]
    return f"the net of {', '.join(names[:-1])} and {names[-1]}"


def _cell(placed: Placed, cell: int) -> str:
    """A cell by the place in mm and the block over it."""
    plan = placed.layouts.plan
    row, column = divmod(cell, GRID)
    pitch = float(plan.side[0]) / GRID
    x, y = (column + 0.5) * pitch, (row + 0.5) * pitch
    inside = (plan.x[0] <= x) & (x < plan.x[0] + plan.width[0]) & (plan.y[0] <= y) & (y < plan.y[0] + plan.height[0])
    block = placed.netlist.block_names[int(inside.argmax())] if inside.any() else "no block"
    return f"x {x:.1f}, y {y:.1f} mm ({block})"
