"""A store with comparisons of every kind, and the page over it, served as it is served to people."""

import random
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from rewardtree.domains.control.clips import webm
from rewardtree.preferences import Comparison, comparison_ids, open_store
from rewardtree.preferences.labelling import Labelling, open_labelling
from rewardtree.tasks.board import Board, Instrument, Shown, ShownClaim, ShownSide, pack
from rewardtree.web import serving

KEY = "chip"
CELLS = 16
CELL = 24.0
PASSWORD = "long enough"
SCRIPT = "<script>alert(1)</script>"
COLOURS = ("#dbe7f3", "#f3e4d3", "#e2efdb", "#eadff0", "#f6e7ea", "#e4ecec")


def picture(seed: int) -> ShownSide:
    """A layout of blocks with a thermometer and an ammeter at 256 cells, and three claims."""
    rng = random.Random(seed)
    size = CELLS * CELL
    cuts = [0.0, *sorted(rng.uniform(60, size - 60) for _ in range(2)), size]
    blocks = [
        (x, y, cuts[i + 1] - x - 4, cuts[j + 1] - y - 4, f"b{3 * i + j}")
        for i, x in enumerate(cuts[:-1])
        for j, y in enumerate(cuts[:-1])
    ]
    drawn = "".join(
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(w, 1):.1f}" height="{max(h, 1):.1f}" fill="{rng.choice(COLOURS)}" '
        f'stroke="#1d2430"/><text x="{x + 8:.1f}" y="{y + 20:.1f}" font-size="13">{name}</text>'
        for x, y, w, h, name in blocks
    )
    style = "text{fill:#10151d;font-family:sans-serif}@media (prefers-color-scheme:dark){svg{background:#20262e}}"
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size}"><style>{style}</style>{drawn}</svg>'
    places = tuple(
        (row * CELLS + column, f"row {row + 1}, column {column + 1}", (column * CELL, row * CELL, CELL, CELL))
        for row in range(CELLS)
        for column in range(CELLS)
    )
    heat = tuple(None if i == 255 else 60 + 30 * rng.random() + seed % 7 for i in range(CELLS * CELLS))
    amps = tuple(0.1 + rng.random() for _ in range(CELLS * CELLS))
    hot = rng.randrange(CELLS * CELLS - 1)
    claims = (
        claim("lifetime", hot, f"fails first at cell {hot}", f"fails first at cell {hot}, log lifetime 1.2", 0.93),
        claim("heat", hot, f"hottest at cell {hot}", f"hottest at cell {hot}: {heat[hot]:.1f} °C", 0.88),
        claim("security", None, "exposes block b3", "exposes block b3 by 0.41", None),
    )
    return ShownSide(
        board=Board(
            kind="picture", media_type="image/svg+xml", data=svg, width=size, height=size,
            alt="Floorplan of nine blocks", facts=(("die", f"{8 + seed % 5}.1 mm"), ("wire", f"{30 + seed % 9} mm")),
        ),
        instruments=(
            Instrument(name="temperature", label="Thermometer", unit="°C", digits=1, values=heat, places=places),
            Instrument(name="current", label="Ammeter", unit="A", digits=2, values=amps, places=places),
        ),
        claims=claims,
    )  # fmt: skip


def claim(author: str, place: int | None, pointer: str, statement: str, reliability: float | None) -> ShownClaim:
    """A claim at a cell, or at none."""
    row, column = divmod(place or 0, CELLS)
    box = () if place is None else (column * CELL, row * CELL, CELL, CELL)
    label = "" if place is None else f"row {row + 1}, column {column + 1}"
    return ShownClaim(
        author=author, version="7f3a", quantity=author, pointer=pointer, statement=statement, place=place or 0,
        place_label=label, box=box, instrument="temperature" if place is not None else None, reliability=reliability,
    )  # fmt: skip


PASSAGE = (
    "She was the youngest of the two daughters of a most affectionate, indulgent father; and had, in consequence of "
    "her sister's marriage, been mistress of his house from a very early period. Her mother had died too long ago for "
    "her to have more than an indistinct remembrance of her caresses; and her place had been supplied by an excellent "
    "woman as governess, who had fallen little short of a mother in affection."
)


def passage(seed: int, text: str = PASSAGE) -> ShownSide:
    """A text whose sentences can be looked up, and a claim that points at a stretch of it."""
    ends = [0, *(match.end() for match in re.finditer(r"[;.] ?", text))]
    places = tuple((i, f"passage {i + 1}", (float(start), float(end))) for i, (start, end) in enumerate(pairwise(ends)))
    return ShownSide(
        board=Board(kind="text", media_type="text/plain", data=text, alt="A summary", facts=(("words", "70"),)),
        instruments=(
            Instrument(
                name="support", label="Source", unit="", digits=2,
                values=tuple(0.1 * seed + i for i in range(len(places))), places=places,
            ),
        ),
        claims=(
            ShownClaim(
                author="faithful", version="1", quantity="faithful", pointer="“youngest of the two” is in the source",
                statement=f"{SCRIPT} is supported 0.8", place=0, place_label="passage 1", box=(8.0, 27.0),
                instrument="support", reliability=0.7,
            ),
        ),
    )  # fmt: skip


@cache
def film(frames: int) -> str:
    """A square that moves over a grey field."""
    drawn = np.full((frames, 48, 64, 3), 90, dtype=np.uint8)
    for number, frame in enumerate(drawn):
        frame[20:28, number * 56 // frames :][:, :8] = 250
    return webm(list(drawn), 15.0)


def clip(seed: int) -> ShownSide:
    """A clip with a plot, seconds that can be looked at and parts that are shown in slow motion."""
    places = tuple((i, f"second {i} to {i + 1}", (float(i), float(i + 1))) for i in range(6))
    return ShownSide(
        board=Board(
            kind="clip", media_type="video/webm", data=film(90), width=64.0, height=48.0, alt="A walker",
            facts=(("seed", str(seed)),), seconds=6.0, plot=PLOT,
        ),
        instruments=(
            Instrument(
                name="speed", label="Speedometer", unit="m/s", digits=2, values=tuple(i + 0.5 for i in range(6)),
                places=places,
            ),
            Instrument(
                name="slow", label="Slow motion",
                places=((0, "first half", (0.0, 3.0)), (1, "second half", (3.0, 6.0))),
                pictures=(film(20), None), media_type="video/webm",
            ),
        ),
        claims=(
            ShownClaim(
                author="fall", version="1", quantity="fall", pointer="falls", statement="falls in second 3 to 4",
                place=3, place_label="second 3 to 4", box=(3.0, 4.0), instrument="speed", reliability=None,
            ),
        ),
    )  # fmt: skip


PLOT = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 60 10"><path d="M0 8L60 2" stroke="#0060a8"/></svg>'
MAKERS: dict[str, Callable[[int], ShownSide]] = {"picture": picture, "text": passage, "clip": clip}


def fill(
    path: Path, count: int, *, kind: str = "picture", mode: str = "assisted", view: str = "evidence", budget: int = 2,
    make: Callable[[int], ShownSide] | None = None, run: str = KEY,
    guide: str = "A chip that lives long, wastes little power and exposes nothing.",
) -> list[str]:  # fmt: skip
    """Puts comparisons into a store; returns their ids."""
    make = make or MAKERS[kind]
    shared: dict[str, Any] = {
        "node": "root", "protocol": "rrm", "question": "Which layout is better?", "budget": budget,
        "policy_versions": {"root": "secret-version"},
    }  # fmt: skip
    sides = [(make(2 * i + 1), make(2 * i + 2)) for i in range(count)]
    payloads = [
        {
            "first": {"claims": [{"author": said.author} for said in first.claims]},
            "second": {"claims": [{"author": said.author} for said in second.claims]},
            "at": i,
            "people": {"mode": mode, "view": view, "verdicts": {"heat": "first", "lifetime": "second"}},
        }
        for i, (first, second) in enumerate(sides)
    ]
    names = comparison_ids(payloads, run=run, **shared)
    with open_store(path, run=run) as store:
        store.submit(
            Comparison(
                id=name, payload=payload, priority=float(count - i), **shared,
                fields=pack(Shown(question=shared["question"], guide=guide, first=sides[i][0], second=sides[i][1])),
            )
            for i, (name, payload) in enumerate(zip(names, payloads, strict=True))
        )  # fmt: skip
    return names


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that holds a store in which nothing is."""
    path = tmp_path_factory.mktemp("web") / "store.db"
    open_store(path, run=KEY).close()
    return path


@pytest.fixture
def path(empty_store: Path, tmp_path: Path) -> Path:
    """A store of the test's own."""
    copy = tmp_path / "store.db"
    copy.write_bytes(empty_store.read_bytes())
    return copy


@dataclass
class Hands:
    """A clock that is right, and can be put forward."""

    ahead: float = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
def labelling(path: Path, clock: Hands) -> Iterator[Labelling]:
    opened = open_labelling(path, KEY, clock=clock)
    yield opened
    opened.close()


@pytest.fixture
def url(labelling: Labelling) -> Iterator[str]:
    """Where the page is."""
    with serving(labelling, title="Chip floorplans") as address:
        yield address


class Person:
    """Somebody at a browser without JavaScript: keeps cookies, sends forms with the token of the page."""

    def __init__(self, url: str, labelling: Labelling) -> None:
        self.url, self.labelling = url, labelling
        self.http = httpx.Client(base_url=url, follow_redirects=True, timeout=20)
        self.page = httpx.Response(200)

    def close(self) -> None:
        self.http.close()

    def get(self, where: str = "/") -> str:
        self.page = self.http.get(where)
        return self.page.text

    def field(self, name: str) -> str:
        """What a hidden field of the page holds."""
        found = re.search(rf'name="{name}" value="([^"]*)"', self.page.text)
        assert found is not None, f"{name} is not on the page: {self.page.text[:2000]}"
        return found[1]

    def post(self, where: str, part: bool = False, **fields: Any) -> httpx.Response:
        """Sends a form of the page."""
        sent = {"csrf": self.field("csrf")}
        if 'name="token"' in self.page.text:
            sent["token"] = self.field("token")
        headers = {"HX-Request": "true"} if part else {}
        answer = self.http.post(where, data=sent | fields, headers=headers | {"Origin": self.url})
        if not part:
            self.page = answer
        return answer

    def enter(self, name: str, role: Any = "labeller") -> "Person":
        """Comes in without a password, which takes long on purpose."""
        token, _ = self.labelling.open_session(name, role)
        self.http.cookies.set(f"rewardtree-session-{self.url.rpartition(':')[2]}", token, domain="127.0.0.1")
        self.get()
        return self


@pytest.fixture
def people(url: str, labelling: Labelling) -> Iterator[Callable[..., Person]]:
    """Makes people who have come in."""
    known: list[Person] = []

    def come(name: str | None = None, role: str = "labeller") -> Person:
        person = Person(url, labelling)
        known.append(person)
        return person if name is None else person.enter(name, role)

    yield come
    for person in known:
        person.close()
