"""TRL as a process that accelerate starts, by a launch configuration: it goes on after a kill, and rewards ids."""

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from rewardtree.errors import LanguageError
from rewardtree.language.encoding import PAD, Encoder
from rewardtree.language.passes import Sampling
from rewardtree.language.references import LoRA, ModelRef, load
from rewardtree.policies.engines import fit
from rewardtree.policies.training import Launch, Texts, Training
from tiny_language import needs_lm, tiny_model

pytest.importorskip("trl", reason="needs the extra: pip install 'rewardtree[lm]'")
PROMPTS = ["the captain", "her sister", "why", "who walked to the park"]
CONFIGURATION = {"compute_environment": "LOCAL_MACHINE", "distributed_type": "NO", "num_processes": 1, "use_cpu": True,
                 "mixed_precision": "no", "num_machines": 1, "machine_rank": 0, "main_training_function": "main",
                 "debug": False, "rdzv_backend": "static", "same_network": True}  # fmt: skip


@pytest.mark.slow
def test_accelerate_starts_it_by_its_configuration_and_it_goes_on_after_a_kill(tmp_path: Path) -> None:
    needs_lm()
    ref = ModelRef(name=str(tiny_model(tmp_path / "before", spread=0.05)))
    before = load(ref)
    prompts, seen = Encoder(model=before).prompts(PROMPTS), []
    (tmp_path / "one.yaml").write_text(json.dumps(CONFIGURATION))
    command = (sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(tmp_path / "one.yaml"))
    launch = Launch(command=command, settings=("warmup_steps=0", "lr_scheduler_type=constant"), checkpoint=2)
    how = Training(folder=tmp_path / "new", engine="trl", steps=6, prompts=2, samples=2, rate=1e-2, launch=launch,
                   sampling=Sampling(tokens=5), adapters=LoRA(rank=2))  # fmt: skip
    killed = threading.Event()

    def scorer(rows: np.ndarray) -> np.ndarray:
        seen.extend([int(token) for token in row if token != PAD] for row in rows)
        done = [path for path in (tmp_path / "new/engine/checkpoints").glob("checkpoint-*/trainer_state.json")]
        if done and not killed.is_set():
            killed.set()
            threading.Thread(target=kill, args=(tmp_path / "new/engine/asked.json",)).start()
        return (rows % 2 == 0).mean(axis=1)

    with pytest.raises(LanguageError, match=r"trl ended with .*; mend that, by .*log\.txt, and give the same command"):
        fit(ref, Texts(prompts=PROMPTS), scorer, how)
    first = len(seen)
    found = fit(ref, Texts(prompts=PROMPTS), scorer, how)
    assert 0 < len(seen) - first <= 4 * 4, "it begins at the checkpoint after two steps of four outputs"
    for row in seen:
        prompt = next(p for p in prompts if row[: len(p)] == p)
        own = row[len(prompt) :]
        assert own[-1] == before.end or len(own) == 5, "an output that ended was scored without its end"
    after = load(found)
    pairs = zip(before.net.named_parameters(), after.net.parameters(), strict=True)
    moved = {name for (name, a), b in pairs if not bool((a == b).all())}
    assert moved and all("q_proj" in name or "v_proj" in name for name in moved), "adapters were multiplied out"


def kill(named: Path) -> None:
    """End the process that trains what this file says, as a power cut would."""
    time.sleep(0.1)
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if str(named).encode() in words and b"accelerate.commands.launch" not in words:
            os.kill(int(folder.name), signal.SIGKILL)
