"""Boards check themselves, and come out of their bytes as they went in."""

import json
import zlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardtree.errors import TaskError
from rewardtree.tasks.board import (
    Board,
    Instrument,
    Shown,
    ShownClaim,
    ShownSide,
    outline,
    pack,
    part_of,
    picture_at,
    unpack,
    words_at,
)
from rewardtree.tasks.plain_boards import beneath, digest_board, listed, signed, written

PICTURE = Board(
    kind="picture", media_type="image/svg+xml", data="<svg/>", width=40.0, height=20.0, alt="two cells",
    facts=(("die", "12.1 mm"),),
)  # fmt: skip
TEXT = Board(kind="text", media_type="text/plain", data="one two", alt="one two")
METER = Instrument(
    name="heat", label="Thermometer", unit="°C", digits=1, values=(93.2, None),
    places=((0, "A1", (0.0, 0.0, 20.0, 20.0)), (1, "B1", (20.0, 0.0, 20.0, 20.0))),
)  # fmt: skip
CLAIM = ShownClaim(
    author="heat", version="3", quantity="hottest", pointer="hottest at A1", statement="hottest at A1: 93.2 °C",
    place=0, place_label="A1", box=(0.0, 0.0, 20.0, 20.0), instrument="heat", reliability=0.9,
)  # fmt: skip
SIDE = ShownSide(board=PICTURE, instruments=(METER,), claims=(CLAIM,))


def read(values: Any) -> list[float | None]:
    """The values as they come out."""
    places = tuple((i, str(i), ()) for i in range(len(values)))
    one = Instrument(name="heat", label="Thermometer", values=values, places=places)
    side = ShownSide(board=TEXT, instruments=(one,))
    found: list[float | None] = unpack(pack(Shown(first=side, second=side)))["first"]["instruments"][0]["values"]
    return found


def test_what_comes_out_has_the_shape_that_the_page_reads() -> None:
    other = replace(SIDE, claims=(), board=replace(PICTURE, alt="", facts=()))
    found = unpack(pack(Shown(first=SIDE, second=other, question="Which?", guide="The cooler.")))
    assert found["first"] == {
        "board": {
            "kind": "picture", "media_type": "image/svg+xml", "data": "<svg/>", "width": 40, "height": 20,
            "alt": "two cells", "facts": [["die", "12.1 mm"]], "seconds": 0, "plot": "",
        },
        "instruments": [
            {
                "name": "heat", "label": "Thermometer", "unit": "°C", "digits": 1, "values": [93.2, None],
                "shared": False, "places": [[0, "A1", [0, 0, 20, 20]], [1, "B1", [20, 0, 20, 20]]], "texts": [],
                "pictures": [], "media_type": "",
            }
        ],
        "claims": [
            {
                "author": "heat", "version": "3", "quantity": "hottest", "pointer": "hottest at A1",
                "statement": "hottest at A1: 93.2 °C", "place": 0, "place_label": "A1", "box": [0, 0, 20, 20],
                "instrument": "heat", "reliability": 0.9,
            }
        ],
    }  # fmt: skip
    assert found["second"]["claims"] == [] and found["second"]["board"]["alt"] == ""
    assert (found["question"], found["guide"], len(found)) == ("Which?", "The cooler.", 4)


def test_the_bytes_are_json_and_always_the_same() -> None:
    shown = Shown(first=SIDE, second=SIDE)
    assert pack(shown) == pack(shown)
    assert json.loads(zlib.decompress(pack(shown))) == outline(pack(shown))
    (tool,), (whole,) = (one(pack(shown))["first"]["instruments"] for one in (outline, unpack))
    assert all(part_of(tool, part) == whole[part] for part in ("places", "values", "texts"))


LENS = Instrument(
    name="passage", label="Open", places=((7, "chapter 1", ()), (3, "chapter 2", ())), texts=("It rained.", None)
)


def test_words_are_found_by_their_place() -> None:
    side = ShownSide(board=TEXT, instruments=(LENS,))
    (tool,) = outline(pack(Shown(first=side, second=side)))["first"]["instruments"]
    assert [words_at(tool, place) for place in (7, 3, 0)] == ["It rained.", None, None]
    assert part_of(tool, "values") == []
    before = {name: value for name, value in tool.items() if name != "texts"}
    assert words_at(before, 7) is None and part_of(before, "texts") == [], "what was packed before there were texts"
    with pytest.raises(TaskError, match="a text for each place"):
        replace(LENS, texts=("It rained.",))


CLIP = Board(kind="clip", media_type="video/webm", data="", width=40.0, height=20.0, seconds=2.0, plot="<svg/>")
STILL = Instrument(
    name="still", label="Still", places=((0, "0.5 s", (0.0, 1.0)), (1, "1.5 s", (1.0, 2.0))), pictures=("UklG", None),
    media_type="image/webp",
)  # fmt: skip


def test_pictures_are_found_by_their_place_beside_values_or_without() -> None:
    for one, values in ((STILL, []), (replace(STILL, values=(3.0, 4.0)), [3.0, 4.0])):
        side = ShownSide(board=CLIP, instruments=(one,))
        (tool,) = outline(pack(Shown(first=side, second=side)))["first"]["instruments"]
        assert [picture_at(tool, place) for place in (0, 1, 2)] == ["UklG", None, None]
        assert part_of(tool, "values") == values
    with pytest.raises(TaskError, match="a picture for each place"):
        replace(STILL, pictures=("UklG",))
    with pytest.raises(TaskError, match="their media type"):
        replace(STILL, media_type="text/html")


def test_only_clips_have_a_time_line_and_nothing_is_beyond_its_end() -> None:
    with pytest.raises(TaskError, match="no time line"):
        replace(PICTURE, plot="<svg/>")
    assert CLIP.holds((1.0, 2.0)) and not CLIP.holds((1.0, 2.1)) and replace(CLIP, seconds=0.0).holds((1.0, 9.0))


def test_places_of_texts_are_listed_under_a_text_and_nowhere_else() -> None:
    board, (lens, meter) = beneath(TEXT, (LENS, replace(METER, places=())))
    assert board.data == board.alt == "one two\n\nOpen: chapter 1 \N{MIDDLE DOT} chapter 2"
    assert [board.data[int(box[0]) : int(box[1])] for _, _, box in lens.places] == ["chapter 1", "chapter 2"]
    assert [place for place, _, _ in lens.places] == [7, 3] and meter.places == ()
    named = replace(LENS, places=((7, "one", (0.0, 3.0)), LENS.places[1]))
    board, (some,) = beneath(TEXT, (named,))
    assert board.data == "one two\n\nOpen: chapter 2" and some.places[0] == named.places[0] and some.places[1][2]
    assert beneath(PICTURE, (LENS,)) == (PICTURE, (LENS,)) and beneath(board, (lens,)) == (board, (lens,))


@pytest.mark.parametrize("values", [(1.0, None), (1.0, float("nan")), np.array([1.0, np.nan]), np.array([1.0, np.inf])])
def test_what_cannot_be_read_is_null(values: Any) -> None:
    assert read(values) == [1.0, None]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e200, max_value=1e200), min_size=1))
def test_values_keep_six_digits(values: list[float]) -> None:
    wanted = [float(f"{value:.6g}") for value in values]
    found = np.array(read(values))
    large = np.abs(wanted) > 1e-280
    assert np.allclose(found[large], np.array(wanted)[large], rtol=1.0001e-6, atol=0)
    shown = [f"{value:.17g}" for value in found[(np.abs(found) > 1e-3) & (np.abs(found) < 1e6)]]
    assert all(float(one) == float(f"{float(one):.6g}") for one in shown)


def test_short_numbers_stay_short() -> None:
    assert read([0.1, 93.2, 1234567.0, -0.000123456789, 0.0]) == [0.1, 93.2, 1234570.0, -0.000123457, 0.0]


@pytest.mark.parametrize("packed", [b"", b"no zlib", zlib.compress(b"{")])
def test_other_bytes_are_refused(packed: bytes) -> None:
    with pytest.raises(TaskError, match="ask the comparison anew"):
        unpack(packed)


def test_media_types_and_sizes_are_checked() -> None:
    with pytest.raises(TaskError, match="image/svg"):
        replace(PICTURE, media_type="text/html")
    with pytest.raises(TaskError, match="width and a height"):
        replace(PICTURE, width=0.0)


def test_places_are_checked() -> None:
    with pytest.raises(TaskError, match="each place once"):
        replace(METER, places=(METER.places[0], METER.places[0]))
    with pytest.raises(TaskError, match="has a label"):
        replace(METER, places=((0, "", ()),))
    with pytest.raises(TaskError, match="box of 4 numbers"):
        replace(METER, places=((0, "A1", (1.0,)),))


@pytest.mark.parametrize("place", [-1, 2])
def test_every_place_has_a_value(place: int) -> None:
    with pytest.raises(TaskError, match="a value for it"):
        replace(SIDE, instruments=(replace(METER, places=((place, "C1", ()),)),))


@pytest.mark.parametrize("box", [(30.0, 0.0, 20.0, 20.0), (0.0, -1.0, 20.0, 20.0), (0.0, 0.0, 20.0, 21.0)])
def test_boxes_are_on_the_board(box: tuple[float, ...]) -> None:
    with pytest.raises(TaskError, match="A1 is not on the board"):
        replace(SIDE, instruments=(replace(METER, places=((0, "A1", box),)),))
    with pytest.raises(TaskError, match="off the board"):
        replace(SIDE, claims=(replace(CLAIM, box=box),))


def test_stretches_are_in_the_text() -> None:
    word = Instrument(name="word", label="Word", values=(1.0,), places=((0, "two", (4.0, 7.0)),))
    ShownSide(board=TEXT, instruments=(word,))
    with pytest.raises(TaskError, match="two is not on the board"):
        ShownSide(board=TEXT, instruments=(replace(word, places=((0, "two", (4.0, 8.0)),)),))


def test_claims_are_checked_with_an_instrument_that_is_there() -> None:
    with pytest.raises(TaskError, match="no instrument"):
        replace(SIDE, claims=(replace(CLAIM, instrument="scale"),))


def test_a_written_text_knows_where_its_places_are() -> None:
    board, spots = written(["It is ", (4, "the word", "hot"), " at ", *listed([3, 12])])
    assert board.data == "It is hot at Places: 3, 12"
    assert [(place, label, board.data[int(box[0]) : int(box[1])]) for place, label, box in spots] == [
        (4, "the word", "hot"),
        (3, "3", "3"),
        (12, "12", "12"),
    ]


def test_records_are_shown_line_by_line_with_places_by_number() -> None:
    board, (tool,) = digest_board({"netlist": "a"}, {"first": [1, 0]}, {"item_power": 2})
    assert board.data == "Netlist: a\nFirst: [1, 0]"
    assert (tool.name, tool.label, tool.places) == (
        "item_power",
        "Item power",
        ((0, "place 0", ()), (1, "place 1", ())),
    )


def test_numbers_have_proper_minus_signs() -> None:
    assert signed("life -0.5 at block-1, -3") == "life {0}0.5 at block-1, {0}3".format("\N{MINUS SIGN}")
