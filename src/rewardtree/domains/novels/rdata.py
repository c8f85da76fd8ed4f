"""R's lazy-load databases of character vectors, by the standard library alone.

The index (`.rdx`) is a gzip of R's serialised values: names with offset and length of each object in the database
(`.rdb`), where an object is its length, a letter for how it is packed unless that is zlib, and the packed bytes.
Serialised values are XDR: big-endian, type and flags first. See R Internals, section 1.8 (serialization formats).
"""

import bz2
import gzip
import lzma
import struct
import zlib
from collections.abc import Mapping
from typing import Any

SYMBOL, PAIRLIST, CHARS, LOGICAL, INTEGER, REAL, STRINGS, LIST, REFERENCE = 1, 2, 9, 10, 13, 14, 16, 19, 255
NOTHING = (254, 253, 252, 251, 250, 242, 241)
"""Types that stand for one value each: nil, the global environment and the like."""
ATTRIBUTES, TAG, LATIN1 = 0x200, 0x400, 0x4000
PACKED_INTEGERS, PACKED_REALS = "i", "d"


def r_objects(index: bytes, database: bytes) -> Mapping[str, Any]:
    """The objects of a lazy-load database, by name.

    Args:
        index: the `.rdx` file.
        database: the `.rdb` file.

    Raises:
        ValueError: where the bytes are not such files, or hold something else than vectors and lists.
    """
    try:
        places: Mapping[str, list[int]] = read_value(gzip.decompress(index))["variables"]
        return {name: read_value(_unpacked(database[at : at + size])) for name, (at, size) in places.items()}
    except (OSError, EOFError, KeyError, TypeError, IndexError, UnicodeDecodeError, struct.error) as error:
        raise ValueError(f"no R database ({error})") from error
    except (zlib.error, lzma.LZMAError) as error:
        raise ValueError(f"a broken R database ({error})") from error


def read_value(serialised: bytes) -> Any:
    """One value of R: lists with names as dictionaries, vectors as lists, a missing string as None.

    Raises:
        ValueError: where it is no XDR serialisation, or of a type that is not read here.
    """
    if serialised[:2] != b"X\n":
        raise ValueError("no R value in XDR")
    reader = _Reader(serialised)
    version, _, _ = reader.number(), reader.number(), reader.number()
    if version == 3:
        reader.take(reader.number())
    return reader.value()


def _unpacked(packed: bytes) -> bytes:
    size, kind = struct.unpack(">I", packed[:4])[0], packed[4:5]
    if kind == b"2":
        plain = bz2.decompress(packed[5:])
    elif kind == b"Z":
        filters = [{"id": lzma.FILTER_LZMA2, "preset": 6}]
        plain = lzma.decompress(packed[5:], format=lzma.FORMAT_RAW, filters=filters)
    else:
        plain = zlib.decompress(packed[5 if kind == b"1" else 4 :])
    if len(plain) != size:
        raise ValueError(f"an object of {len(plain)} bytes where the database says {size}")
    return plain


class _Reader:
    """Walks over serialised bytes; symbols are kept, since later ones refer to them."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at, self._symbols = data, 2, list[Any]()

    def take(self, size: int) -> bytes:
        found = self._data[self._at : self._at + size]
        if size < 0 or len(found) < size:
            raise ValueError("an R value that ends too early")
        self._at += size
        return found

    def number(self) -> int:
        return int(struct.unpack(">i", self.take(4))[0])

    def vector(self, letter: str, size: int) -> list[Any]:
        count = self.number()
        return list(struct.unpack(f">{count}{letter}", self.take(count * size)))

    def value(self) -> Any:
        flags = self.number()
        kind = flags & 0xFF
        if kind in NOTHING:
            return None
        if kind == REFERENCE:
            return self._symbols[(flags >> 8 or self.number()) - 1]
        if kind == SYMBOL:
            self._symbols.append(self.value())
            return self._symbols[-1]
        if kind == CHARS:
            size = self.number()
            return None if size < 0 else self.take(size).decode("latin-1" if flags & LATIN1 else "utf-8")
        if kind == PAIRLIST:
            return self._pairs(flags)
        found = self._vector(kind)
        attributes = dict(self.value() or []) if flags & ATTRIBUTES else {}
        names = attributes.get("names")
        return dict(zip(names, found, strict=True)) if kind == LIST and names else found

    def _pairs(self, flags: int) -> list[tuple[Any, Any]]:
        if flags & ATTRIBUTES:
            self.value()
        name = self.value() if flags & TAG else None
        first = self.value()
        return [(name, first), *(self.value() or [])]

    def _vector(self, kind: int) -> list[Any]:
        if kind in (LOGICAL, INTEGER):
            return self.vector(PACKED_INTEGERS, 4)
        if kind == REAL:
            return self.vector(PACKED_REALS, 8)
        if kind in (STRINGS, LIST):
            return [self.value() for _ in range(self.number())]
        raise ValueError(f"an R value of type {kind}, which is no vector")
