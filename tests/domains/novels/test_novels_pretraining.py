"""What the decoder reads: the training books alone, their names others in every pass; and the command."""

import re
from functools import partial
from pathlib import Path

import pytest
from typer.testing import CliRunner

from made_up_books import FAMILY, write_books
from rewardtree import cli
from rewardtree.domains.novels.books import files_of, read_book, splits_of
from rewardtree.domains.novels.pretraining import texts_of
from rewardtree.language import pretraining
from rewardtree.language.references import ModelRef, load
from tiny_language import needs_lm


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_books(tmp_path_factory.mktemp("books"))


def families(texts: list[str]) -> set[str]:
    return set(re.findall(r"(?:Captain|Colonel|Admiral|General) ([A-Z][a-z]+)", "\n".join(texts)))


def test_only_training_books_are_read_under_other_names_each_pass(books: Path) -> None:
    marked = splits_of(files_of(books))["test"][0]
    marked.write_text(marked.read_text().replace("the clock", "the zither"))
    one, other = (texts_of(books, "train", 0, number) for number in (0, 1))
    own = [chapter for path in splits_of(files_of(books))["train"] for chapter in read_book(path).chapters]
    assert len(one) == len(other) == len(own) == 24
    assert "zither" not in "".join(one) and "zither" in "".join(texts_of(books, "test", 0))
    assert families(own) <= set(FAMILY) and not families(one) & set(FAMILY)
    assert families(one) != families(other) and texts_of(books, "train", 0, 1) == other != texts_of(books, "train", 1)


def test_one_command_trains_a_model_that_loads_by_name(
    books: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs_lm()
    monkeypatch.setenv("REWARDTREE_CACHE", str(tmp_path))
    small = partial(pretraining.Recipe, vocabulary=384, width=32, layers=1, heads=2, context=64, rows=16)
    monkeypatch.setattr(pretraining, "Recipe", small)
    done = CliRunner().invoke(cli.app, ["pretrain", "novels", "--books", str(books), "--passes", "1"])
    assert done.exit_code == 0, done.output
    assert "Held-out perplexity a token: " in done.stdout and "Sample: It was a fine morning, and" in done.stdout
    assert load(ModelRef(name="decoder")).limit == 64
    done = CliRunner().invoke(cli.app, ["pretrain", "chip"])
    assert done.exit_code == 2 and "only novels has books" in done.stderr
