import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from rewardtree.domains.chip.drawing import DIE, LEFT, TOP, draw_before_after, draw_layout, heat_range
from rewardtree.domains.chip.generate import generate
from rewardtree.domains.chip.layouts import Designs, Layouts, random_layouts
from rewardtree.domains.chip.netlist import stack
from rewardtree.domains.chip.nodes import chip_tasks
from rewardtree.errors import TaskError
from rewardtree.studies.embedding import embedded
from rewardtree.tasks.exhibit import Claim
from rewardtree.tree.assistance import ask
from rewardtree.tree.stand_ins import answering, ideal

HOSTILE = "<script>x</script>&\"'\x00\x1b"
SVG = "{http://www.w3.org/2000/svg}"
Scene = tuple[Designs, Layouts, dict[str, Claim]]


@pytest.fixture(scope="module")
def scene() -> Scene:
    rng = np.random.default_rng(3)
    small, large = generate(rng, blocks=10, nets=16, count=2), generate(rng, count=4)
    designs = Designs(netlists=stack([*small, *large]))
    layouts = random_layouts(rng, designs)
    tasks = chip_tasks({split: designs for split in ("train", "calibration", "validation", "test")})
    helpers = {name: ideal(answering(tasks[name])) for name in ("lifetime", "energy", "security")}
    return designs, layouts, dict(ask(tasks["floorplan"], helpers, designs, layouts))


def marked(svg: str) -> list[list[float]]:
    """Left, top, width and height of every marked cell or block."""
    found = [e for e in ET.fromstring(svg).iter(f"{SVG}rect") if e.get("class") == "mark"]
    return [[float(e.get(side, "")) for side in ("x", "y", "width", "height")] for e in found]


def texts(svg: str) -> str:
    return " ".join("".join(e.itertext()) for e in ET.fromstring(svg).iter(f"{SVG}text"))


def claim(place: int, check: tuple[str, ...], **how: object) -> dict[str, Claim]:
    given: dict[str, object] = {
        "author": "me",
        "version": "1",
        "quantity": "it",
        "place": np.full(6, place),
        "value": np.full(6, 0.5),
        "check": check,
    }
    return {"it": Claim(**(given | how))}  # type: ignore[arg-type]


def test_every_layout_is_a_small_well_formed_picture_that_needs_nothing(scene: Scene) -> None:
    designs, layouts, claims = scene
    for row in range(len(designs)):
        svg = draw_layout(designs, layouts, row, claims)
        drawn = embedded(svg)
        assert drawn is not None and not drawn.wide
        assert len(svg) < 40_000 and " id=" not in svg and "nan" not in svg
        assert re.findall(r"https?://(?!www\.w3\.org/)", svg) == []
        blocks = [e for e in ET.fromstring(svg).iter(f"{SVG}g") if e.find(f"{SVG}rect[@class='block']") is not None]
        assert len(blocks) == layouts.netlists.mask[row].sum()


def test_blocks_stand_where_the_plan_says(scene: Scene) -> None:
    designs, layouts, _ = scene
    svg = draw_layout(designs, layouts, 2)
    plan, scale = layouts.plan, DIE / layouts.plan.side[2]
    found = [e.find(f"{SVG}rect[@class='block']") for e in ET.fromstring(svg).iter(f"{SVG}g")]
    drawn = sorted([float(e.get(s, "")) for s in ("x", "y", "width", "height")] for e in found if e is not None)
    top = TOP + DIE - scale * (plan.y[2] + plan.height[2])
    wanted = np.stack([LEFT + scale * plan.x[2], top, scale * plan.width[2], scale * plan.height[2]], axis=1)
    np.testing.assert_allclose(drawn, sorted(wanted.tolist()), atol=0.051)


def test_a_cell_is_marked_in_its_row_and_column_from_the_lower_left(scene: Scene) -> None:
    designs, layouts, _ = scene
    svg = draw_layout(designs, layouts, 2, claim(2 * 16 + 5, ("temperature",)))
    assert marked(svg) == [[LEFT + 5 * 25, TOP + 13 * 25, 25, 25]]
    assert "row 2, column 5" in texts(svg)


def test_a_block_is_marked_and_named(scene: Scene) -> None:
    designs, layouts, _ = scene
    names = [f"unit.{i}" for i in range(16)]
    said = claim(7, ("surroundings",), statement="block {place} at {value:.1f}")
    svg = draw_layout(designs, layouts, 3, said, names=names)
    scale = DIE / layouts.plan.side[3]
    np.testing.assert_allclose(marked(svg)[0][0], LEFT + scale * layouts.plan.x[3, 7], atol=0.051)
    assert "me: block 7 at 0.5" in texts(svg)


def test_items_are_nets_first_then_leakages(scene: Scene) -> None:
    designs, layouts, _ = scene
    nets = layouts.netlists.activity.shape[1]
    items = np.full((6, nets + 16), 0.25)
    net = draw_layout(designs, layouts, 4, claim(3, ("item_power",), items=items))
    assert "marked: net 3" in texts(net) and "0.25 W claimed" in texts(net) and marked(net) == []
    assert 'class="mark"' in net
    block = draw_layout(designs, layouts, 4, claim(nets + 3, ("item_power",), items=items))
    assert "marked: leakage of block b3" in texts(block) and len(marked(block)) == 1


def test_places_that_cannot_be_drawn_are_still_told(scene: Scene) -> None:
    designs, layouts, _ = scene
    for check in (("temperature",), ("surroundings",), ("item_power",), ()):
        svg = draw_layout(designs, layouts, 1, claim(9_999, check))
        assert marked(svg) == [] and "me: 0.5 at 9999" in texts(svg)


def test_words_never_overlap(scene: Scene) -> None:
    """Texts below the die have lines of their own, numbers in the die keep apart."""
    designs, layouts, claims = scene
    for row in range(len(designs)):
        svg = ET.fromstring(draw_layout(designs, layouts, row, claims))
        below = [
            e for e in svg.iter(f"{SVG}text") if float(e.get("y", "")) > TOP + DIE + 10 and e.get("class") != "digit"
        ]
        for a in below:
            for b in below:
                apart = abs(float(a.get("y", "")) - float(b.get("y", ""))) >= 12
                assert a is b or apart or abs(float(a.get("x", "")) - float(b.get("x", ""))) >= 60
        badges = [e for e in svg.iter(f"{SVG}circle") if float(e.get("cy", "")) < TOP + DIE]
        spots = [np.array([float(e.get("cx", "")), float(e.get("cy", ""))]) for e in badges]
        assert len(spots) == 3
        assert min(np.abs(a - b).max() for i, a in enumerate(spots) for b in spots[:i]) >= 9


def test_hostile_names_stay_text(scene: Scene) -> None:
    designs, layouts, claims = scene
    bad = Designs(netlists=replace(designs.netlists, names=(HOSTILE,) * 6))
    worse = Layouts(netlists=bad.netlists, first=layouts.first, second=layouts.second, rotated=layouts.rotated)
    said = {q: replace(c, author=HOSTILE, statement=HOSTILE + " {value}") for q, c in claims.items()}
    names = [f"{HOSTILE}{i}" for i in range(16)]
    for svg in (
        draw_layout(bad, worse, 2, said, names=names, title=HOSTILE),
        draw_before_after(bad, (worse, worse), 2, (said, None), names=names, titles=(HOSTILE, HOSTILE)),
    ):
        assert "<script" not in svg and embedded(svg) is not None


def test_before_and_after_share_one_scale_and_tell_the_true_reward(scene: Scene) -> None:
    designs, layouts, claims = scene
    after = Layouts(netlists=layouts.netlists, first=layouts.second, second=layouts.first, rotated=layouts.rotated)
    svg = draw_before_after(designs, (layouts, after), 1, (claims, None))
    drawn = embedded(svg)
    assert drawn is not None and drawn.wide and len(svg) < 60_000
    tasks = chip_tasks({split: designs for split in ("train", "calibration", "validation", "test")})
    for side in (layouts, after):
        reward = f"{tasks['floorplan'].true_reward(designs, side)[1]:.2f}".replace("-", "\N{MINUS SIGN}")
        assert f"true reward {reward}" in texts(svg)
    low, high = heat_range([side.take(np.array([1])) for side in (layouts, after)])
    assert texts(svg).count(f"{high:.0f} °C") == 2 and low < high


def test_wrong_rows_and_names_are_refused(scene: Scene) -> None:
    designs, layouts, _ = scene
    with pytest.raises(TaskError, match="row 6"):
        draw_layout(designs, layouts, 6)
    with pytest.raises(TaskError, match="cannot be drawn"):
        draw_layout(designs.take(np.array([0])), layouts, 0)
    with pytest.raises(TaskError, match="names"):
        draw_layout(designs, layouts, 2, names=["one"])
