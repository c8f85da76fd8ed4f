"""`rewardtree/Courier-v0`: a courier who drives from address to address through a park, with flower beds in the way.

The courier is a point with mass. An action accelerates it, along and across the way to the address. Whoever comes
within `NEAR` of the address has delivered, and is told the next one. On `BEDS` of the ways, never on the first, lies a
round bed; nobody sees one before its own way begins. An episode is one minute, `STEPS` steps; nothing ends it sooner.
The reward of a step, which the step itself earns, is

    metres that the courier comes nearer to the address - PENALTY * [it was on a bed as the step began]

Straight over a bed is the fast way: round it takes about as long as two and a half metres, over it lie six steps.

Whole batches of episodes go on together, in numpy; `rewardtree.domains.control.courier_env` is the environment.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Bool, Complex, Float, Int, Num

ID = "rewardtree/Courier-v0"
STEPS, DT = 300, 0.2
"""Steps of an episode, and the seconds of each."""
THRUST, DRAG = 2.0, 0.8
"""m/s^2 of a whole action, and the share of speed that is lost a second: 2.5 m/s is as fast as it goes."""
NEAR = 0.5
"""Metres from an address at which one has delivered."""
PENALTY = 2.0
"""Metres of progress that a step on a bed costs."""
BEDS = 0.35
"""Share of ways with a bed."""
WAYS = 24
"""Ways of an episode; nobody drives as many in its time."""
FAR = 3.0
"""Metres from a bed beyond which it is not seen."""
LENGTH, RADIUS = (6.0, 10.0), (1.2, 2.0)
"""Of ways and of beds, metres."""
SEEN = ("distance", "speed", "drift", "bed_ahead", "bed_aside", "clearance")
"""What is observed: metres to the address; speed along and across the way to it; the bed from here, along and across;
metres from its edge, below zero on it. Without a bed within `FAR` its place is 0, 0 and the clearance `FAR`."""
CLEARANCE = SEEN.index("clearance")

Rows = Float[np.ndarray, " batch"]
Plane = Complex[np.ndarray, " batch"]
"""Points and directions of the plane."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Courses:
    """The ways of episodes, [batch, ways].

    Attributes:
        addresses: where each way ends, metres.
        beds: centres.
        radius: of the beds; 0 where there is none.
    """

    addresses: Complex[np.ndarray, "batch ways"]
    beds: Complex[np.ndarray, "batch ways"]
    radius: Float[np.ndarray, "batch ways"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Trips:
    """Couriers on their ways, [batch].

    Attributes:
        courses: theirs.
        way: which one they are on.
        position: metres.
        velocity: metres a second.
        ahead: direction to the address.
        seen: what is observed; see `SEEN`.
    """

    courses: Courses
    way: Int[np.ndarray, " batch"]
    position: Plane
    velocity: Plane
    ahead: Plane
    seen: Float[np.ndarray, "batch 6"]

    def states(self) -> Float[np.ndarray, "batch 8"]:
        """What a drawing needs: position, address, bed and its radius (0 where none is seen), deliveries made."""
        rows = np.arange(len(self.way))
        address, bed = self.courses.addresses[rows, self.way], self.courses.beds[rows, self.way]
        radius = np.where(self.seen[:, CLEARANCE] < FAR, self.courses.radius[rows, self.way], 0.0)
        bed = np.where(radius > 0, bed, self.position)
        points = [part for point in (self.position, address, bed) for part in (point.real, point.imag)]
        return np.stack([*points, radius, self.way], axis=1)

    def only(self, row: int) -> "Trips":
        """One of them."""
        whole = slice(row, row + 1)
        known = Courses(**{one.name: getattr(self.courses, one.name)[whole] for one in fields(Courses)})
        rest = {one.name: getattr(self, one.name)[whole] for one in fields(Trips) if one.name != "courses"}
        return Trips(courses=known, **rest)


def side_by_side(trips: Sequence[Trips]) -> Trips:
    """Several batches as one."""
    known = {one.name: np.concatenate([getattr(t.courses, one.name) for t in trips]) for one in fields(Courses)}
    rest = {one.name: np.concatenate([getattr(t, one.name) for t in trips])
            for one in fields(Trips) if one.name != "courses"}  # fmt: skip
    return Trips(courses=Courses(**known), **rest)


def courses(seeds: Int[np.ndarray, " batch"]) -> Courses:
    """The courses of episodes that are reset with these seeds."""
    drawn = np.stack([np.random.default_rng([int(seed), 19]).random((6, WAYS)) for seed in seeds])
    length, turn, lies, along, aside, radius = np.moveaxis(drawn, 1, 0)
    length = LENGTH[0] + (LENGTH[1] - LENGTH[0]) * length
    ahead = np.exp(1j * np.cumsum(np.pi * (1.4 * turn - 0.7), axis=1))
    addresses = np.cumsum(length * ahead, axis=1)
    there = (lies < BEDS) & (np.arange(WAYS) > 0)
    return Courses(
        addresses=addresses, beds=addresses + (-(0.4 + 0.2 * along) * length + 1j * (2 * aside - 1)) * ahead,
        radius=np.where(there, RADIUS[0] + (RADIUS[1] - RADIUS[0]) * radius, 0.0),
    )  # fmt: skip


def begin(seeds: Int[np.ndarray, " batch"]) -> Trips:
    """Couriers that stand at the start of their courses."""
    still = np.zeros(len(seeds), dtype=complex)
    return _there(courses(seeds), np.zeros(len(seeds), dtype=np.int64), still, still)


def _there(known: Courses, way: Int[np.ndarray, " batch"], position: Plane, velocity: Plane) -> Trips:
    """Couriers at a position, and what they see."""
    rows = np.arange(len(way))
    apart, bed = known.addresses[rows, way] - position, known.beds[rows, way] - position
    radius = known.radius[rows, way]
    distance = np.abs(apart)
    ahead = apart / np.maximum(distance, 1e-6)
    clearance = np.minimum(np.where(radius > 0, np.abs(bed) - radius, FAR), FAR)
    turned = np.conj(ahead)
    moving, lying = velocity * turned, np.where(clearance < FAR, bed * turned, 0.0)
    seen = np.stack([distance, moving.real, moving.imag, lying.real, lying.imag, clearance], axis=1)
    return Trips(courses=known, way=way, position=position, velocity=velocity, ahead=ahead,
                 seen=seen.astype(np.float32))  # fmt: skip


def on_bed(observations: Num[np.ndarray, "*batch 6"]) -> Bool[np.ndarray, "*batch"]:
    """Whether somebody who sees this is on a bed."""
    return observations[..., CLEARANCE] < 0


def step(trips: Trips, actions: Float[np.ndarray, "batch 2"]) -> tuple[Trips, Rows]:
    """One step of every courier.

    Args:
        trips: as they are.
        actions: along and across the way to the address, cut to -1 to 1; together they are never above 1.

    Returns:
        As they are then, and the reward.
    """
    cut = np.clip(actions, -1.0, 1.0)
    push = cut[:, 0] + 1j * cut[:, 1]
    push = push / np.maximum(np.abs(push), 1.0) * trips.ahead
    velocity = trips.velocity + DT * (THRUST * push - DRAG * trips.velocity)
    position = trips.position + DT * velocity
    address = trips.courses.addresses[np.arange(len(position)), trips.way]
    before, left = np.abs(address - trips.position), np.abs(address - position)
    way = np.minimum(trips.way + (left < NEAR), WAYS - 1)
    return _there(trips.courses, way, position, velocity), before - left - PENALTY * on_bed(trips.seen)
