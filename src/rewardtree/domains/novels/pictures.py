"""Pictures for the report: a revised chapter's words, the verdict on them, and the passage that a helper points at."""

import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias
from xml.etree import ElementTree as ET

import numpy as np

from rewardtree.domains.novels.boards import excerpt, phrase, place_name
from rewardtree.domains.novels.consistency import BOOK, ConsistencyTask, revisions_of, verdict_of
from rewardtree.domains.novels.reader import Asked
from rewardtree.domains.novels.revisions import Revisions
from rewardtree.domains.novels.words import stated
from rewardtree.tasks.answers import Answers
from rewardtree.tasks.exhibit import Claims
from rewardtree.tree.assistance import ask
from rewardtree.tree.node import Tree
from rewardtree.tree.stand_ins import trained_helpers

EXAMPLES = 3
Line: TypeAlias = list[tuple[str, str]]
"""Words with their styles, one after the other."""
WIDTH, LINE, COLUMNS = 720.0, 20.0, 86
"""Width of a picture and height of a line, and characters that fit on it."""
STYLE = (
    ".rtn text{font:14px system-ui,sans-serif;fill:#1d2430}.rtn .soft{fill:#5b6675;font-size:13px}"
    ".rtn .head{font-weight:650}.rtn .bad{fill:#b3261e;font-weight:650}.rtn .good{fill:#00703c;font-weight:650}"
    ".rtn .paper{fill:#fbfbf9;stroke:#c9d1dc}"
    "@media (prefers-color-scheme:dark){.rtn text{fill:#e6ebf1}.rtn .soft{fill:#9aa4b2}.rtn .paper{fill:#20262f;"
    "stroke:#48515e}.rtn .bad{fill:#ff8a80}.rtn .good{fill:#4cc38a}}"
)


def draw_examples(
    tree: Tree, task: ConsistencyTask, policies: Mapping[str, Any], rng: np.random.Generator
) -> list[dict[str, str]]:
    """Some chapters of the test split with the trained policy's verdicts and the trained helper's claims.

    Args:
        tree: of the run.
        task: the root's.
        policies: trained policies by node.
        rng: draws the chapters.
    """
    inputs = task.sample(rng, EXAMPLES, "test")
    outputs = policies[tree.root].answer(inputs)
    helpers = trained_helpers(tree, tree.nodes[tree.root], policies)
    claims = ask(task, helpers, inputs, outputs)
    revisions = revisions_of(inputs)
    return [
        {
            "title": revisions.volumes[revisions.volume[row]].book.title,
            "svg": _drawn(revisions, outputs, claims, row),
            "caption": _caption(revisions, outputs, row),
        }
        for row in range(EXAMPLES)
    ]


def _caption(revisions: Revisions, outputs: Answers, row: int) -> str:
    column = int(outputs.place[row])
    differs = bool(revisions.edited[row, column])
    truth = phrase(revisions, row, column, first=bool(revisions.truth[row, column] > 0))
    return (
        f"The trained policy says that what is marked {verdict_of(outputs, row)}. The book has {truth}: it "
        f"{'differs' if differs else 'does not differ'}. Of the chapter's {int(revisions.valid[row].sum())} slots "
        f"{int(revisions.edited[row][revisions.valid[row]].sum())} do."
    )


def _drawn(revisions: Revisions, outputs: Answers, claims: Claims, row: int) -> str:
    """The picture of one answer: the chapter, the verdict, the claim, and the passage it points at."""
    column, claim = int(outputs.place[row]), claims[BOOK]
    before, filling, after, chapter = excerpt(revisions, row, column)
    differs = "bad" if outputs.value[row] >= 0.5 else "good"
    place, value = int(claim.place[row]), float(claim.value[row])
    says = phrase(revisions, row, column, first=value > 0)
    lines: list[Line] = [[(f"Chapter {chapter} as revised", "head")]]
    lines += wrapped([(f"\u2026{before}", ""), (filling, differs), (f"{after}\u2026", "")])
    lines += [[], [(f"Verdict: {verdict_of(outputs, row)}", differs)], []]
    lines += wrapped([(f"The helper facts points at {place_name(revisions, row, place)}", "head")])
    lines += wrapped([(f"and says that the book has \u201c{says}\u201d ({abs(value):.1f} of 1):", "soft")])
    lines += wrapped(passage_marked(revisions, row, place, [column], lambda *_: "good"))
    return svg_of(lines)


def passage_marked(
    revisions: Revisions, row: int, place: int, columns: Sequence[int], style: Callable[[Asked, int, str], str]
) -> list[tuple[str, str]]:
    """A passage's words, what the reader takes from them for some slots marked.

    Args:
        revisions: the chapters.
        row: of them.
        place: in hand.
        columns: of the slots.
        style: from a slot's question, its column and the value that the passage has to that of the words.
    """
    volume, passage = revisions.volumes[revisions.volume[row]], int(revisions.shelf[row, place])
    text = re.sub(r"\s", " ", volume.texts[passage])
    asked = {slot.key: (slot, column) for column in columns for slot in [revisions.asked(row, column)]}
    parts, at = [], 0
    for one in sorted(stated(text, volume.names), key=lambda one: one.start):
        found = asked.get((one.kind, one.anchor))
        if found is not None and one.start >= at:
            parts += [(text[at : one.start], ""), (text[one.start : one.end], style(*found, one.value))]
            at = one.end
    return [*parts, (text[at:], "")]


def wrapped(parts: list[tuple[str, str]]) -> list[Line]:
    """Words with their styles on lines of so many characters."""
    styles = [style for text, style in parts for _ in re.sub(r"\s", " ", text)]
    whole = re.sub(r"\s", " ", "".join(text for text, _ in parts))
    lines, at = [], 0
    for line in textwrap.wrap(whole, COLUMNS, drop_whitespace=True):
        at = whole.index(line[:20], at)
        pieces: list[tuple[str, str]] = []
        for character, style in zip(line, styles[at : at + len(line)], strict=True):
            if pieces and pieces[-1][1] == style:
                pieces[-1] = (pieces[-1][0] + character, style)
            else:
                pieces.append((character, style))
        lines.append(pieces)
        at += len(line)
    return lines


def svg_of(lines: list[Line]) -> str:
    """Lines as a picture."""
    height = LINE * (len(lines) + 1.5)
    svg = ET.Element("svg", {
        "xmlns": "http://www.w3.org/2000/svg", "viewBox": f"0 0 {WIDTH:g} {height:g}", "class": "rtn",
        "width": f"{WIDTH:g}", "height": f"{height:g}",
    })  # fmt: skip
    ET.SubElement(svg, "style").text = STYLE
    ET.SubElement(svg, "rect", {
        "class": "paper", "x": "1", "y": "1", "width": f"{WIDTH - 2:g}", "height": f"{height - 2:g}", "rx": "6",
    })  # fmt: skip
    for number, pieces in enumerate(lines):
        text = ET.SubElement(svg, "text", {
            "x": "16", "y": f"{LINE * (number + 1.5):g}", "xml:space": "preserve",
        })  # fmt: skip
        for words, style in pieces:
            ET.SubElement(text, "tspan", {"class": style} if style else {}).text = words
    return ET.tostring(svg, encoding="unicode")
