"""Shelves, sources, choosing sentences, the policy's probabilities, and what is asked of summaries."""

from collections import Counter
from dataclasses import replace
from itertools import combinations, permutations

import numpy as np
import pytest
import torch

from rewardtree.domains.books.choosing import at_random, central, choose, covering, lead, told_of, worth_of_passages
from rewardtree.domains.books.heights import Library, base_pool, pool, units, whole
from rewardtree.domains.books.measuring import entire
from rewardtree.domains.books.nodes import drawing
from rewardtree.domains.books.outlines import outlines
from rewardtree.domains.books.questions import Asked, Gap, asked_of, facts_answered, gaps_answered
from rewardtree.domains.books.rouge import rouge_1, rouge_l
from rewardtree.domains.books.shelf import tokens_of
from rewardtree.domains.books.sources import FEATURES, Sources, chosen, everyone, held_out_of, marked, words_of
from rewardtree.domains.books.summariser import SummariserLearner, mixed
from rewardtree.domains.books.summarising import SummaryTask, shared_words
from rewardtree.tasks.task import Question


def test_nothing_held_out_is_quoted_or_opened(books_library: Library) -> None:
    shelf = books_library.shelf
    assert 0.15 < shelf.held_out.mean() < 0.25
    for height in range(books_library.heights):
        pages = base_pool(books_library, "test", height)
        assert not shelf.held_out[pages.hand].any()
        sentences = pages.sentence[pages.sentence >= 0]
        assert not shelf.held_out[shelf.passage[sentences]].any()
        kept = held_out_of(everyone(pages), 5)
        assert shelf.held_out[kept].all()
        for places in (pages.hand, kept):
            assert (places >= pages.span[:, :1]).all() and (places < pages.span[:, 1:]).all()


def test_sentences_are_whole_and_their_words_are_those_of_their_passage(books_library: Library) -> None:
    shelf = books_library.shelf
    for number in range(0, len(shelf.words), 97):
        text = shelf.sentence(number)
        assert len(text.split()) == shelf.words[number] >= 8 and text[-1] == "." and text[0].isupper()
        said = {shelf.vocabulary[word] for word in shelf.said[number] if word >= 0}
        told = {shelf.vocabulary[word] for word in shelf.told[shelf.passage[number]] if word >= 0}
        assert said == {token for token in tokens_of(text) if token in shelf.vocabulary} & told


def test_every_part_is_beneath_one_unit_of_each_height(books_library: Library) -> None:
    parts = units(books_library, "train", 0, central)
    above, top = units(books_library, "train", 1, central), whole(books_library, "train", central)
    for pages in (parts, above, top):
        assert (pages.span[1:, 0] == pages.span[:-1, 1]).all()
    assert len(parts) > 4 * len(above) / 2 > len(top) == 1
    summaries = central(everyone(above))
    said = set(chosen(everyone(above), summaries).ravel().tolist()) - {-1}
    assert set(top.sentence[top.sentence >= 0].tolist()) == said


def test_summaries_keep_to_their_limit_and_leave_no_room(books_library: Library) -> None:
    sources = everyone(base_pool(books_library, "train", 1))
    shelf, limit = sources.pages.shelf, sources.pages.limit
    for summaries in (lead(sources), central(sources), at_random(sources, np.random.default_rng(0))):
        sentence = chosen(sources, summaries)
        words = (shelf.words[np.maximum(sentence, 0)] * (sentence >= 0)).sum(axis=1)
        left = np.where(np.isin(sources.sentence, -1), limit, shelf.words[sources.sentence])
        for row in range(len(sources)):
            spare = [
                n for n, s in zip(left[row], sources.sentence[row], strict=True) if s >= 0 and s not in sentence[row]
            ]
            assert words[row] <= limit < words[row] + min(spare, default=limit + 1)
    picks = lead(sources).picks
    assert (picks[:, 0] == 0).all()


def test_the_readers_rule_counts_words_once(books_library: Library) -> None:
    sources = everyone(base_pool(books_library, "validation", 0))
    shelf, summaries = sources.pages.shelf, central(sources)
    words, hand = words_of(sources, summaries), sources.pages.hand
    found = told_of(sources, words, hand)
    for row, place in ((0, 0), (3, 5), (7, 2)):
        said = {shelf.vocabulary[w] for w in words[row] if w >= 0}
        told = {shelf.vocabulary[w] for w in shelf.told[hand[row, place]] if w >= 0}
        assert found[row, place] == pytest.approx(len(said & told) / len(told))
    assert shared_words(sources, words, words) == pytest.approx(1.0)
    assert shared_words(sources, words, np.full((len(sources), 1), -1)) == pytest.approx(0.0)


def test_who_opens_all_passages_tells_most(books_library: Library) -> None:
    sources = everyone(base_pool(books_library, "validation", 1))
    told = {
        name: told_of(sources, words_of(sources, summaries), sources.pages.hand).mean()
        for name, summaries in {
            "all": covering(sources, worth_of_passages(sources)), "central": central(sources), "lead": lead(sources),
        }.items()
    }  # fmt: skip
    assert told["all"] > max(told["central"], told["lead"]) + 0.02


def a_policy(scale: float = 0.5) -> object:
    learner = SummariserLearner()
    policy = learner.initial(np.random.default_rng(0))
    generator = torch.Generator().manual_seed(1)
    weights = {n: v + scale * torch.randn(v.shape, generator=generator) for n, v in policy.weights.items()}
    return policy.with_weights(weights, "some")


def test_probabilities_of_all_orders_of_all_summaries_sum_to_one(books_library: Library) -> None:
    """Small enough to enumerate: three sentences, of which any two fit."""
    pages = base_pool(books_library, "train", 0)
    shelf = pages.shelf
    row, three = next(
        (row, columns)
        for row in range(len(pages))
        for columns in map(list, combinations(range(int((pages.sentence[row] >= 0).sum())), 3))
        if (pages.repeats[row][np.ix_(columns, columns)] > 0).all()
    )
    wide = pages.sentence.shape[1]
    table, repeats, features = np.full((1, wide), -1), np.zeros((1, wide, wide), np.float32), pages.features[[row]] * 0
    table[0, :3], features[0, :3] = pages.sentence[row, three], pages.features[row, three]
    repeats[0, :3, :3] = pages.repeats[row][np.ix_(three, three)]
    limit = int(shelf.words[table[0, :3]].sum() - 1)
    small = replace(pages, sentence=table, features=features, repeats=repeats, span=pages.span[[row]],
                    hand=pages.hand[[row]], origin=pages.origin[[row]], limit=limit)  # fmt: skip
    policy = a_policy()
    source = Sources(pages=small, row=np.zeros(1, dtype=int))
    scores = policy._scores(source, None)

    def by_hand(one: int, other: int) -> float:
        """Three sentences at first, then two, which lose by what they repeat."""
        begun = np.exp(scores.fresh[0, :3])
        going = np.exp(scores.fresh[0, :3] + scores.stale[0, :3] * small.repeats[0, :3, one])
        return float(begun[one] / begun.sum() * going[other] / (going.sum() - going[one]))

    total = 0.0
    seen = set()
    for order in permutations(range(3)):
        taste = {column: -place for place, column in enumerate(order)}
        wanted = np.array([[taste.get(column, -9) for column in range(table.shape[1])]], dtype=float)
        summary = choose(source, lambda so_far, wanted=wanted: wanted)
        if tuple(summary.picks[0]) not in seen:
            seen.add(tuple(summary.picks[0]))
            found = float(policy.log_probability(policy.weights, source, summary).exp())
            assert found == pytest.approx(by_hand(order[0], order[1]), rel=1e-4)
            total += found
    assert len(seen) == 6 and total == pytest.approx(1.0, abs=1e-5)


def test_samples_come_as_often_as_their_probability_says(books_library: Library) -> None:
    pages, policy = base_pool(books_library, "train", 0), a_policy(0.2)
    sources = Sources(pages=pages, row=np.zeros(4000, dtype=int))
    first = policy.propose(sources, np.random.default_rng(2)).picks[:, 0]
    one = Sources(pages=pages, row=np.zeros(1, dtype=int))
    scores = policy._scores(one, None).fresh[0, : int((pages.sentence[0] >= 0).sum())]
    expected = np.exp(scores) / np.exp(scores).sum()
    found = np.bincount(first, minlength=len(expected)) / len(first)
    assert np.abs(found - expected).max() < 0.03 and expected.max() > 2 / len(expected)


def test_what_repeats_is_less_likely_where_the_policy_minds(books_library: Library) -> None:
    pages = base_pool(books_library, "train", 1)
    sources = everyone(pages)
    learner = SummariserLearner()
    plain = learner.initial(np.random.default_rng(0))
    minding = plain.with_weights({**plain.weights, "out_bias": torch.tensor([0.0, -20.0])}, "minding")

    def repeated(summaries: object) -> float:
        picks = summaries.picks
        both = pages.repeats[np.arange(len(pages))[:, None, None], picks[:, :, None], picks[:, None, :]]
        there = (picks >= 0)[:, :, None] & (picks >= 0)[:, None, :] & ~np.eye(picks.shape[1], dtype=bool)
        return float(both[there].mean())

    rng = np.random.default_rng(0)
    assert repeated(minding.propose(sources, rng)) < repeated(plain.propose(sources, rng)) - 0.05


def test_a_policy_that_imitates_does_as_was_shown(books_library: Library) -> None:
    sources = everyone(base_pool(books_library, "train", 0))
    learner = SummariserLearner(steps=80)
    policy = learner.initial(np.random.default_rng(0))
    shown = central(sources)
    after = learner.clone(policy, [(sources, shown)])
    other = everyone(base_pool(books_library, "validation", 0))
    gain = [float(p.log_probability(p.weights, other, central(other)).mean()) for p in (policy, after)]
    assert after.version == "cloned" and gain[1] > gain[0] + 0.5


def test_mixed_summaries_are_either() -> None:
    first, second = (SummaryPicks(rows) for rows in ([[1, 2, -1]], [[3, -1]]))
    assert mixed(first, second, np.array([True])).picks.tolist() == [[3, -1, -1]]
    assert mixed(second, first, np.array([False])).picks.tolist() == [[3, -1, -1]]


def SummaryPicks(rows: list[list[int]]) -> object:
    from rewardtree.domains.books.sources import Summaries

    return Summaries(picks=np.array(rows))


def test_a_helper_says_how_much_of_its_summary_is_in_the_one_asked_about(books_library: Library) -> None:
    task, below = (SummaryTask(height=h, draw=drawing(books_library, h), told=6 if h else 0) for h in (1, 0))
    inputs = task.sample(np.random.default_rng(0), 5, "train")
    outputs = task.base_outputs(np.random.default_rng(1), inputs)
    questions = task.questions(inputs, outputs, {})
    assert [q.quantity for q in questions] == [f"child_{n}" for n in range(6)]
    question: Question = questions[2]
    answer = lead(question.inputs)
    claim = below.claim(question.inputs, answer, question=question, version="v")
    size = len(inputs.pages.shelf.vocabulary)
    child, mine = marked(words_of(question.inputs, answer), size), marked(words_of(inputs, outputs), size)
    assert claim.value == pytest.approx((child & mine).sum(axis=1) / child.sum(axis=1))


def test_rouge_is_as_the_reference_implementation_has_it() -> None:
    """Figures of rouge-score 0.1.2 without a stemmer."""
    summary, reference = "The cat sat on the red mat, and sat.", "On the mat sat the cat; the red cat slept."
    assert rouge_1(summary, reference) == pytest.approx(ROUGE_1)
    assert rouge_l(summary, reference) == pytest.approx(ROUGE_L)
    assert rouge_1("", reference) == rouge_l("none here", "of that") == 0.0


ROUGE_1, ROUGE_L = 0.7368421, 0.4210526


def test_facts_count_as_often_as_they_are_stated() -> None:
    names = frozenset({"Lodge", "Wentworth", "Elliot"})
    asked = Asked(facts=Counter({("title", "m Wentworth", "Captain"): 3, ("title", "m Elliot", "Sir"): 1}), gaps=(),
                  names=names)  # fmt: skip
    assert facts_answered(asked, "There came Captain Wentworth.") == 0.75
    assert facts_answered(asked, "There came Mr. Wentworth, and Sir Elliot.") == 0.25
    assert np.isnan(facts_answered(Asked(facts=Counter(), gaps=(), names=names), "x"))


def test_gaps_are_filled_by_words_beside_a_name() -> None:
    gap = Gap(words=frozenset({"rode", "to", "the", "abbey"}), right="Anne", names=("Anne", "Mary", "Louisa", "Jane"))
    asked, known = Asked(facts=Counter(), gaps=(gap,), names=frozenset()), frozenset({"rode", "abbey"})
    assert gaps_answered(asked, ["Anne rode away.", "Mary was there."], known) == 1.0
    assert gaps_answered(asked, ["Mary saw the abbey.", "Anne was there."], known) == 0.0
    assert gaps_answered(asked, ["Anne was there.", "Mary was there."], known) == 0.5
    assert gaps_answered(asked, ["Nobody came."], known) == 0.25
    assert np.isnan(gaps_answered(Asked(facts=Counter(), gaps=(), names=frozenset()), [], known))


def test_questions_are_of_the_text_and_stay_the_same(books_library: Library) -> None:
    shelf, pages = books_library.shelf, base_pool(books_library, "test", 1)
    first, end = pages.span[0].tolist()
    asked = asked_of(shelf, first, end)
    assert asked == asked_of(shelf, first, end) and asked.gaps
    held_out = " ".join(shelf.text_of(p) for p in range(first, end) if shelf.held_out[p])
    for gap in asked.gaps:
        assert gap.right in held_out and len(set(gap.names)) == 4 and gap.right.lower() not in gap.words
    text = " ".join(shelf.text_of(p) for p in range(first, end))
    assert facts_answered(asked, text) == 1.0


def test_outlines_lead_from_the_book_to_all_of_its_text(books_library: Library) -> None:
    (found,) = outlines(books_library, "test", central)
    texts: list[str] = []

    def walk(part: dict[str, object], depth: int) -> None:
        assert part["title"] and part["text"]
        if not part["parts"]:
            texts.append(str(part["text"]))
            assert depth == books_library.heights
        for below in part["parts"]:
            walk(below, depth + 1)

    walk(found, 0)
    book = next(b for b in books_library.shelf.books if b.name == "d_made_up")
    assert "".join(" ".join(texts).split()) == "".join(" ".join(book.chapters).split())
    assert "under new names" in found["title"] and int(found["note"].split()[0]) <= 240


def test_a_book_at_once_has_every_sentence_that_may_be_quoted(books_library: Library) -> None:
    (pages,) = entire(books_library, "test")
    shelf = books_library.shelf
    inside = (shelf.passage >= pages.span[0, 0]) & (shelf.passage < pages.span[0, 1])
    assert set(pages.sentence[0].tolist()) == set(np.flatnonzero(inside & ~shelf.held_out[shelf.passage]).tolist())
    assert pages.features.shape[2] == len(FEATURES)


def test_training_sources_are_of_the_policys_own_summaries(books_library: Library) -> None:
    pages = pool(books_library, "train", 1, lead)
    below = pages.below[0]
    first = chosen(below, lead(below))[:, 0]
    assert (pages.sentence[:, 0] == first).all()
