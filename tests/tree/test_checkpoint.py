"""Checkpoints: what was trained comes back bit for bit, and broken files are reported with their remedy."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from rewardtree.errors import RunError
from rewardtree.rewards.ensemble import Fit, RewardShape, initial
from rewardtree.tree import checkpoint
from rewardtree.tree.checkpoint import Feedback, Trained
from toy import toy_node

LEARNER = toy_node("left").learner
UNTRAINED = LEARNER.initial(np.random.default_rng(0))


def trained() -> Trained:
    rng = np.random.default_rng(1)
    chance = torch.Generator().manual_seed(0)
    weights = {n: v + torch.randn(v.shape, generator=chance) for n, v in UNTRAINED.weights.items()}
    first, second = rng.normal(size=(2, 5, 4)).astype(np.float32)
    nan = float("nan")
    fits = (
        Fit(accuracy=nan, calibration_error=nan, loss=nan, steps=4, pairs=5, held_out=0),
        Fit(accuracy=0.75, calibration_error=0.1, loss=0.6, steps=400, pairs=50, held_out=5),
    )
    return Trained(
        policy=LEARNER.restore(weights, "rrm/left/2"), untrained=UNTRAINED, fits=fits, check_readings=64,
        reward_model=initial(RewardShape(features=4, peaked=True, hidden=0), chance),
        feedback=Feedback(first=first, second=second, ids=[f"{i:032x}" for i in range(5)]),
    )  # fmt: skip


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = checkpoint.folder(tmp_path, "rrm", "left", 1)
    checkpoint.save(path, trained())
    return path


def test_what_was_saved_comes_back_bit_for_bit(saved: Path) -> None:
    before, after = trained(), checkpoint.load(saved, LEARNER, UNTRAINED)
    assert after is not None and after.reward_model is not None and after.feedback is not None
    assert before.reward_model is not None and before.feedback is not None
    assert after.policy.version == "rrm/left/2" and after.untrained is UNTRAINED
    for one, two in ((before.policy, after.policy), (before.reward_model, after.reward_model)):
        assert one.weights.keys() == two.weights.keys()
        assert all(torch.equal(two.weights[n], v) for n, v in one.weights.items())
    np.testing.assert_array_equal(after.feedback.first, before.feedback.first)
    np.testing.assert_array_equal(after.feedback.second, before.feedback.second)
    assert after.feedback.first.dtype == np.float32 and after.feedback.ids == before.feedback.ids
    assert repr(after.fits) == repr(before.fits) and after.check_readings == 64
    assert after.reward_model.shape == before.reward_model.shape


def test_an_iteration_that_never_finished_is_not_there(tmp_path: Path, saved: Path) -> None:
    assert checkpoint.load(checkpoint.folder(tmp_path, "rrm", "left", 2), LEARNER, UNTRAINED) is None
    saved.rename(saved.with_name(saved.name + ".partial"))
    assert checkpoint.load(saved, LEARNER, UNTRAINED) is None


def test_leftovers_of_a_killed_run_are_replaced(tmp_path: Path) -> None:
    path = checkpoint.folder(tmp_path, "rrm", "left", 0)
    partial = path.with_name(path.name + ".partial")
    partial.mkdir(parents=True)
    (partial / "rubbish").write_text("x")
    checkpoint.save(path, trained())
    assert sorted(f.name for f in path.iterdir()) == [
        "feedback.safetensors", "policy.safetensors", "record.json", "reward_model.safetensors",
    ]  # fmt: skip
    assert not partial.exists()


@pytest.mark.parametrize(
    "name", ["policy.safetensors", "feedback.safetensors", "reward_model.safetensors", "record.json"]
)
@pytest.mark.parametrize("how", ["missing", "empty", "cut", "garbage"])
def test_broken_files_are_reported_with_the_remedy(saved: Path, name: str, how: str) -> None:
    file = saved / name
    content = file.read_bytes()
    file.unlink()
    if how != "missing":
        file.write_bytes({"empty": b"", "cut": content[: len(content) // 2], "garbage": b"\xff" * 64}[how])
    with pytest.raises(RunError, match=r"iteration-001 is broken .*remove that folder and resume"):
        checkpoint.load(saved, LEARNER, UNTRAINED)


@pytest.mark.parametrize("lost", ["version", "ids", "fits", "check_readings"])
def test_an_incomplete_record_is_broken_too(saved: Path, lost: str) -> None:
    record = json.loads((saved / "record.json").read_text())
    del record[lost]
    (saved / "record.json").write_text(json.dumps(record))
    with pytest.raises(RunError, match="is broken"):
        checkpoint.load(saved, LEARNER, UNTRAINED)


def test_a_fit_of_another_version_is_broken(saved: Path) -> None:
    record = json.loads((saved / "record.json").read_text())
    record["fits"][0]["brier"] = 0.1
    (saved / "record.json").write_text(json.dumps(record))
    with pytest.raises(RunError, match="is broken"):
        checkpoint.load(saved, LEARNER, UNTRAINED)


def test_a_folder_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "rrm").write_text("a file where a folder should be")
    with pytest.raises(RunError, match="cannot write"):
        checkpoint.save(checkpoint.folder(tmp_path, "rrm", "left", 0), trained())


def test_feedback_is_joined_in_order() -> None:
    feedback = trained().feedback
    assert feedback is not None
    both = feedback.plus(Feedback(first=feedback.second, second=feedback.first, ids=["x"] * 5))
    np.testing.assert_array_equal(both.first, np.concatenate([feedback.first, feedback.second]))
    assert both.ids == [*feedback.ids, *["x"] * 5]


def test_weights_of_schemes_that_compare_nothing_come_back_bit_for_bit(tmp_path: Path) -> None:
    path = checkpoint.folder(tmp_path, "amplification", "left", 0)
    assert checkpoint.load_weights(path) is None
    checkpoint.save_weights(path, UNTRAINED.weights, {"updates": 3, "agreement": [0.5]})
    found = checkpoint.load_weights(path)
    assert found is not None
    assert found[1] == {"updates": 3, "agreement": [0.5]}
    assert found[0].keys() == UNTRAINED.weights.keys()
    assert all(torch.equal(found[0][name], value) for name, value in UNTRAINED.weights.items())


@pytest.mark.parametrize("file", ["policy.safetensors", "record.json"])
def test_broken_weights_are_reported_with_their_remedy(tmp_path: Path, file: str) -> None:
    path = checkpoint.folder(tmp_path, "amplification", "left", 0)
    checkpoint.save_weights(path, UNTRAINED.weights, {"updates": 3})
    (path / file).write_bytes(b"{")
    with pytest.raises(RunError, match="remove that folder and resume the run"):
        checkpoint.load_weights(path)


def test_weights_that_cannot_be_written_are_reported(tmp_path: Path) -> None:
    (tmp_path / "amplification").write_text("a file in the way")
    with pytest.raises(RunError, match="free some space or mend the folder"):
        checkpoint.save_weights(checkpoint.folder(tmp_path, "amplification", "left", 0), UNTRAINED.weights, {})


def test_token_ids_of_two_iterations_are_padded_to_one_width() -> None:
    narrow, wide = np.array([[4, 5]], dtype=np.int32), np.array([[6, 7, 8]], dtype=np.int32)
    both = Feedback(first=narrow, second=wide, ids=["a"]).plus(Feedback(first=wide, second=narrow, ids=["b"]))
    assert both.first.tolist() == [[4, 5, -1], [6, 7, 8]] and both.second.tolist() == [[6, 7, 8], [4, 5, -1]]
    assert both.first.dtype == np.int32
