"""Floorplans as people see them: nothing unread on the board, every place on it, and the answer where it is."""

import re
from dataclasses import replace
from functools import lru_cache
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from rewardtree.domains.chip.boards import DIE, LEFT, TITLED, TOP, cell_name
from rewardtree.domains.chip.domain import pools
from rewardtree.domains.chip.layouts import Layouts
from rewardtree.domains.chip.nodes import chip_tasks
from rewardtree.domains.chip.packing import GRID
from rewardtree.domains.chip.physics import Fields
from rewardtree.studies.embedding import embedded
from rewardtree.tasks.answers import AnswerTask, Scenes, merge
from rewardtree.tasks.board import Board, Instrument, unpack
from rewardtree.tasks.exhibit import NO_CLAIMS
from rewardtree.tasks.favouring import verdicts
from rewardtree.tasks.specimen import moved_fields
from rewardtree.tree.assistance import ask
from rewardtree.tree.comparing import exhibits
from rewardtree.tree.showing import show
from rewardtree.tree.sides import Side
from rewardtree.tree.stand_ins import answering, ideal

NODES = ("floorplan", "lifetime", "heat", "current", "energy", "security")
HELPERS = {"floorplan": ("lifetime", "energy", "security"), "lifetime": ("heat", "current")}
COUNT = 6
SVG = "{http://www.w3.org/2000/svg}"
Sides = tuple[Side, Side]

each_node = pytest.mark.parametrize("node", NODES)


@lru_cache(maxsize=1)
def tasks() -> dict[str, Any]:
    return dict(chip_tasks(pools(0)))


@lru_cache(maxsize=8)
def asked(node: str) -> tuple[Any, Sides]:
    """Comparisons on real and generated netlists, with ideal helpers' claims."""
    task, rng = tasks()[node], np.random.default_rng(5)
    inputs = task.sample(rng, COUNT, "test")
    helpers = {name: ideal(answering(tasks()[name])) for name in HELPERS.get(node, ())}
    outputs = [task.base_outputs(rng, inputs) for _ in range(2)]
    first, second = (Side(outputs=o, claims=ask(task, helpers, inputs, o) if helpers else NO_CLAIMS) for o in outputs)
    return inputs, (first, second)


def shown(node: str, inputs: Any, sides: Sides) -> list[dict[str, Any]]:
    packed = show(tasks()[node], inputs, sides, exhibits(tasks()[node], inputs, sides, 2), {})
    return [unpack(one) for one in packed]


def behind_other_fields(layouts: Layouts) -> Layouts:
    """The same layouts, as if the engineering models said something else."""
    other = layouts.take(np.arange(len(layouts)))
    named = {name: getattr(layouts.fields, name) for name in Fields.__slots__}
    vars(other)["fields"] = Fields(**moved_fields(named, np.random.default_rng(1)))
    return other


def changed(node: str, inputs: Any, sides: Sides) -> tuple[Any, Sides]:
    """The comparisons behind other fields; outputs and claims as they were."""
    if node == "floorplan":
        first, second = (replace(side, outputs=behind_other_fields(side.outputs)) for side in sides)
        return inputs, (first, second)
    drop = replace(inputs.backdrop, batches=tuple(behind_other_fields(one) for one in inputs.backdrop.batches))
    return replace(inputs, fields=moved_fields(inputs.fields, np.random.default_rng(1)), backdrop=drop), sides


def drawn(node: str, row: int = 0) -> tuple[Board, tuple[Instrument, ...]]:
    inputs, sides = asked(node)
    found: tuple[Board, tuple[Instrument, ...]] = tasks()[node].board(inputs, sides[0].outputs, row)
    return found


def marks(svg: str, kind: str) -> list[list[float]]:
    """Left, top, width and height of every rectangle of a class, keys left out."""
    found = [e for e in ET.fromstring(svg).iter(f"{SVG}rect") if e.get("class") == kind]
    return [[float(e.get(side, "")) for side in ("x", "y", "width", "height")] for e in found]


@each_node
def test_boards_claims_and_places_say_nothing_of_what_instruments_read(node: str) -> None:
    inputs, sides = asked(node)
    for one, two in zip(shown(node, inputs, sides), shown(node, *changed(node, inputs, sides)), strict=True):
        for side in ("first", "second"):
            assert one[side]["board"] == two[side]["board"] and one[side]["claims"] == two[side]["claims"]
            for before, after in zip(one[side]["instruments"], two[side]["instruments"], strict=True):
                assert before["values"] != after["values"]
                assert before | {"values": 0} == after | {"values": 0}


@each_node
def test_every_field_can_be_read_and_every_place_is_labelled_on_the_board(node: str) -> None:
    inputs, sides = asked(node)
    view = tasks()[node].view(inputs, sides[0].outputs, sides[0].claims)
    for row, one in enumerate(shown(node, inputs, sides)):
        board, tools = one["first"]["board"], one["first"]["instruments"]
        assert {tool["name"] for tool in tools} == set(view.fields)
        for tool in tools:
            np.testing.assert_allclose(tool["values"], view.fields[tool["name"]][row], rtol=1e-5, atol=1e-12)
            assert tool["places"] and len({label for _, label, _ in tool["places"]}) == len(tool["places"])
            for _, label, box in tool["places"]:
                x, y, w, h = box
                assert label and x >= 0 and y >= 0 and x + w <= board["width"] and y + h <= board["height"]
                assert w > 0 and h > 0


@each_node
def test_whatever_probes_and_claims_point_at_can_be_read(node: str) -> None:
    inputs, sides = asked(node)
    view = tasks()[node].view(inputs, sides[0].outputs, sides[0].claims)
    for row, one in enumerate(shown(node, inputs, sides)):
        places = {
            tool["name"]: {p: (label, box) for p, label, box in tool["places"]} for tool in one["first"]["instruments"]
        }
        for probe in view.probes.values():
            assert all(int(probe.place[row]) in places[name] for name in probe.instruments)
        for claim in one["first"]["claims"]:
            assert (claim["place_label"], claim["box"]) == places[claim["instrument"]][claim["place"]]


@each_node
def test_pictures_are_well_formed_and_need_nothing(node: str) -> None:
    for row in range(COUNT):
        board, _ = drawn(node, row)
        root = ET.fromstring(board.data)
        assert root.get("viewBox") == f"0 0 {board.width:g} {board.height:g}"
        assert embedded(board.data) is not None
        assert (
            re.findall(r"https?://(?!www\.w3\.org/2000/svg)|<script|\bon\w+=|href|url\(|@import|nan", board.data) == []
        )
        assert "prefers-color-scheme" in board.data and " id=" not in board.data and len(board.data) < 40_000
        assert board.alt and all(name and value for name, value in board.facts)


@each_node
def test_both_sides_have_boards_of_one_size(node: str) -> None:
    for one in shown(node, *asked(node)):
        assert [one["first"]["board"][k] for k in ("width", "height")] == [
            one["second"]["board"][k] for k in ("width", "height")
        ]


def test_blocks_stand_where_the_plan_says() -> None:
    _, sides = asked("floorplan")
    layouts = sides[0].outputs
    for row in range(COUNT):
        plan, mask, scale = layouts.plan, layouts.netlists.mask[row], DIE / layouts.plan.side[row]
        top = TOP + DIE - scale * (plan.y[row] + plan.height[row])
        wanted = np.stack([LEFT + scale * plan.x[row], top, scale * plan.width[row], scale * plan.height[row]], axis=1)
        board, tools = drawn("floorplan", row)
        bodies = marks(board.data, "body")[: mask.sum()]
        np.testing.assert_allclose(bodies, wanted[mask], atol=0.051)
        scan = next(tool for tool in tools if tool.name == "surroundings")
        np.testing.assert_allclose([box for _, _, box in scan.places], wanted[mask], atol=0.0051)


def test_cells_are_named_as_on_a_chess_board() -> None:
    assert [cell_name(place) for place in (0, 15, 16, 37, 255)] == ["A1", "P1", "A2", "F3", "P16"]
    _, (thermometer, *_) = drawn("floorplan")
    place, label, (x, y, w, h) = thermometer.places[2 * GRID + 5]
    assert (place, label) == (37, "F3")
    assert (x, y) == (LEFT + 5 * DIE / GRID, TOP + (GRID - 3) * DIE / GRID) and w == h == DIE / GRID
    ruler = [e for e in ET.fromstring(drawn("floorplan")[0].data).iter(f"{SVG}text") if e.get("class") == "ruler"]
    at = {e.text: (float(e.get("x", "")), float(e.get("y", ""))) for e in ruler}
    assert x < at["F"][0] < x + w and y < at["3"][1] < y + h


def test_facts_point_where_the_probes_do() -> None:
    inputs, sides = asked("floorplan")
    view = tasks()["floorplan"].view(inputs, sides[0].outputs, NO_CLAIMS)
    for row in range(COUNT):
        board, tools = drawn("floorplan", row)
        facts = dict(board.facts)
        places = {tool.name: {place: (label, box) for place, label, box in tool.places} for tool in tools}
        assert facts["die"] == f"{view.face[row, 0]:.1f} mm wide"
        assert facts["empty"] == f"{100 * (1 - view.face[row, 1]):.0f} %"
        assert facts["busiest net"] == places["item_power"][int(view.probes["net_power"].place[row])][0]
        blocks = {label: box for label, box in places["surroundings"].values()}
        x, y, w, h = blocks[facts["most power per area"]]
        cell = places["temperature"][int(view.probes["block_temperature"].place[row])][1]
        assert (
            cell[0] - 0.1 <= x + w / 2 <= cell[0] + cell[2] + 0.1
            and cell[1] - 0.1 <= y + h / 2 <= cell[1] + cell[3] + 0.1
        )


@pytest.mark.parametrize("node", NODES[1:])
def test_the_answer_is_marked_and_told(node: str) -> None:
    inputs, sides = asked(node)
    task, answers = tasks()[node], sides[0].outputs
    for row in range(COUNT):
        board, (tool, *_) = drawn(node, row)
        _, label, box = next(spot for spot in tool.places if spot[0] == answers.place[row])
        head = marks(board.data, "here")
        np.testing.assert_allclose(head[0], box, atol=0.051)
        title = [e for e in ET.fromstring(board.data).iter(f"{SVG}text") if e.get("class") == "title"]
        assert all(0 < float(e.get("y", "")) < TITLED for e in title)
        words = " ".join(e.text or "" for e in reversed(title))
        assert words == task.told(inputs, answers, row, label) and board.alt.startswith(words)
        assert label in words and f"{answers.value[row]:.{task.digits}f}".replace("-", "\N{MINUS SIGN}") in words
        assert words.startswith("Asked" if inputs.asked[row] >= 0 else "The answer")


def test_only_what_is_looked_for_is_drawn() -> None:
    assert 'class="net"' in drawn("floorplan")[0].data and 'class="net"' in drawn("energy")[0].data
    assert all('class="net"' not in drawn(node)[0].data for node in ("heat", "current", "lifetime", "security"))


@pytest.mark.parametrize("node", NODES[1:])
def test_scenes_keep_what_they_show(node: str) -> None:
    """However scenes are picked and mixed, the board is that of the scene."""
    task, rng = tasks()[node], np.random.default_rng(8)
    assert isinstance(task, AnswerTask)
    one, two = task.sample(rng, COUNT, "train"), task.sample(rng, COUNT, "train")
    second = np.arange(COUNT) % 2 == 1
    rows = np.array([5, 5, 2, 1])
    picked = merge(one, two, second).take(rows)
    answers = task.base_outputs(rng, picked)
    for at, row in enumerate(rows):
        source: Scenes = (two if second[row] else one).take(rows[[at]])
        source = replace(source, asked=picked.asked[[at]])
        assert task.board(source, answers.take(np.array([at])), 0)[0] == task.board(picked, answers, at)[0]
    plain, _ = task.board(replace(picked, backdrop=None), answers, 0)
    assert plain.kind == "text" and plain.data.startswith(task.told(picked, answers, 0, str(answers.place[0])))


def test_claims_on_places_that_the_parent_named_say_how_much_it_is_there() -> None:
    found = shown("lifetime", *asked("lifetime"))[0]["first"]["claims"]
    assert [claim["quantity"] for claim in found] == ["temperature", "current"]
    label = found[0]["place_label"]
    assert found[0]["pointer"] == f"temperature at {label}"
    assert re.fullmatch(rf"temperature at {label}: [\d.]+ °C", found[0]["statement"])


def test_the_energy_claim_tells_the_sum_and_what_it_claims_of_its_place() -> None:
    inputs, sides = asked("floorplan")
    claim = sides[0].claims["energy"]
    told = next(c for c in shown("floorplan", inputs, sides)[0]["first"]["claims"] if c["author"] == "energy")
    assert claim.items is not None
    item = float(claim.items[0, claim.place[0]])
    assert told["statement"] == (
        f"all items take {claim.value[0]:.2f} W; of this {item:.3g} at {told['place_label']}"
    )  # fmt: skip
    assert told["pointer"] == f"{told['place_label']} takes most power"


def test_verdicts_of_the_root() -> None:
    _, sides = asked("floorplan")
    for row in range(COUNT):
        lead = {q: float(sides[0].claims[q].value[row] - sides[1].claims[q].value[row]) for q in sides[0].claims}
        wanted = {"lifetime": lead["lifetime"], "energy": -lead["energy"], "exposure": -lead["exposure"]}
        assert verdicts(tasks()["floorplan"], sides[0].claims, sides[1].claims, row) == {
            quantity: "first" if by > 0 else "second" if by < 0 else "neither" for quantity, by in wanted.items()
        }


def test_the_guide_weighs_what_the_reward_weighs() -> None:
    guide = tasks()["floorplan"].guide
    assert all(word in guide for word in ("power", "Heat", "Lifetime", "Exposure", "Area", "1.2 points", "95 °C"))
    assert tasks()["floorplan"].question == "Which layout is better?"
