"""A whole run on made-up books: stages, texts to be opened, demonstrations in the ledger, and one policy read back."""

from pathlib import Path

import numpy as np
import pytest

from rewardtree.domains.books.domain import DOMAIN
from rewardtree.errors import ConfigError
from rewardtree.evaluators.simulated import Bounds
from rewardtree.studies.config import parse
from rewardtree.studies.report import render
from rewardtree.studies.results import results
from rewardtree.studies.seed import train_seed
from rewardtree.studies.trained import load_tree
from rewardtree.tree.domain import Settings
from rewardtree.tree.node import Budget


def test_wrong_options_are_said(long_books: Path) -> None:
    def build(**options: object) -> None:
        DOMAIN.build(Settings(seed=0, helper=Budget(), root=Budget(), bounds=Bounds(), options=options))

    for options, said in (
        ({"fans": 3}, "knows the options books, heights, fan, limit, top_limit, not fans"),
        ({"heights": 1}, "options.heights = 1: give a whole number, 2 or more"),
        ({"fan": True}, "options.fan = True"),
        ({"books": str(long_books / "none")}, "there are no books"),
    ):
        with pytest.raises(ConfigError, match=said):
            build(**options)


@pytest.mark.slow
def test_a_run_tells_stages_and_gives_one_policy_back(long_books: Path, tmp_path: Path) -> None:
    config = parse({
        "domain": "books", "preset": "tiny", "options": {"books": str(long_books), "fan": 4}, "helper_iterations": 2,
    })  # fmt: skip
    (tmp_path / "config.json").write_text(config.model_dump_json())
    place = tmp_path / "seed-0"
    place.mkdir()
    facts = train_seed(DOMAIN, config, 0, place, "key/0", lambda record: None)
    assert {"untrained", "imitation", "trained", "centrality", "trained, at once"} <= set(facts["stages"]["book"])
    shown = {row["node"]: row["demonstrations"] for row in facts["ledger"] if row["demonstrations"]}
    assert shown == {f"height_{height}": 100 for height in range(3)}
    found = results(config, "height_2", [facts], command="rewardtree run books", seconds=1.0)
    page = render(found)
    assert page.count('<details class="outline">') > 24 and "What each stage of training is worth" in page
    nodes = load_tree(tmp_path).nodes
    versions = {name: node.policy.version for name, node in nodes.items()}
    assert set(versions.values()) == {"recursive_reward_modeling/height_2/1"}
    assert np.isfinite(facts["nodes"]["height_0"]["true_reward"]["trained"]["mean"])
