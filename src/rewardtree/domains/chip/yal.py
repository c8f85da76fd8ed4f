"""Reader of YAL, the language that the MCNC floorplanning benchmarks come in.

YAL is described by Preas & Roberts (1987, "YAL description", with Rose's changes). A file is a list of
modules:

    MODULE adder;
    TYPE GENERAL;
    DIMENSIONS 0 0 0 40 30 40 30 0;
    IOLIST;
    a I ... ;
    ENDIOLIST;
    ENDMODULE;

One of TYPE PARENT says in its NETWORK which instances of the other modules there are and which signal is on
each of their terminals, in the order of the IOLIST: `u1 adder n1 n2 n3;`. Instances of TYPE PAD are terminals
of the chip and are not placed, as are those of TYPE FEEDTHROUGH; signals on terminals of type PWR or GND are
supply, not nets. Everything else is passed over.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rewardtree.domains.chip.parsed import Parsed, check, number, read_text, size
from rewardtree.errors import InputFileError

_TYPES = ("STANDARD", "PAD", "GENERAL", "PARENT", "FEEDTHROUGH")
_NOT_PLACED = ("PAD", "FEEDTHROUGH")
_SUPPLY = ("PWR", "GND")


@dataclass(kw_only=True, slots=True)
class _Module:
    """One module while it is read; statements keep their line."""

    line: int
    name: str
    kind: str = ""
    dimensions: tuple[float, float] | None = None
    is_box: bool = True
    terminals: list[str] = field(default_factory=list)
    instances: list[tuple[int, list[str]]] = field(default_factory=list)


def read_yal(path: Path) -> Parsed:
    """Read a `.yal` file.

    Blocks that are no rectangle get their bounding box.

    Raises:
        InputFileError: where it is missing or broken.
    """
    modules: dict[str, _Module] = {}
    for module in _modules(path, _statements(path)):
        if module.name in modules:
            raise InputFileError(path, module.line, f"module {module.name} is there twice", "name each once")
        modules[module.name] = module
    parents = [module for module in modules.values() if module.kind == "PARENT"]
    if len(parents) != 1:
        raise InputFileError(path, None, f"has {len(parents)} modules of TYPE PARENT", "give one")
    return check(path, _connect(path, modules, parents[0]))


def _statements(path: Path) -> list[tuple[int, list[str]]]:
    """Words of each statement and the line that it begins in."""
    text = read_text(path, ".yal file")
    text = re.sub(r"/\*.*?\*/", lambda found: re.sub(r"[^\n]", " ", found[0]), text, flags=re.DOTALL)
    if (place := text.find("/*")) >= 0:
        raise InputFileError(path, text.count("\n", 0, place) + 1, "the comment has no end", "end it with */")
    result = []
    line = 1
    *statements, rest = text.split(";")
    for statement in statements:
        words = statement.split()
        begin = line + statement[: len(statement) - len(statement.lstrip())].count("\n")
        line += statement.count("\n")
        if words:
            result.append((begin, words))
    if rest.strip():
        begin = line + rest[: len(rest) - len(rest.lstrip())].count("\n")
        raise InputFileError(path, begin, "the last statement has no end", "end it with ;, or the file is cut off")
    return result


def _modules(path: Path, statements: list[tuple[int, list[str]]]) -> list[_Module]:
    """Group the statements; sections other than IOLIST and NETWORK are passed over."""
    modules: list[_Module] = []
    module: _Module | None = None
    section = ""
    for line, words in statements:
        word = words[0]
        if module is None:
            if word != "MODULE" or len(words) != 2:
                raise InputFileError(path, line, f"cannot read {' '.join(words)[:40]!r}", "begin with MODULE name;")
            module, section = _Module(line=line, name=words[1]), ""
        elif section:
            if word == f"END{section}":
                section = ""
            elif word.startswith("END"):
                raise InputFileError(path, line, f"{word} ends what is {section}", f"put END{section}; before it")
            elif section == "IOLIST":
                module.terminals.append(words[1] if len(words) > 1 else "")
            elif section == "NETWORK":
                module.instances.append((line, words))
        elif word == "ENDMODULE":
            modules.append(module)
            module = None
        elif word in ("IOLIST", "NETWORK", "PLACEMENT", "CRITICALNETS"):
            section = word
        elif word == "TYPE":
            if len(words) != 2 or words[1] not in _TYPES:
                raise InputFileError(path, line, "the type is unknown", f"use one of {', '.join(_TYPES)}")
            module.kind = words[1]
        elif word == "DIMENSIONS":
            module.dimensions, module.is_box = _dimensions(path, line, words[1:])
        elif word == "MODULE" or word.startswith("END"):
            raise InputFileError(path, line, f"{word} is inside a module", "put ENDMODULE; before it")
    if module is not None:
        raise InputFileError(path, module.line, f"module {module.name} has no end", "add ENDMODULE;")
    return modules


def _dimensions(path: Path, line: int, words: list[str]) -> tuple[tuple[float, float], bool]:
    """Size from width and height, or from the corners; and whether the corners are those of a rectangle."""
    values = [number(path, line, word, "the dimension") for word in words]
    if len(values) != 2 and (len(values) < 8 or len(values) % 2):
        problem = f"there are {len(values)} dimensions"
        raise InputFileError(path, line, problem, "give width and height, or x and y of four corners or more")
    x, y = np.array(values).reshape(-1, 2).clip(-1e12, 1e12).T
    width, height = (values[0], values[1]) if len(values) == 2 else (float(np.ptp(x)), float(np.ptp(y)))
    size(path, line, width, "the width")
    size(path, line, height, "the height")
    area = abs(float(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))) / 2
    return (width, height), len(values) == 2 or bool(np.isclose(area, width * height))


def _connect(path: Path, modules: dict[str, _Module], parent: _Module) -> Parsed:
    """Blocks and nets of the parent's network."""
    sizes: dict[str, tuple[float, float]] = {}
    seen: set[str] = set()
    nets: dict[str, set[int]] = {}
    supply: set[str] = set()
    reshaped = 0
    for line, (name, *rest) in parent.instances:
        if not rest or rest[0] not in modules:
            problem = f"instance {name} is of {rest[0] if rest else 'no module'}, which is not there"
            raise InputFileError(path, line, problem, "write 'instance module signals' and give the module")
        module, signals = modules[rest[0]], rest[1:]
        if name in seen or module is parent or not module.kind:
            problem = f"instance {name} is there twice, or its module is the parent or has no TYPE"
            raise InputFileError(path, line, problem, "give each instance its own name and a module with a TYPE")
        if len(signals) != len(module.terminals):
            problem = f"{name} has {len(signals)} signals, its module {len(module.terminals)} terminals"
            raise InputFileError(path, line, problem, "give one signal a terminal")
        seen.add(name)
        if module.kind not in _NOT_PLACED:
            if module.dimensions is None:
                raise InputFileError(path, module.line, f"module {module.name} has no DIMENSIONS", "add them")
            sizes[name] = module.dimensions
            reshaped += not module.is_box
        for signal, terminal in zip(signals, module.terminals, strict=True):
            if terminal in _SUPPLY:
                supply.add(signal)
            pins = nets.setdefault(signal, set())
            if module.kind not in _NOT_PLACED:
                pins.add(len(sizes) - 1)
    kept = [signal for signal, pins in nets.items() if len(pins) > 1 and signal not in supply]
    shapes = np.array(list(sizes.values())).reshape(-1, 2)
    return Parsed(
        names=tuple(sizes),
        width=shapes[:, 0],
        height=shapes[:, 1],
        nets=tuple(tuple(sorted(nets[signal])) for signal in kept),
        activity=np.ones(len(kept)),
        terminals=len(seen) - len(sizes),
        dropped=len(nets) - len(kept),
        reshaped=reshaped,
    )
