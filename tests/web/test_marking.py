"""Marks on a board stand where they hide as little as can be."""

from dataclasses import replace
from typing import Any

from rewardtree.web.display import Found, Panel, Said, Spot
from rewardtree.web.marking import badges, pills

SIDE, UNIT = 400.0, 12.0


def panel(*boxes: tuple[float, float, float, float], words: str = "", claims: tuple[Said, ...] = ()) -> Panel:
    """A picture with a reading at each box."""
    found = tuple(
        Found(number=i, side="a", tool="Thermometer", spot=Spot(place=i, label="", box=box), text="81.3 °C", value=81.3)
        for i, box in enumerate(boxes)
    )
    more: dict[str, Any] = {"alt": "", "facts": (), "spots": {}, "claims": claims, "readings": found}
    svg = f'<svg xmlns="http://www.w3.org/2000/svg">{words}</svg>'
    return Panel(side="a", kind="picture", media_type="image/svg+xml", data=svg, width=SIDE, height=SIDE, **more)


def word(x: float, y: float) -> str:
    return f'<text x="{x}" y="{y}" style="font-size:13.0px" class="name">b12</text>'


def meet(one: Any, other: Any) -> bool:
    return all(one[i] < other[i] + other[i + 2] and other[i] < one[i] + one[i + 2] for i in (0, 1))


def test_a_reading_stands_above_its_place_and_elsewhere_where_a_word_is() -> None:
    box = (200.0, 200.0, 24.0, 24.0)
    ((_, usual),) = pills(panel(box), UNIT)
    assert usual[1] + usual[3] <= box[1] and usual[0] < 212 < usual[0] + usual[2]
    ((_, moved),) = pills(panel(box, words=word(212, 190)), UNIT)
    assert not meet(moved, (200.0, 178.0, 24.0, 14.0)) and not meet(moved, box)


def test_readings_stay_on_the_board_and_hide_neither_each_other_nor_a_claims_number() -> None:
    claim = Said(
        number=0, side="a", author="heat", quantity="heat", opened=True, statement="hot", where="", favours=None,
        box=(24.0, 0.0, 24.0, 24.0), reliability=None,
    )  # fmt: skip
    shown = panel((0.0, 0.0, 24.0, 24.0), (24.0, 24.0, 24.0, 24.0), (376.0, 376.0, 24.0, 24.0), claims=(claim,))
    boxes = [box for _, box in pills(shown, UNIT)]
    ((_, (x, y)),) = badges(shown, UNIT)
    taken = [*boxes, (x - UNIT / 2, y - UNIT / 2, UNIT, UNIT)]
    assert all(0 <= box[0] <= SIDE - box[2] and 0 <= box[1] <= SIDE - box[3] for box in boxes)
    assert not any(meet(one, other) for i, one in enumerate(taken) for other in taken[:i])


def test_numbers_of_claims_at_one_place_stand_apart() -> None:
    claims = tuple(
        Said(
            number=i, side="a", author="heat", quantity="heat", opened=True, statement="hot", where="", favours=None,
            box=(200.0, 200.0, 24.0, 24.0), reliability=None,
        )
        for i in range(7)
    )  # fmt: skip
    placed = [at for _, at in badges(panel(claims=claims), UNIT)]
    assert all(abs(a - c) + abs(b - d) >= 1.3 * UNIT for i, (a, b) in enumerate(placed) for c, d in placed[:i])


def test_a_drawing_that_says_nothing_sensible_is_taken_as_it_is() -> None:
    odd = '<text x="1.2.3" y="">?</text><text>?</text><text x="9" y="9" font-size="0">?</text>'
    assert len(pills(panel((0.0, 0.0, 5.0, 5.0), words=odd), UNIT)) == 1
    assert pills(replace(panel(), readings=()), UNIT) == []
