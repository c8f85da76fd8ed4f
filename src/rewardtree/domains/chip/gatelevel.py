"""Gate-level circuits: readers for flat structural Verilog and `.bench`, and their switching activity.

Read are the two notations that the public benchmark circuits (ISCAS-85, ISCAS-89, ITC-99, EPFL) come in:

- Verilog: one flat module of primitive gates (`nand g1 (out, in1, in2);`), plain `assign` of a signal or a
  one-bit constant, and flip-flops as instances with the named ports `.D` and `.Q`. Modules after the first
  are taken for the definitions of such flip-flops and skipped. No buses, expressions or hierarchy.
- `.bench`: `INPUT(a)`, `OUTPUT(b)`, `c = NAND(a, b)`, flip-flops as `q = DFF(d)`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import no_type_check

import numba
import numpy as np
from jaxtyping import Float, Int, UInt64

from rewardtree.errors import InputFileError

KINDS = ("input", "zero", "one", "flipflop", "buf", "not", "and", "nand", "or", "nor", "xor", "xnor")
"""What drives a signal; a signal's kind is an index into this."""
INPUT, ZERO, ONE, FLIPFLOP, BUF, NOT, AND, NAND, OR, NOR, XOR, XNOR = range(len(KINDS))

_BENCH_KINDS = {"DFF": FLIPFLOP, "BUFF": BUF} | {KINDS[kind].upper(): kind for kind in range(BUF, XNOR + 1)}
_NAME = r"\\\S+|[\w$.]+(?:\[\d+\])?"
_INSTANCE = re.compile(rf"(\w+)\s*({_NAME})?\s*\((.*)\)", re.DOTALL)
_PORT = re.compile(r"\.(\w+)\s*\(([^()]*)\)")
_ASSIGN = re.compile(rf"assign\s+(?:#\d+\s+)?({_NAME})\s*=\s*(1'b[01]|{_NAME})")
_CONSTANTS = {"1'b0": ZERO, "1'b1": ONE}


@dataclass(frozen=True, kw_only=True, slots=True)
class Circuit:
    """Signals and what drives each; a gate is known by the signal it drives.

    Attributes:
        name: the circuit's name.
        signals: one name a signal.
        kind: index into `KINDS`, [signals].
        start: offsets of each signal's fan-in in `fanin`, [signals + 1].
        fanin: signals that the gate reads, a flip-flop its data input, [pins].
        outputs: signals that leave the circuit, [outputs].
        order: gates so that each comes after those it reads; inputs, constants and flip-flops are left out.
    """

    name: str
    signals: tuple[str, ...]
    kind: Int[np.ndarray, " signals"]
    start: Int[np.ndarray, " signals_plus_one"]
    fanin: Int[np.ndarray, " pins"]
    outputs: Int[np.ndarray, " outputs"]
    order: Int[np.ndarray, " gates"]

    @property
    def is_cell(self) -> np.ndarray:
        """Whether a signal is driven by a gate or flip-flop, [signals]."""
        return np.asarray(self.kind >= FLIPFLOP)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Gate:
    """One gate as read: `place` is where in the file it stands."""

    place: int
    kind: int
    output: str
    inputs: list[str]


def read_circuit(path: Path) -> Circuit:
    """Read a flat gate-level circuit, `.v` or `.bench`.

    Raises:
        InputFileError: where the file is missing, broken or uses what is not read (see the module's head).
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputFileError(path, None, f"cannot be read as text ({error})", "give a readable file") from error
    if path.suffix == ".bench":
        return _assemble(path, text, *_read_bench(path, text))
    if path.suffix == ".v":
        return _assemble(path, text, *_read_verilog(path, text))
    raise InputFileError(path, None, "is neither .v nor .bench", "give gate-level Verilog or a .bench file")


def _line(text: str, place: int) -> int:
    return text.count("\n", 0, place) + 1


def _read_bench(path: Path, text: str) -> tuple[list[_Gate], list[str], dict[str, str]]:
    gates, outputs = [], []
    place = 0
    for line in text.splitlines(keepends=True):
        content = line.split("#")[0].strip()
        if match := re.fullmatch(r"(INPUT|OUTPUT)\s*\(\s*([^\s(),=]+)\s*\)", content):
            if match[1] == "INPUT":
                gates.append(_Gate(place=place, kind=INPUT, output=match[2], inputs=[]))
            else:
                outputs.append(match[2])
        elif match := re.fullmatch(r"([^\s(),=]+)\s*=\s*(\w+)\s*\(([^()=]*)\)", content):
            if match[2].upper() not in _BENCH_KINDS:
                raise InputFileError(
                    path,
                    _line(text, place),
                    f"unknown gate {match[2]}",
                    f"use one of {', '.join(_BENCH_KINDS)}",
                )
            inputs = [name.strip() for name in match[3].split(",")]
            gates.append(_Gate(place=place, kind=_BENCH_KINDS[match[2].upper()], output=match[1], inputs=inputs))
        elif content:
            raise InputFileError(
                path, _line(text, place), f"cannot read {content[:40]!r}", "write a line as y = NAND(a, b)"
            )
        place += len(line)
    return gates, outputs, {}


def _read_verilog(path: Path, text: str) -> tuple[list[_Gate], list[str], dict[str, str]]:
    text = re.sub(r"//[^\n]*|/\*.*?\*/", lambda m: re.sub(r"[^\n]", " ", m[0]), text, flags=re.DOTALL)
    module = re.search(r"\bmodule\b[^;]*;(.*?)\bendmodule\b", text, re.DOTALL)
    if not module:
        raise InputFileError(path, None, "holds no module ... endmodule", "check that it is not cut off")
    gates: list[_Gate] = []
    outputs: list[str] = []
    alias: dict[str, str] = {}
    for match in re.finditer(r"[^;]+", module[1]):
        statement = match[0].strip()
        place = module.start(1) + match.start() + len(match[0]) - len(match[0].lstrip())
        word = statement.split(maxsplit=1)[0] if statement else ""
        if word in ("input", "output", "wire"):
            names = _declared(path, text, place, statement.removeprefix(word))
            if word == "input":
                gates.extend(_Gate(place=place, kind=INPUT, output=name, inputs=[]) for name in names)
            elif word == "output":
                outputs.extend(names)
        elif found := _ASSIGN.fullmatch(statement):
            alias[_plain(found[1])] = _plain(found[2])
        elif found := _INSTANCE.fullmatch(statement):
            gates.append(_instance(path, text, place, found))
        elif statement:
            raise InputFileError(
                path,
                _line(text, place),
                f"cannot read {' '.join(statement.split())[:40]!r}",
                "flatten the circuit to primitive gates, without buses and expressions",
            )
    return gates, outputs, alias


def _plain(name: str) -> str:
    return name.strip().removeprefix("\\")


def _declared(path: Path, text: str, place: int, names: str) -> Iterator[str]:
    """Names of a declaration."""
    for name in names.split(","):
        if not re.fullmatch(_NAME, name.strip()):
            problem = f"cannot read the declared name {name.strip()[:40]!r}"
            raise InputFileError(path, _line(text, place), problem, "declare single bits, no buses")
        yield _plain(name)


def _instance(path: Path, text: str, place: int, found: re.Match[str]) -> _Gate:
    """A primitive gate (output first) or a flip-flop with named ports."""
    ports = dict(_PORT.findall(found[3]))
    if ports:
        if not {"D", "Q"} <= set(ports):
            problem = f"the instance of {found[1]} has no ports .D and .Q"
            raise InputFileError(path, _line(text, place), problem, "only flip-flops may be instances")
        return _Gate(place=place, kind=FLIPFLOP, output=_plain(ports["Q"]), inputs=[_plain(ports["D"])])
    if found[1] not in KINDS[BUF:]:
        remedy = f"use one of {', '.join(KINDS[BUF:])}"
        raise InputFileError(path, _line(text, place), f"unknown gate {found[1]}", remedy)
    names = [_plain(name) for name in found[3].split(",")]
    return _Gate(place=place, kind=KINDS.index(found[1]), output=names[0], inputs=names[1:])


def _assemble(path: Path, text: str, gates: list[_Gate], outputs: list[str], alias: dict[str, str]) -> Circuit:
    """Number the signals; each must be driven once, and no gate may depend on itself."""
    if not gates:
        raise InputFileError(path, None, "holds no gates", "give a gate-level circuit")
    gates = [
        *gates,
        *(_Gate(place=0, kind=kind, output=name, inputs=[]) for name, kind in _CONSTANTS.items()),
    ]
    number: dict[str, int] = {}
    for index, gate in enumerate(gates):
        if gate.output in number or gate.output in alias:
            raise InputFileError(
                path, _line(text, gate.place), f"signal {gate.output} is driven twice", "drive it once"
            )
        most = {INPUT: 0, ZERO: 0, ONE: 0, FLIPFLOP: 1, BUF: 1, NOT: 1}.get(gate.kind, 1 << 30)
        if not min(most, 1 if gate.kind >= FLIPFLOP else 0) <= len(gate.inputs) <= most:
            raise InputFileError(
                path,
                _line(text, gate.place),
                f"the {KINDS[gate.kind]} gate has {len(gate.inputs)} inputs",
                "mend it",
            )
        number[gate.output] = index

    def find(name: str, place: int | None) -> int:
        source = name
        for _ in range(len(alias) + 1):
            if source not in alias:
                break
            source = alias[source]
        if source not in number:
            line = None if place is None else _line(text, place)
            raise InputFileError(path, line, f"signal {name or '(none)'} is not driven", "drive it by a gate or input")
        return number[source]

    fanin = np.array([find(name, gate.place) for gate in gates for name in gate.inputs], dtype=np.int64)
    start = np.concatenate([[0], np.cumsum([len(gate.inputs) for gate in gates])])
    kind = np.array([gate.kind for gate in gates])
    order = np.asarray(_levelise(kind, start, fanin))
    if len(order) < np.count_nonzero(kind > FLIPFLOP):
        stuck = gates[int(np.setdiff1d(np.flatnonzero(kind > FLIPFLOP), order)[0])]
        raise InputFileError(
            path,
            _line(text, stuck.place),
            f"{stuck.output} depends on itself",
            "break the loop with a flip-flop",
        )
    return Circuit(
        name=path.stem,
        signals=tuple(gate.output for gate in gates),
        kind=kind,
        start=start,
        fanin=fanin,
        outputs=np.array([find(name, None) for name in outputs], dtype=np.int64),
        order=order,
    )


def evaluate(circuit: Circuit, values: UInt64[np.ndarray, "signals words"]) -> UInt64[np.ndarray, "signals words"]:
    """Values of all signals, 64 input patterns a word.

    Args:
        circuit: the circuit.
        values: the rows of inputs and flip-flops are read, all others ignored.

    Returns:
        A new array with every row filled, without delay.
    """
    settled = values.copy()
    settled[circuit.kind == ZERO] = 0
    settled[circuit.kind == ONE] = ~np.uint64(0)
    _settle(circuit.kind, circuit.start, circuit.fanin, circuit.order, settled)
    return settled


def toggle_rates(
    circuit: Circuit,
    rng: np.random.Generator,
    *,
    input_rates: Float[np.ndarray, " inputs"],
    words: int = 8,
    cycles: int = 32,
) -> Float[np.ndarray, " signals"]:
    """Changes of value a clock cycle of each signal, under random inputs.

    Inputs start at 0 or 1 with equal chance and flip at random, flip-flops start at 0; as many cycles as are
    counted go before where there are flip-flops. Gates have no delay, so glitches are not counted.

    Args:
        circuit: the circuit.
        rng: draws the inputs.
        input_rates: chance of each input to flip in a cycle, in the order of the signals of kind `INPUT`.
        words: 64 independent runs each.
        cycles: cycles that are counted.
    """
    inputs, flipflops = np.flatnonzero(circuit.kind == INPUT), np.flatnonzero(circuit.kind == FLIPFLOP)
    data = circuit.fanin[circuit.start[flipflops]]
    warmup = cycles if len(flipflops) else 0
    values = np.zeros((len(circuit.kind), words), dtype=np.uint64)
    values[inputs] = rng.integers(0, 2**64, size=(len(inputs), words), dtype=np.uint64)
    values = evaluate(circuit, values)
    changes = np.zeros(len(circuit.kind))
    for cycle in range(warmup + cycles):
        before = values
        values = values.copy()
        values[flipflops] = before[data]
        flips = rng.random((len(inputs), words * 64), dtype=np.float32) < input_rates[:, None]
        values[inputs] ^= np.packbits(flips, axis=1).view(np.uint64)
        values = evaluate(circuit, values)
        if cycle >= warmup:
            changes += np.bitwise_count(values ^ before).sum(axis=1)
    return changes / (cycles * words * 64)


@numba.njit(cache=True)
@no_type_check
def _levelise(kind, start, fanin):
    """Gates in the order of their levels, without those that depend on themselves."""
    signals = len(kind)
    waits = np.zeros(signals, dtype=np.int64)
    sinks = np.zeros(signals + 1, dtype=np.int64)
    for signal in range(signals):
        if kind[signal] > 3:  # a gate, not a flip-flop
            for pin in range(start[signal], start[signal + 1]):
                if kind[fanin[pin]] > 3:
                    waits[signal] += 1
                    sinks[fanin[pin] + 1] += 1
    sinks = np.cumsum(sinks)
    reader = np.empty(sinks[-1], dtype=np.int64)
    filled = sinks[:-1].copy()
    order = np.empty(signals, dtype=np.int64)
    ready = 0
    for signal in range(signals):
        if kind[signal] > 3:
            for pin in range(start[signal], start[signal + 1]):
                if kind[fanin[pin]] > 3:
                    reader[filled[fanin[pin]]] = signal
                    filled[fanin[pin]] += 1
            if waits[signal] == 0:
                order[ready] = signal
                ready += 1
    done = 0
    while done < ready:
        for place in range(sinks[order[done]], sinks[order[done] + 1]):
            waits[reader[place]] -= 1
            if waits[reader[place]] == 0:
                order[ready] = reader[place]
                ready += 1
        done += 1
    return order[:ready].copy()


@numba.njit(cache=True)
@no_type_check
def _settle(kind, start, fanin, order, values):
    """Evaluate the gates in order, in place; kinds 4 on are buf, not, and, nand, or, nor, xor, xnor."""
    words = values.shape[1]
    for gate in order:
        operation = (kind[gate] - 4) // 2
        inverted = (kind[gate] - 4) % 2 == 1
        for word in range(words):
            value = values[fanin[start[gate]], word]
            for pin in range(start[gate] + 1, start[gate + 1]):
                other = values[fanin[pin], word]
                if operation == 1:
                    value &= other
                elif operation == 2:
                    value |= other
                else:
                    value ^= other
            values[gate, word] = ~value if inverted else value
