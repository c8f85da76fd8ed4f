"""Floorplanning files: what they say, what is made up, and what is said of broken ones."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rewardtree.domains.chip.bookshelf import read_placement, write_bookshelf, write_placement
from rewardtree.domains.chip.formats import LEAKAGE, read_file, read_netlist
from rewardtree.domains.chip.generate import generate
from rewardtree.domains.chip.netlist import BLOCK_AREA, TOTAL_ACTIVITY, TOTAL_POWER, Netlist
from rewardtree.domains.chip.real import real_netlists
from rewardtree.errors import InputFileError, TaskError

ROOT = Path(__file__).parents[3]
TINY = ROOT / "examples" / "tiny.blocks"
YAL = ROOT / "tests" / "fixtures" / "chip" / "small.yal"

BLOCKS = """UCSC blocks 1.0
# three blocks and a pad
NumSoftRectangularBlocks : 1
NumHardRectilinearBlocks : 2
NumTerminals : 1

a hardrectilinear 4 (0, 0) (0, 3) (2, 3) (2, 0)
b hardrectilinear 6 (0, 0), (0, 4),
    (1, 4) (1, 2)
    (5, 2) (5, 0) : none
c softrectangular 16 2 4
p terminal
"""
NETS = """UCLA nets 1.0
NumNets : 5
NumPins : 12
NetDegree : 2 bus
a B : %0.5 %0.5
b B
NetDegree : 3
b B
c B
p B
NetDegree : 2 again
b B
a B
NetDegree : 2
p B
c B
NetDegree : 3
a B
c B
a B
"""
POWER = """block,power_w,leakage_w,secret,untrusted,critical
a,1.5,0.5,1,0,1
b,3,1,0,1,0
c,2,0,0,0,0
"""


def _files(folder: Path, **texts: str) -> Path:
    for suffix, text in ({"blocks": BLOCKS, "nets": NETS} | texts).items():
        (folder / f"x.{suffix.replace('_', '.')}").write_text(text)
    return folder / "x.blocks"


def _nets(netlist: Netlist) -> list[list[int]]:
    return [pins.tolist() for pins in np.split(netlist.net_pins, netlist.net_start[1:-1])]


# --- what files say ---


def test_bookshelf_by_hand(tmp_path: Path) -> None:
    reading = read_file(_files(tmp_path))
    netlist = reading.netlist
    scale = np.sqrt(36 / (6 + 20 + 16))
    assert (netlist.name, netlist.block_names) == ("x", ("a", "b", "c"))
    assert reading.millimetres == pytest.approx(scale)
    np.testing.assert_allclose(netlist.width, np.array([2, 5, 8**0.5]) * scale)
    np.testing.assert_allclose(netlist.height, np.array([3, 4, 2 * 8**0.5]) * scale)
    assert _nets(netlist) == [[0, 1], [1, 2], [0, 2]]
    np.testing.assert_allclose(netlist.activity, np.array([2, 1, 1]) / 4)
    assert (reading.terminals, reading.dropped, reading.bundled, reading.reshaped) == (1, 1, 1, 2)
    assert (reading.corners, reading.has_power) == (None, False)


def test_power_from_the_sidecar(tmp_path: Path) -> None:
    reading = read_file(_files(tmp_path, power_csv=POWER))
    assert reading.has_power
    np.testing.assert_allclose(reading.netlist.power, np.array([1.5, 3, 2]) * TOTAL_POWER / 8)
    np.testing.assert_allclose(reading.netlist.leakage, np.array([0.5, 1, 0]) * TOTAL_POWER / 8)
    assert reading.netlist.secret.tolist() == reading.netlist.critical.tolist() == [True, False, False]
    assert reading.netlist.untrusted.tolist() == [False, True, False]


def test_power_is_made_up_the_same_way_for_a_block_of_the_same_name(tmp_path: Path) -> None:
    first = read_netlist(_files(tmp_path))
    assert first.leakage.sum() == pytest.approx(LEAKAGE * TOTAL_POWER)
    np.testing.assert_allclose(first.leakage / (first.width * first.height), LEAKAGE * TOTAL_POWER / BLOCK_AREA)
    assert (read_netlist(_files(tmp_path)).power == first.power).all()
    bigger = read_netlist(_files(tmp_path, blocks=BLOCKS.replace("16 2 4", "32 2 4")))
    density, again = (n.power / (n.width * n.height) for n in (first, bigger))
    assert again[1] / again[0] == pytest.approx(density[1] / density[0])
    renamed = read_netlist(_files(tmp_path, blocks=BLOCKS.replace("a h", "z h"), nets=NETS.replace("a B", "z B")))
    assert renamed.power[0] / renamed.power[1] != pytest.approx(first.power[0] / first.power[1], rel=0.01)


def test_weights_and_places(tmp_path: Path) -> None:
    weights = "UCLA wts 1.0\nbus 3\nnet1 2\nagain 0\nnet3 7\nnet4 5\n"
    places = "UCLA pl 1.0\np 1 1\nc 10 20 : N\na 0 5\n"
    reading = read_file(_files(tmp_path, wts=weights, pl=places))
    np.testing.assert_allclose(reading.netlist.activity, np.array([3, 2, 5]) / 10)
    assert reading.corners is not None
    np.testing.assert_allclose(reading.corners / reading.millimetres, [[0, 5], [np.nan, np.nan], [10, 20]])


def test_yal_by_hand() -> None:
    reading = read_file(YAL)
    netlist = reading.netlist
    assert netlist.block_names == ("m0", "m1", "c", "f")
    np.testing.assert_allclose(netlist.width / reading.millimetres, [60, 60, 80, 50])
    np.testing.assert_allclose(netlist.height / reading.millimetres, [40, 40, 50, 30])
    # data0, address, data1, clock; power is supply
    assert _nets(netlist) == [[0, 2], [0, 1, 2], [1, 2, 3], [2, 3]]
    assert (reading.terminals, reading.dropped, reading.bundled, reading.reshaped) == (2, 1, 0, 1)


def test_the_example() -> None:
    reading = read_file(TINY)
    netlist = reading.netlist
    assert (netlist.blocks, reading.terminals, reading.dropped, reading.reshaped) == (16, 4, 4, 3)
    assert reading.has_power
    assert reading.corners is not None
    x, y = reading.corners.T
    right, top = x + netlist.width, y + netlist.height
    apart = (right[:, None] <= x + 1e-3) | (top[:, None] <= y + 1e-3)
    np.fill_diagonal(apart, True)
    assert (apart | apart.T).all(), "blocks of the example's placement overlap"
    assert (netlist.width * netlist.height).sum() == pytest.approx(BLOCK_AREA)
    assert netlist.activity.sum() == pytest.approx(TOTAL_ACTIVITY)


# --- round trips ---


@pytest.mark.parametrize("number", range(3))
def test_what_is_written_is_read_back(number: int, tmp_path: Path) -> None:
    netlist = [*generate(np.random.default_rng(5), count=2), real_netlists()[9]][number]
    path = tmp_path / "a.b.blocks"
    write_bookshelf(netlist, path)
    rng = np.random.default_rng(0)
    x, y = rng.uniform(0, 10, (2, netlist.blocks))
    write_placement(netlist, path.with_suffix(".pl"), x, y, turned=netlist.secret)
    reading = read_file(path)
    again = reading.netlist
    assert (again.name, again.block_names) == ("a.b", netlist.block_names)
    for field in ("width", "height", "power", "leakage", "activity"):
        np.testing.assert_allclose(getattr(again, field), getattr(netlist, field), rtol=1e-7)
    for field in ("secret", "untrusted", "critical"):
        assert (getattr(again, field) == getattr(netlist, field)).all()
    assert [sorted(pins) for pins in _nets(again)] == [sorted(pins) for pins in _nets(netlist)]
    assert reading.millimetres == pytest.approx(1e-3)
    assert reading.corners is not None
    np.testing.assert_allclose(reading.corners, np.stack([x, y], axis=1), rtol=1e-7)
    turned = [line.endswith("E") for line in path.with_suffix(".pl").read_text().splitlines()[2:]]
    assert turned == netlist.secret.tolist()


def test_names_that_the_format_cannot_hold(tmp_path: Path) -> None:
    (tmp_path / "x.blocks").write_text("")
    read = read_netlist(_files(tmp_path))
    netlist = Netlist(**{f: getattr(read, f) for f in Netlist.__slots__} | {"block_names": ("a b", "c", "d")})
    with pytest.raises(TaskError, match="block name 'a b' cannot be written as Bookshelf"):
        write_bookshelf(netlist, tmp_path / "y.blocks")


# --- broken files ---

BAD: dict[str, tuple[str, str, str, int | None, str]] = {
    # name: file, text to replace, by what, line, problem and remedy
    "blocks counted wrong": (
        "blocks", "Blocks : 2", "Blocks : 3", 4, "NumHardRectilinearBlocks says 3, but there are 2",
    ),
    "no count": (
        "blocks", "NumTerminals : 1", "NumTerminals : one", 5,
        "NumTerminals is no count; write NumTerminals : 12",
    ),
    "no counts": ("blocks", "Num", "Number", 3, "cannot read 'NumberSoftRectangularBlocks : 1'"),
    "cut off": (
        "blocks", "c softrectangular 16 2 4\np terminal\n", "", 3,
        "Blocks says 1, but there are 0; mend the count, or the file is cut off",
    ),
    "cut in a block": (
        "blocks", "(5, 2) (5, 0) : none\nc softrectangular 16 2 4\np terminal\n", "", 8,
        "the block says 6 corners and gives 4",
    ),
    "corner no number": (
        "blocks", "(2, 3)", "(two, 3)", 7, "the corner 'two' is not a number; write a number such as 12.5",
    ),
    "corner not finite": ("blocks", "(2, 3)", "(inf, 3)", 7, "the corner 'inf' is not a number"),
    "junk between corners": (
        "blocks", "(0, 3) (2, 3)", "(0, 3) 7 (2, 3)", 7, "cannot read '7'; write each corner as (x, y)",
    ),
    "no width": (
        "blocks", "(2, 3) (2, 0)", "(0, 3) (0, 0)", 7, "the width is 0; give sizes from 1e-06 to 1e+09",
    ),
    "twice": ("blocks", "b hard", "a hard", 8, "a is there a second time; give each its own name"),
    "aspect": (
        "blocks", "16 2 4", "16 4 2", 11, "the aspect ratios go from 4 to 2; give them in rising order",
    ),
    "area": ("blocks", "16 2 4", "-16 2 4", 11, "the square root of the area is 0"),
    "soft cut": (
        "blocks", "16 2 4", "16 2", 11,
        "c gives 2 numbers; write 'softrectangular area min_aspect max_aspect'",
    ),
    "other kind": ("blocks", "softrectangular", "round", 11, "cannot read 'c round 16 2 4'"),
    "nets counted wrong": (
        "nets", "NumNets : 5", "NumNets : 4", 2, "NumNets says 4, but there are 5; mend the count",
    ),
    "pins counted wrong": ("nets", "NumPins : 12", "NumPins : 13", 3, "NumPins says 13, but there are 12"),
    "no NumPins": ("nets", "NumPins : 12\n", "", None, "NumPins says nothing, but there are 12"),
    "degree": (
        "nets", "NetDegree : 3\nb B", "NetDegree : 4\nb B", 7,
        "the net says 4 pins and has 3; mend the number",
    ),
    "no degree": ("nets", "NetDegree : 2 bus", "NetDegree : two", 4, "the net says two pins and has 2"),
    "stray pin": (
        "nets", "NetDegree : 2 bus", "", 5,
        "cannot read 'a B : %0.5 %0.5'; begin each net with NetDegree : d",
    ),
    "unknown block": (
        "nets", "c B\np B\nNet", "q B\np B\nNet", 9,
        "q is neither block nor terminal; add it to the .blocks file or mend its name",
    ),
    "net twice": ("nets", "again", "bus", 11, "net bus is there a second time"),
    "columns": ("power.csv", "power_w", "power", 1, "the columns differ; begin with block,power_w"),
    "power no number": ("power.csv", "1.5", "much", 2, "the power 'much' is not a number"),
    "power below 0": ("power.csv", "1.5", "-1", 2, "the power is out of range; give 0 to 1e+09 W"),
    "tag": ("power.csv", "1,0,1", "yes,0,1", 2, "a tag is neither 0 nor 1"),
    "tags at odds": ("power.csv", "1,0,1", "1,1,0", 2, "block a is untrusted and secret or critical"),
    "no row": (
        "power.csv", "c,2,0,0,0,0\n", "", None, "1 blocks have no row, c for one; give each block a row",
    ),
    "row twice": ("power.csv", "c,2", "b,2", 4, "block b is there a second time"),
    "row of another": ("power.csv", "c,2", "q,2", 4, "its block 'q' is not among the blocks"),
    "row cut": ("power.csv", "c,2,0,0,0,0", "c,2,0", 4, "the row has 3 columns"),
    "no power at all": (
        "power.csv", POWER[POWER.index("\n") :], "\na,0,0,0,0,0\nb,0,0,0,0,0\nc,0,0,0,0,0\n", None,
        "has no power above 0; give one, or remove the file",
    ),
    "weight": ("wts", "bus 3", "bus three", 1, "the weight 'three' is not a number"),
    "weight below 0": ("wts", "bus 3", "bus -3", 1, "the weight is -3"),
    "weight of another": ("wts", "bus 3", "bis 3", 1, "cannot read 'bis 3'; write 'net weight', once a net"),
    "weight missing": ("wts", "net4 5\n", "", None, "1 nets have no weight, net4 for one; give each net one"),
    "no weights": (
        "wts", "bus 3\nnet1 2\nagain 0\nnet3 7\nnet4 5", "bus 0\nnet1 0\nagain 0\nnet3 7\nnet4 0", None,
        "has no weight above 0 for a net between blocks",
    ),
    "place": ("pl", "c 10 20", "c 10", 2, "cannot read 'c 10'; write 'name x y'"),
    "place no number": ("pl", "c 10 20", "c 10 up", 2, "the place 'up' is not a number"),
    "yal no end": (
        "yal", "ENDMODULE;\nMODULE core", "MODULE core", 11,
        "MODULE is inside a module; put ENDMODULE; before it",
    ),
    "yal cut off": (
        "yal", "  PLACEMENT; m0 0 0; ENDPLACEMENT;\nENDMODULE;\n", "", 26,
        "module chip has no end; add ENDMODULE;",
    ),
    "yal cut in a statement": (
        "yal", "ENDPLACEMENT;\nENDMODULE;\n", "ENDPLACEM", 38,
        "the last statement has no end; end it with ;, or the file is cut off",
    ),
    "yal no parent": ("yal", "TYPE PARENT", "TYPE GENERAL", None, "has 0 modules of TYPE PARENT; give one"),
    "yal type": ("yal", "TYPE PAD", "TYPE PUD", 22, "the type is unknown; use one of STANDARD, PAD"),
    "yal signals": (
        "yal", "m0 memory data0 address", "m0 memory data0", 31,
        "m0 has 2 signals, its module 3 terminals; give one signal a terminal",
    ),
    "yal module": ("yal", "f filter", "f filler", 34, "instance f is of filler, which is not there"),
    "yal instance": ("yal", "m1 memory", "m0 memory", 32, "instance m0 is there twice"),
    "yal dimension": (
        "yal", "DIMENSIONS 80 50", "DIMENSIONS 80 wide", 13, "the dimension 'wide' is not a number",
    ),
    "yal dimensions": (
        "yal", "DIMENSIONS 80 50", "DIMENSIONS 80 50 3", 13, "there are 3 dimensions; give width and height",
    ),
    "yal no dimensions": ("yal", "DIMENSIONS 80 50;", "", 12, "module core has no DIMENSIONS; add them"),
    "yal comment": ("yal", "two pads. */", "two pads.", 1, "the comment has no end"),
    "yal section": (
        "yal", "ENDIOLIST;\nENDMODULE;\nMODULE core", "ENDMODULE;\nMODULE core", 10,
        "ENDMODULE ends what is IOLIST; put ENDIOLIST; before it",
    ),
    "yal twice": ("yal", "MODULE pad", "MODULE core", 21, "module core is there twice"),
    "yal start": ("yal", "MODULE memory;", "MODULE;", 3, "cannot read 'MODULE'; begin with MODULE name;"),
}  # fmt: skip
WEIGHTS = "bus 3\nnet1 2\nagain 0\nnet3 7\nnet4 5\n"
PLACES = "a 0 5\nc 10 20\n"


@pytest.mark.parametrize("case", BAD)
def test_broken_files_get_file_line_problem_and_remedy(case: str, tmp_path: Path) -> None:
    suffix, old, new, line, problem = BAD[case]
    texts = {
        "blocks": BLOCKS,
        "nets": NETS,
        "power.csv": POWER,
        "wts": WEIGHTS,
        "pl": PLACES,
        "yal": YAL.read_text(),
    }
    assert old in texts[suffix]
    texts[suffix] = texts[suffix].replace(old, new, 1)
    for kind, text in texts.items():
        if kind != "power.csv" or suffix != "yal":
            (tmp_path / f"x.{kind}").write_text(text)
    with pytest.raises(InputFileError) as caught:
        read_netlist(tmp_path / ("x.yal" if suffix == "yal" else "x.blocks"))
    assert problem in str(caught.value)
    assert (caught.value.path.name, caught.value.line) == (f"x.{suffix}", line)


@pytest.mark.parametrize("suffix", ["blocks", "nets", "power.csv", "wts", "pl", "yal"])
def test_empty_files_and_wrong_encodings(suffix: str, tmp_path: Path) -> None:
    path = _files(tmp_path)
    if suffix == "yal":
        path = path.with_suffix(".yal")
    for content, problem in (
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"\xff\xfea\x00", "is not UTF-8 text"),
    ):
        (tmp_path / f"x.{suffix}").write_bytes(content)
        with pytest.raises(InputFileError, match=rf"x\.{suffix}: {problem}; "):
            read_netlist(path)


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match=r"no\.blocks: cannot be read"):
        read_netlist(tmp_path / "no.blocks")
    path = _files(tmp_path)
    path.with_suffix(".nets").unlink()
    with pytest.raises(InputFileError, match=r"x\.nets: cannot be read .*give a readable \.nets file"):
        read_netlist(path)
    with pytest.raises(InputFileError, match=r"is neither \.blocks nor \.yal; give one of these"):
        read_netlist(tmp_path / "x.nets")
    with pytest.raises(InputFileError, match="cannot be read"):
        read_placement(tmp_path / "no.pl", ["a"])


def test_nothing_to_place(tmp_path: Path) -> None:
    one = "NumHardRectilinearBlocks : 1\na hardrectilinear 4 (0, 0) (0, 3) (2, 3) (2, 0)\n"
    path = _files(tmp_path, blocks=one, nets="NumNets : 0\nNumPins : 0\n")
    with pytest.raises(InputFileError, match="has 1 blocks to place; give two or more"):
        read_netlist(path)
    with pytest.raises(InputFileError, match="has no net that joins two blocks; give one or more"):
        read_netlist(_files(tmp_path, nets="NumNets : 0\nNumPins : 0\n"))


# --- broken at random ---


@st.composite
def _damage(draw: st.DrawFn, text: str) -> str:
    """Lines deleted, doubled, exchanged, cut, or with a word changed; now and then the file is cut off."""
    lines = text.splitlines()
    for _ in range(draw(st.integers(1, 4))):
        if not lines:
            break
        place = draw(st.integers(0, len(lines) - 1))
        match draw(st.integers(0, 6)):
            case 0:
                del lines[place]
            case 1:
                lines.insert(draw(st.integers(0, len(lines))), lines[place])
            case 2:
                lines[place] = draw(st.text(max_size=20))
            case 3:
                lines[place] = lines[place][: draw(st.integers(0, len(lines[place])))]
            case 4:
                words = lines[place].split(" ")
                other = st.sampled_from(
                    ["", "0", "-1", "1e308", "1e-320", "nan", "a", "(", ")", ":", ";", "(1,2)", "END"]
                )
                words[draw(st.integers(0, len(words) - 1))] = draw(other)
                lines[place] = " ".join(words)
            case 5:
                cut = draw(st.integers(0, len(lines[place])))
                lines[place] = lines[place][:cut] + draw(st.characters(codec="utf-8")) + lines[place][cut + 1 :]
            case _:
                lines = lines[:place]
    return "\n".join(lines)


def _sound(netlist: Netlist) -> None:
    assert (netlist.width * netlist.height).sum() == pytest.approx(BLOCK_AREA)
    assert (netlist.power + netlist.leakage).sum() == pytest.approx(TOTAL_POWER)
    assert netlist.activity.sum() == pytest.approx(TOTAL_ACTIVITY)


@settings(max_examples=500)
@given(data=st.data())
def test_damaged_bookshelf_files_are_read_or_refused(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    texts = {"blocks": BLOCKS, "nets": NETS, "power.csv": POWER, "wts": WEIGHTS, "pl": PLACES}
    suffix = data.draw(st.sampled_from(sorted(texts)))
    texts[suffix] = data.draw(_damage(texts[suffix]))
    folder = tmp_path_factory.mktemp("damaged")
    for kind, text in texts.items():
        (folder / f"x.{kind}").write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        _sound(read_netlist(folder / "x.blocks"))
    except InputFileError as error:
        assert error.path.parent == folder
        assert error.problem
        assert error.remedy
    shutil.rmtree(folder)


@settings(max_examples=300)
@given(text=_damage(YAL.read_text()))
@example(text="MODULE a; TYPE PARENT; NETWORK; ; ENDNETWORK; ENDMODULE;")
def test_damaged_yal_files_are_read_or_refused(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    (folder / "x.yal").write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        _sound(read_netlist(folder / "x.yal"))
    except InputFileError as error:
        assert error.path.parent == folder
    shutil.rmtree(folder)
