"""`rewardtree apply`: a user's netlist is placed, drawn and explained; what cannot be done is one sentence."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import torch
from typer.testing import CliRunner, Result

from rewardtree import cli
from rewardtree.domains.chip import domain
from rewardtree.domains.chip.bookshelf import write_bookshelf
from rewardtree.domains.chip.formats import read_file
from rewardtree.domains.chip.generate import generate
from rewardtree.rewards.ensemble import RewardShape, initial
from rewardtree.studies.config import parse
from rewardtree.tree import checkpoint
from rewardtree.tree.checkpoint import Feedback, Trained

EXAMPLE = Path(__file__).parents[2] / "examples" / "tiny.blocks"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of policies that have learnt nothing, and of a root's reward model that likes small dies."""
    place = tmp_path_factory.mktemp("run")
    config = parse({"domain": "chip", "preset": "tiny"})
    (place / "config.json").write_text(json.dumps(config.model_dump()))
    tree = domain.build(config.settings(0))
    rng = np.random.default_rng(0)
    for node in tree.nodes.values():
        policy = node.learner.initial(rng)
        inputs = node.task.sample(rng, 2, "train")
        seen = node.task.observe(inputs, node.task.base_outputs(rng, inputs))
        claims = len(node.helpers) if node.claims_in_reward else 0
        shape = RewardShape(features=seen.shape[1] + claims, peaked=node.peaked, hidden=0)
        model = initial(shape, torch.Generator().manual_seed(0))
        if node.name == tree.root:
            model.weights["out"][:, 0] = -1.0
        feedback = Feedback(first=seen, second=seen, ids=["a", "b"])
        trained = Trained(policy=policy, untrained=policy, reward_model=model, feedback=feedback)
        checkpoint.save(checkpoint.folder(place / "seed-0", "recursive_reward_modeling", node.name, 0), trained)
    return place


def apply(*arguments: object) -> Result:
    return CliRunner().invoke(cli.app, ["apply", *map(str, arguments)], env={"COLUMNS": "200"})


def test_places_draws_and_explains(run: Path, tmp_path: Path) -> None:
    done = apply(run, EXAMPLE, "--out", tmp_path / "new", "--samples", 20)
    assert done.exit_code == 0, done.output
    for helper in ("lifetime", "energy", "security"):
        assert re.search(rf"^ *{helper} ", done.stdout, re.MULTILINE)
    assert "16 blocks, 37 nets" in done.stdout and "among 21 layouts" in done.stdout
    assert re.search(r"is exposed worst: [\d.]+ +[\d.]+ +[\d.]+ at block \w+", done.stdout)
    assert re.search(r"most of all the (net of \w+ and|net of \w+, |leakage of) ?\w+", done.stdout)
    assert ET.parse(tmp_path / "new" / "tiny.svg").getroot().tag.endswith("svg")
    assert "b0" not in (tmp_path / "new" / "tiny.svg").read_text()


def test_the_placement_is_in_the_units_of_the_file_and_legal(run: Path, tmp_path: Path) -> None:
    for end in (".blocks", ".nets", ".power.csv"):
        (tmp_path / f"tiny{end}").write_text(EXAMPLE.with_suffix(end).read_text())
    assert apply(run, tmp_path / "tiny.blocks", "--out", tmp_path).exit_code == 0
    reading = read_file(tmp_path / "tiny.blocks")
    assert reading.corners is not None
    turned = [line.endswith("E") for line in (tmp_path / "tiny.pl").read_text().splitlines()[2:]]
    sizes = np.stack([reading.netlist.width, reading.netlist.height], axis=1)
    sizes = np.where(np.array(turned)[:, None], sizes[:, ::-1], sizes)
    low, high = reading.corners, reading.corners + sizes
    gap = np.maximum(low[:, None] - high[None], low[None] - high[:, None]).max(axis=2)
    assert gap[~np.eye(16, dtype=bool)].min() > -1e-5
    extent = high.max(axis=0) - low.min(axis=0)
    assert 6.0 < extent.max() < 14.0 and low.min() > -1e-6


def test_the_reward_model_chooses(run: Path, tmp_path: Path) -> None:
    """This one likes small dies; that of many samples is smaller than that of one."""
    sides = []
    for samples in (0, 100):
        done = apply(run, EXAMPLE, "--out", tmp_path / str(samples), "--samples", samples)
        assert done.exit_code == 0, done.output
        lines = (tmp_path / str(samples) / "tiny.pl").read_text().splitlines()[2:]
        sides.append(max(float(word) for line in lines for word in line.split()[1:3]))
    assert sides[1] < sides[0]


def test_same_chance_same_placement(run: Path, tmp_path: Path) -> None:
    for name, chance in (("a", 1), ("b", 1), ("c", 2)):
        assert apply(run, EXAMPLE, "--out", tmp_path / name, "--chance", chance, "--samples", 8).exit_code == 0
    one, again, other = ((tmp_path / name / "tiny.pl").read_text() for name in "abc")
    assert one == again != other


def test_nothing_is_overwritten_unasked(run: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny.pl").write_text("mine")
    done = apply(run, EXAMPLE, "--out", tmp_path)
    assert done.exit_code == 2 and "would be overwritten; choose another --out, or give --force" in done.stderr
    assert (tmp_path / "tiny.pl").read_text() == "mine"
    assert apply(run, EXAMPLE, "--out", tmp_path, "--force", "--samples", 1).exit_code == 0
    assert (tmp_path / "tiny.pl").read_text() != "mine"


def test_warns_of_what_it_was_not_trained_for(run: Path, tmp_path: Path) -> None:
    large = generate(np.random.default_rng(0), blocks=40, nets=120, count=1)[0]
    write_bookshelf(large, tmp_path / "large.blocks")
    (tmp_path / "large.power.csv").unlink()
    done = apply(run, tmp_path / "large.blocks", "--out", tmp_path, "--samples", 2)
    assert done.exit_code == 0, done.output
    assert "trained on 16 blocks; at 40 neither" in done.stdout
    assert "power and tags are made up" in done.stdout
    assert "trained on" not in apply(run, EXAMPLE, "--out", tmp_path, "--samples", 2).stdout


def test_what_is_wrong_is_one_sentence(run: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.json").write_text('{"domain": "poems"}')
    broken = tmp_path / "broken.blocks"
    broken.write_text(
        "NumHardRectilinearBlocks : 1\nNumTerminals : 0\na hardrectilinear 4 (0, 0) (0, x) (2, 3) (2, 0)\n"
    )
    for arguments, said in (
        ((tmp_path / "none", EXAMPLE), "there is no run in"),
        ((other, EXAMPLE), "is a run of 'poems', whose inputs cannot be read"),
        ((run, EXAMPLE, "--seed", 9), "has no seed 9"),
        ((run, tmp_path / "none.blocks"), "none.blocks: cannot be read"),
        ((run, EXAMPLE.with_suffix(".nets")), "is neither .blocks nor .yal"),
        ((run, broken), "broken.blocks:3:"),
        ((run, EXAMPLE, "--out", EXAMPLE / "in-a-file"), "choose another --out"),
    ):
        done = apply(*arguments)
        assert done.exit_code == 2, done.output
        assert said in done.stderr and len(done.stderr.strip().splitlines()) == 1
