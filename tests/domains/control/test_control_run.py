"""A run of control: the leaf is trained once, beside the true reward, and the report says what it is worth."""

from pathlib import Path
from typing import Any

from line import line

from rewardtree.domains.control.domain import DOMAIN
from rewardtree.studies.config import parse
from rewardtree.studies.report import render
from rewardtree.studies.results import results
from rewardtree.studies.seed import train_seed

OPTIONS = {
    "env": line().id, "segment": 8, "rollout": 20, "together": 4, "ppo": {"batch_size": 40, "n_epochs": 2},
}  # fmt: skip


def test_a_leaf_is_trained_once_and_reported(tmp_path: Path) -> None:
    config = parse({"domain": "control", "preset": "tiny", "options": OPTIONS, "root_iterations": 12, "root_labels": 4})
    told: list[Any] = []
    facts = train_seed(DOMAIN, config, 0, tmp_path, "key", told.append)
    assert set(facts["protocols"]) == {"recursive_reward_modeling", "untrained", "oracle"}
    assert {row["protocol"] for row in facts["ledger"]} == {"recursive_reward_modeling"}
    assert len(facts["nodes"]["behaviour"]["curve"]) == 10 and facts["nodes"]["behaviour"]["curve"][-1]["labels"] == 48
    assert sum("protocol" in one for one in told) == 10
    found = results(config, "behaviour", [facts], command="rewardtree run control", seconds=1.0)
    assert found["gap_recovered"] == {} and [row["source"] for row in found["errors"]] == ["reward model", "judging"]
    page = render(found)
    assert "Trained by 48 comparisons" in page and "on the true reward itself" in page
