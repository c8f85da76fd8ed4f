"""Pictures of the root for the report: a chapter revised at random, what the helpers say of it, and the trained policy.

Every slot stands in its words, with what `consistency` says of it and what the trained policy puts there; then the
doubtful paragraph, and the flagged passages of the book with what the reader takes from them marked.
"""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from rewardtree.domains.novels.boards import excerpt, phrase, place_name
from rewardtree.domains.novels.chapter_boards import AROUND, paragraph, revised
from rewardtree.domains.novels.chapters import Chapters, Fillings
from rewardtree.domains.novels.pictures import Line, passage_marked, svg_of, wrapped
from rewardtree.domains.novels.reader import Asked
from rewardtree.domains.novels.revising import CONTRADICTIONS, EXCERPTS, WHEREABOUTS, RevisingTask
from rewardtree.tasks.exhibit import Claims
from rewardtree.tree.assistance import ask
from rewardtree.tree.node import Tree
from rewardtree.tree.stand_ins import trained_helpers

EXAMPLES = 3


def draw_revisions(
    tree: Tree, task: RevisingTask, policies: Mapping[str, Any], rng: np.random.Generator
) -> list[dict[str, str]]:
    """Some chapters of the test split, revised at random, with the trained helpers' claims and the trained policy.

    Args:
        tree: of the run.
        task: the root's.
        policies: trained policies by node.
        rng: draws chapters and revisions.
    """
    inputs = task.sample(rng, EXAMPLES, "test")
    outputs, trained = task.base_outputs(rng, inputs), policies[tree.root].answer(inputs)
    claims = ask(task, trained_helpers(tree, tree.nodes[tree.root], policies), inputs, outputs)
    rewards = [task.true_reward(inputs, one) for one in (outputs, trained)]
    revisions = revised(inputs, outputs)
    return [
        {
            "title": revisions.volumes[revisions.volume[row]].book.title,
            "svg": svg_of(_lines(inputs, (outputs, trained), claims, row)),
            "caption": (
                f"A random revision, {-rewards[0][row]:.0f} things in it unlike the book (red); in that of the trained "
                f"policy {-rewards[1][row]:.0f}. The helpers' claims stand where they point."
            ),
        }
        for row in range(EXAMPLES)
    ]


def _lines(inputs: Chapters, outputs: tuple[Fillings, Fillings], claims: Claims, row: int) -> list[Line]:
    """One picture: slots, paragraph, flagged passages."""
    revisions, total = revised(inputs, outputs[0]), claims[CONTRADICTIONS]
    columns = np.flatnonzero(revisions.valid[row]).tolist()
    lines: list[Line] = [[("The chapter, revised at random", "head")]]
    for column in columns:
        before, filling, after, _ = excerpt(revisions, row, column)
        style = "bad" if revisions.edited[row, column] else "good"
        lines += wrapped([(f"\u2026{before[-AROUND:]}", ""), (filling, style), (f"{after[:AROUND]}\u2026", "")])
        says = 0.0 if total.items is None else float(total.items[row, column])
        puts = phrase(revisions, row, column, first=bool(outputs[1].slots[row, column] > 0))
        lines += wrapped(
            [(f"consistency: differs, {says:.1f} of 1; the trained policy puts \u201c{puts}\u201d", "soft")]
        )
    lines += wrapped(
        [(f"consistency, all in all: {float(total.value[row]):.1f} of {len(columns)} slots differ", "head")]
    )
    lines += _paragraph(inputs, outputs, claims, row)

    def marking(slot: Asked, column: int, value: str) -> str:
        """For what stands in the chapter, or against it."""
        return "good" if value == (slot.first if revisions.filled[row, column] > 0 else slot.second) else "bad"

    for quantity in EXCERPTS:
        place = int(claims[quantity].place[row])
        lines += [[], *wrapped([(f"excerpts points at {place_name(revisions, row, place)}:", "head")])]
        lines += wrapped(passage_marked(revisions, row, place, columns, marking))
    return lines


def _paragraph(inputs: Chapters, outputs: tuple[Fillings, Fillings], claims: Claims, row: int) -> list[Line]:
    """The doubtful paragraph, and what is said of it."""
    words = paragraph(inputs, outputs[0], row)
    if not words:
        return []
    own = bool(outputs[0].paragraph[row] == inputs.own[row])
    name = inputs.stage(outputs[0].paragraph).name(row)
    kept = "keeps it" if outputs[1].paragraph[row] == outputs[0].paragraph[row] else "puts another one there"
    pieces = re.split(rf"\b({name})\b", words)
    lines: list[Line] = [[], [("A paragraph that may be another chapter's", "head")]]
    style = "good" if own else "bad"
    lines += wrapped([(piece, style if number % 2 else "") for number, piece in enumerate(pieces)])
    share = float(claims[WHEREABOUTS].value[row])
    return lines + wrapped(
        [(f"summary: {name} on stage in {share:.1f} quarters of the chapter; the trained policy {kept}", "soft")]
    )
