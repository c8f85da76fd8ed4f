"""The root task: place the blocks of a netlist on a chip.

True reward of a layout, higher is better:

    - ENERGY_WEIGHT   * E / E_usual                                  E: power of nets and leakage, W
    - THERMAL_WEIGHT  * softplus((T_max - T_LIMIT) / T_KNEE)         T_max: hottest cell, degrees C
    - LIFETIME_WEIGHT * softplus((L_LEAST - L_min) / L_KNEE)         L_min: log lifetime of the part that fails first
    - EXPOSURE_WEIGHT * softplus((X_max - X_LIMIT) / X_KNEE)         X_max: worst exposure of a block
    - AREA_WEIGHT     * A                                            A: area of the die, mm^2, which anyone can see

Questions to the helpers: which part fails first, and at what log lifetime (`lifetime`); what all nets and leakages cost
together, item by item (`energy`); which block is exposed worst, and how much (`exposure`). These and the visible area
are four of the five terms; the fifth is read with a thermometer where the lifetime helper points, as the part that
fails first is nearly always in the hottest place. What `check` measures as missing is the rest.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from rewardtree.domains.chip.boards import floorplan_board
from rewardtree.domains.chip.features import drawing
from rewardtree.domains.chip.layouts import Designs, Layouts, random_layouts
from rewardtree.domains.chip.packing import GRID
from rewardtree.tasks.answers import Scenes
from rewardtree.tasks.board import Board, Instrument
from rewardtree.tasks.exhibit import Claim, Claims, Probe, Values
from rewardtree.tasks.task import Question, Split, View, raw_values

ENERGY_WEIGHT, ENERGY_USUAL = 12.0, 10.0
THERMAL_WEIGHT, THERMAL_LIMIT, THERMAL_KNEE = 0.6, 95.0, 5.0
LIFETIME_WEIGHT, LIFETIME_LEAST, LIFETIME_KNEE = 0.9, 1.5, 0.5
EXPOSURE_WEIGHT, EXPOSURE_LIMIT, EXPOSURE_KNEE = 0.7, 0.7, 0.1
AREA_WEIGHT = 0.02
GUIDE = (
    "Better is the layout that loses fewer points in all. Most are lost by power: "
    f"{ENERGY_WEIGHT / ENERGY_USUAL:.1f} points for each watt that nets and leakage take together. The others are lost "
    f"by the worst place alone. Heat: {10 * THERMAL_WEIGHT / THERMAL_KNEE:.1f} points for each 10 °C of the hottest "
    f"cell above about {THERMAL_LIMIT:.0f} °C. Lifetime: {LIFETIME_WEIGHT / LIFETIME_KNEE:.1f} points for each unit of "
    f"log lifetime below about {LIFETIME_LEAST:.1f}, where hot cells with much current fail first. Exposure: "
    f"{0.1 * EXPOSURE_WEIGHT / EXPOSURE_KNEE:.1f} points for each 0.1 above about {EXPOSURE_LIMIT:.1f}; secret blocks "
    "are exposed to those from a third party that they face, critical ones to empty area beside them. Area: "
    f"{10 * AREA_WEIGHT:.1f} points for each 10 mm² of die."
)
"""The true reward in words, for people."""

ScenesOf = Callable[[Layouts], Scenes]


def softplus(x: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """log(1 + exp(x)): zero well below the knee, a line well above it."""
    bent: Float[np.ndarray, "..."] = np.logaddexp(0.0, x)
    return bent


def terms(energy: Values, hottest: Values, lifetime: Values, exposure: Values, side: Values) -> dict[str, Values]:
    """The terms of the true reward, by name; the reward is their sum."""
    return {
        "energy": -ENERGY_WEIGHT * energy / ENERGY_USUAL,
        "heat": -THERMAL_WEIGHT * softplus((hottest - THERMAL_LIMIT) / THERMAL_KNEE),
        "lifetime": -LIFETIME_WEIGHT * softplus((LIFETIME_LEAST - lifetime) / LIFETIME_KNEE),
        "exposure": -EXPOSURE_WEIGHT * softplus((exposure - EXPOSURE_LIMIT) / EXPOSURE_KNEE),
        "area": -AREA_WEIGHT * side**2,
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class FloorplanTask:
    """Place the blocks of a netlist. See the module's docstring for the true reward and the questions.

    Attributes:
        pools: the netlists of each split.
        scenes: turns layouts into the helpers' scenes, by helper.
        name: the node's name.
    """

    pools: Mapping[Split, Designs]
    scenes: Mapping[str, ScenesOf]
    name: str = "floorplan"

    question: ClassVar[str] = "Which layout is better?"
    guide: ClassVar[str] = GUIDE
    better: ClassVar[Mapping[str, int]] = {"lifetime": 1, "energy": -1, "exposure": -1}

    @property
    def quantities(self) -> tuple[str, ...]:
        """What helpers claim, then what can be read where face or claim points."""
        claimed = ("lifetime", "energy", "exposure")
        pointed_at = ("weakest_temperature", "weakest_current", "hottest", "centre_temperature")
        seen = ("block_temperature", "block_current", "net_power", "secret_surroundings", "critical_surroundings")
        return claimed + pointed_at + seen

    def sample(self, rng: np.random.Generator, count: int, split: Split) -> Designs:
        """Netlists of the split, each as likely as any other."""
        pool = self.pools[split]
        return pool.take(rng.integers(len(pool), size=count))

    def base_outputs(self, rng: np.random.Generator, inputs: Designs) -> Layouts:
        """Uniformly random sequence pairs."""
        return random_layouts(rng, inputs)

    def view(self, inputs: Designs, outputs: Layouts, claims: Claims) -> View:
        """Free: the die's size and the share of it that is empty. Readable: fields at places."""
        plan, fields, lists = outputs.plan, outputs.fields, outputs.netlists
        area = (plan.width * plan.height).sum(axis=1)
        face = np.stack([plan.side, area / plan.side**2], axis=1)
        hot = np.where(lists.mask, lists.power / np.maximum(plan.width * plan.height, 1e-9), -1).argmax(axis=1)
        rows = np.arange(len(outputs))
        cells = [np.clip(((edge + size / 2)[rows, hot] / plan.side * GRID).astype(int), 0, GRID - 1)
                 for edge, size in ((plan.y, plan.height), (plan.x, plan.width))]  # fmt: skip
        block_cell = cells[0] * GRID + cells[1]
        centre = np.full(len(outputs), (GRID // 2) * GRID + GRID // 2)
        probes = {
            "centre_temperature": ("temperature", centre),
            "block_temperature": ("temperature", block_cell),
            "block_current": ("current", block_cell),
            "net_power": ("item_power", lists.activity.argmax(axis=1)),
            "secret_surroundings": ("surroundings", lists.secret.argmax(axis=1)),
            "critical_surroundings": ("surroundings", lists.critical.argmax(axis=1)),
        }
        if "lifetime" in claims:
            weakest = claims["lifetime"].place
            probes |= {"weakest_temperature": ("temperature", weakest), "weakest_current": ("current", weakest)}
        return View(
            face=face,
            probes={q: Probe(quantity=q, instruments=(i,), place=p) for q, (i, p) in probes.items()},
            fields={
                "temperature": fields.temperature.reshape(len(outputs), -1),
                "current": fields.current.reshape(len(outputs), -1),
                "item_power": np.concatenate([fields.net_power, fields.block_leakage], axis=1),
                "surroundings": fields.exposure,
            },
        )

    def board(self, inputs: Designs, outputs: Layouts, row: int) -> tuple[Board, tuple[Instrument, ...]]:
        """The drawing without any field, and all instruments."""
        return floorplan_board(outputs, row)

    def sense(self, face: Float[np.ndarray, "batch face"], known: Mapping[str, Values]) -> Float[np.ndarray, "batch _"]:
        """Every quantity as it is."""
        return np.stack([known[name] for name in self.quantities], axis=1)

    def questions(self, inputs: Designs, outputs: Layouts, claims: Claims) -> Sequence[Question]:
        """One round: what fails first, what it all costs, what is exposed worst."""
        if claims:
            return ()
        return [
            Question(helper=name, quantity=quantity, inputs=self.scenes[name](outputs), total=name == "energy")
            for name, quantity in (("lifetime", "lifetime"), ("energy", "energy"), ("security", "exposure"))
        ]

    def survey(self, view: View) -> Mapping[str, Values]:
        """The four aggregates, as someone concludes them who reads every field everywhere."""
        from rewardtree.domains.chip.supply import log_lifetime

        temperature, current = view.fields["temperature"], view.fields["current"]
        return {
            "lifetime": log_lifetime(temperature, current).min(axis=1),
            "energy": view.fields["item_power"].sum(axis=1),
            "exposure": view.fields["surroundings"].max(axis=1),
            "hottest": temperature.max(axis=1),
        }

    def claim(self, inputs: Designs, outputs: Layouts, *, question: Question, version: str) -> Claim:
        """The root helps nobody."""
        raise NotImplementedError(f"{self.name} is the root and helps no other node")

    def observe(self, inputs: Designs, outputs: Layouts) -> Float[np.ndarray, "batch features"]:
        """The drawing, coarsely."""
        return drawing(outputs)

    def _terms(self, outputs: Layouts) -> dict[str, Values]:
        fields = outputs.fields
        return terms(
            fields.net_power.sum(axis=1) + fields.block_leakage.sum(axis=1), fields.temperature.max(axis=(1, 2)),
            fields.log_lifetime.min(axis=(1, 2)), fields.exposure.max(axis=1), outputs.plan.side,
        )  # fmt: skip

    def hear(self, inputs: Designs, outputs: Layouts, claims: Claims) -> Float[np.ndarray, "batch claims"]:
        """The values that claims give."""
        return raw_values(self.quantities, claims)

    def true_reward(self, inputs: Designs, outputs: Layouts) -> Values:
        """See the module's docstring."""
        reward: Values = np.sum(list(self._terms(outputs).values()), axis=0)
        return reward

    def measures(self, inputs: Designs, outputs: Layouts) -> Mapping[str, Values]:
        """The terms of the true reward, and the die's side in mm."""
        named: dict[str, Any] = self._terms(outputs)
        return named | {"side": outputs.plan.side}
