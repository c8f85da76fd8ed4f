"""Reading back what a run trained: by any of its folders, and in one sentence where that cannot be."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import rewardtree
from rewardtree.errors import LanguageError, RunError
from rewardtree.language.references import LoRA, ModelRef, load
from rewardtree.rewards import language
from rewardtree.rewards.ensemble import RewardShape, initial
from rewardtree.rewards.language import Heads
from rewardtree.studies.config import parse
from rewardtree.studies.run import find_domain
from rewardtree.studies.trained import iteration_folder, load_policy, load_reward_model, load_tree
from rewardtree.tree import checkpoint
from rewardtree.tree.checkpoint import Feedback, Trained
from rewardtree.tree.evaluating import assistance
from rewardtree.tree.loop import helpers_of
from rewardtree.tree.seen import Joined
from tiny_language import needs_lm, tiny_model

PROTOCOL = "recursive_reward_modeling"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two seeds whose first has two iterations a node, of policies that have learnt nothing."""
    place = tmp_path_factory.mktemp("run")
    config = parse({"domain": "chip", "preset": "tiny", "seed": 4, "seeds": 2})
    (place / "config.json").write_text(json.dumps(config.model_dump()))
    tree = find_domain("chip").build(config.settings(4))
    rng, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    nodes: dict[str, Trained] = {}
    for node in tree.leaves_first():
        policy = node.learner.initial(rng)
        inputs = node.task.sample(rng, 2, "train")
        nodes[node.name] = Trained(policy=policy, untrained=policy)
        helpers = helpers_of(tree, node, nodes)
        seen = Joined(node=node, assist=assistance(node, helpers), model=None).observe(
            inputs, node.task.base_outputs(rng, inputs)
        )
        shape = RewardShape(features=seen.shape[1], peaked=node.peaked, hidden=node.hidden)
        for iteration in range(2):
            version = f"{node.name}/{iteration + 1}"
            trained = Trained(
                policy=node.learner.restore(policy.weights, version),
                untrained=policy,
                reward_model=initial(shape, generator),
                feedback=Feedback(first=seen, second=seen, ids=["a", "b"]),
            )
            checkpoint.save(checkpoint.folder(place / "seed-4", PROTOCOL, node.name, iteration), trained)
    (place / "seed-4" / PROTOCOL / "heat" / "iteration-002.partial").mkdir()
    return place


@pytest.mark.parametrize(
    ("inside", "version"),
    [
        (".", "floorplan/2"),
        ("seed-4", "floorplan/2"),
        (f"seed-4/{PROTOCOL}/heat", "heat/2"),
        (f"seed-4/{PROTOCOL}/lifetime/iteration-000", "lifetime/1"),
    ],
)
def test_any_folder_of_a_run_will_do(run: Path, inside: str, version: str) -> None:
    assert load_policy(run / inside).version == version
    assert load_reward_model(str(run / inside)).shape.peaked == (not version.startswith("floorplan"))


def test_what_is_read_back_works(run: Path) -> None:
    trained = load_tree(run)
    assert set(trained.nodes) == set(trained.tree.nodes) and trained.policy.version == "floorplan/2"
    task = trained.tree.nodes[trained.tree.root].task
    inputs = task.sample(np.random.default_rng(0), 3, "test")
    outputs = trained.policy.propose(inputs, np.random.default_rng(0))
    assert np.isfinite(trained.reward(inputs, outputs)).all()
    claims = trained.reward.assist(inputs, outputs)
    assert {c.author: c.version for c in claims.values()} == {n: f"{n}/2" for n in ("lifetime", "energy", "security")}


def test_the_package_exports_both() -> None:
    assert rewardtree.load_policy is load_policy and rewardtree.load_reward_model is load_reward_model
    assert {"load_policy", "load_reward_model"} <= set(dir(rewardtree)) & set(rewardtree.__all__)
    with pytest.raises(AttributeError, match="no attribute 'load_all'"):
        rewardtree.load_all  # noqa: B018


def test_what_is_missing_is_one_sentence(run: Path, tmp_path: Path) -> None:
    for nothing in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(RunError, match="nothing is trained in"):
            load_policy(nothing)
        with pytest.raises(RunError, match="there is no run in"):
            load_tree(nothing)
    with pytest.raises(RunError, match="has no seed 6; it has 4 to 5"):
        load_tree(run, seed=6)
    with pytest.raises(RunError, match="finish the run first: rewardtree resume"):
        load_tree(run, seed=5)


def test_a_folder_taken_out_of_its_run_gives_no_policy(run: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    shutil.copytree(run / "seed-4" / PROTOCOL / "heat" / "iteration-001", alone)
    with pytest.raises(RunError, match="not in the folder of a run"):
        load_policy(alone)
    assert load_reward_model(alone).shape.peaked
    (alone / "reward_model.safetensors").write_bytes(b"broken")
    with pytest.raises(RunError, match="not a reward model"):
        load_reward_model(alone)


def test_a_reward_model_on_a_language_model_is_read_with_it(tmp_path: Path) -> None:
    needs_lm()
    model = load(ModelRef(name=str(tiny_model(tmp_path / "tiny"))), adapters=LoRA(rank=2, scale=8.0))
    reward = language.initial(model, Heads(members=2), torch.Generator().manual_seed(0))
    for name, value in reward.weights.items():
        if "lora_B" in name:
            value.fill_(0.1)
    place = tmp_path / "iteration-000"
    place.mkdir()
    (place / "policy.safetensors").touch()
    reward.save(place / "reward_model.safetensors")
    rows = np.array([[5, 6, 7], [8, 9, -1]], dtype=np.int32)
    assert np.array_equal(load_reward_model(place).score_members(rows), reward.score_members(rows))
    shutil.rmtree(tmp_path / "tiny")
    with pytest.raises(LanguageError, match=r"there is no folder .*tiny; name a folder with a model's files"):
        load_reward_model(place)


def test_a_broken_iteration_is_named(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    broken = iteration_folder(copy / "seed-4" / PROTOCOL / "energy")
    (broken / "policy.safetensors").write_bytes(b"broken")
    with pytest.raises(RunError, match="iteration-001 is broken"):
        load_tree(copy)
