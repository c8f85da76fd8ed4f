"""Training by an engine that is a process of its own: its files, its scorer, its end, and what it leaves.

Everything of the engine's lies in the folder `engine` of the new model's: configuration, prompts, `log.txt` and
checkpoints, which are removed once the model is there. The same call after any end goes on from the last checkpoint, or
gives what is there already; the scorer's address and token are new each time.
"""

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rewardtree.errors import LanguageError, RunError
from rewardtree.language import scorer as scoring
from rewardtree.language.encoding import Encoder
from rewardtree.language.installed import quietly, require
from rewardtree.language.references import WEIGHT_FILES, ModelRef, described, folder_of
from rewardtree.language.scorer import Sample, Score
from rewardtree.language.served import serving
from rewardtree.policies.training import Job, Scorer, Texts, Training

WORK, JOB, LOG, DONE = "engine", "job.json", "log.txt", "done"
ADDRESS, HOOK = "scorer.json", "hook.py"
CHECKPOINTS, MODEL, MERGED = "checkpoints", "model", "merged"
GRACE = 20.0
"""Seconds that an engine has to end in when it is told to."""
LOG_TAIL = 4000
"""Characters of its log's end, in which the reason for an engine's end is looked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Apart:
    """An engine that is a process of its own.

    Attributes:
        name: as `Training.engine`.
        write: writes its files and gives the words behind Python's name.
        model: finds the model that it has written, as a folder, or None.
    """

    name: str
    write: Callable[[Job, Encoder], Sequence[str]]
    model: Callable[[Job], Path | None]


def fit(engine: Apart, ref: ModelRef, inputs: Texts, scorer: Scorer | None, training: Training) -> ModelRef:
    """Train a policy by an engine elsewhere and take its model over.

    Raises:
        ConfigError: where it is not said how to start it.
        LanguageError: where it cannot be started or fails; its checkpoints are kept.
        RunError: where the folder holds another training.
    """
    encoder = Encoder(model=described(ref), style=training.style)
    lengths = [len(ids) for ids in encoder.prompts(inputs.prompts)]
    job = Job(ref=ref, texts=inputs, training=training, work=training.folder / WORK, lengths=lengths)
    found = ModelRef(name=str(training.folder), version=f"{ref.version}/{training.method}")
    _begin(job)
    if (job.work / DONE).exists():
        return found
    words = [*job.launch.command, "-m", *engine.write(job, encoder), *job.launch.settings]
    with _scoring(job, scorer, encoder):
        _run(words, job)
    model = engine.model(job)
    if model is None or not _whole(model):
        raise LanguageError(f"{engine.name} ended without a model; see {job.work / LOG}, mend what it names and give "
                            "the same command")  # fmt: skip
    _take(model, job)
    return found


def _begin(job: Job) -> None:
    """Say which training the folder holds; go on with one that is there.

    Raises:
        RunError: where another was.
    """
    path, told = job.work / JOB, job.told()
    if path.exists():
        if json.loads(path.read_text()) != told:
            raise RunError(f"{job.training.folder} holds another training; choose another folder, or remove it")
        return
    if _whole(job.training.folder):
        raise RunError(f"{job.training.folder} holds a model; choose another folder, or remove it")
    try:
        job.work.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(told, indent=1))
    except OSError as error:
        raise RunError(f"cannot write {job.work}: {error.strerror}; free some space or choose another folder"
                       ) from error  # fmt: skip


def _whole(folder: Path) -> bool:
    """Whether a folder holds a model, or adapters of one."""
    weights = any(path for pattern in WEIGHT_FILES for path in folder.glob(pattern))
    return weights and any((folder / name).is_file() for name in ("config.json", "adapter_config.json"))


@contextlib.contextmanager
def _scoring(job: Job, scorer: Scorer | None, encoder: Encoder) -> Iterator[None]:
    """Serve the scorer, and leave its address, which nobody else may read, and the hook beside the engine's files."""
    if scorer is None:
        yield
        return
    token, path = secrets.token_urlsafe(), job.work / ADDRESS
    shutil.copyfile(Path(__file__).with_name(HOOK), job.work / HOOK)
    path.unlink(missing_ok=True)
    with serving(of_ids(scorer, encoder), token, host=job.launch.host) as url:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump({"url": url, "token": token}, file)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def of_ids(scorer: Scorer, encoder: Encoder) -> scoring.Scorer:
    """A scorer of samples from one of rows: outputs are scored by their ids, prompts must be read as we read them."""

    def score(samples: Sequence[Sample]) -> list[Score]:
        if not samples:
            return []
        prompts = encoder.prompts([one.prompt for one in samples])
        for one, ids in zip(samples, prompts, strict=True):
            if one.prompt_ids is not None and list(one.prompt_ids) != ids:
                raise LanguageError(f"the engine reads the prompt {one.prompt[:60]!r} as other tokens than the reward "
                                    "model does; use the engine native or trl with this model")  # fmt: skip
        outputs = [encoder.outputs([one.output], finished=one.finish == "stop")[0] if one.ids is None else one.ids
                   for one in samples]  # fmt: skip
        return [Score(value=float(value)) for value in scorer(encoder.joined(prompts, outputs))]

    return score


def _run(words: Sequence[str], job: Job) -> None:
    """Run the engine to its end.

    Raises:
        LanguageError: where it cannot be started or fails.
    """
    log, name = job.work / LOG, job.training.engine
    with log.open("ab") as file:
        try:
            process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=file, stderr=file, cwd=job.work,
                                       start_new_session=True)  # fmt: skip
        except OSError as error:
            raise LanguageError(f"cannot start {words[0]} ({error.strerror}); give as launch.command what starts "
                                f"Python in the environment of {name}") from error  # fmt: skip
        try:
            code = process.wait()
        except BaseException:  # an interrupt too ends all that it started
            _end(process)
            raise
    if code:
        reason = f"signal {-code}" if code < 0 else f"status {code}"
        raise LanguageError(f"{name} ended with {reason}{_said(log)}; mend that, by {log}, and give the same command: "
                            "it goes on from its last checkpoint")  # fmt: skip


def _end(process: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _said(log: Path) -> str:
    """The last line of a log that is no indented one, in brackets."""
    lines = log.read_text(errors="replace")[-LOG_TAIL:].splitlines()
    told = [line.strip() for line in lines if line.strip() and not line[0].isspace()]
    return f" ({told[-1][:300]})" if told else ""


def _take(model: Path, job: Job) -> None:
    """Put the model where it belongs, adapters multiplied out, say that it is there, and remove the checkpoints."""
    if (model / "adapter_config.json").is_file():
        model = _merged(model, job)
    for path in model.iterdir():
        if path.is_file():
            shutil.copyfile(path, job.training.folder / path.name)
    (job.work / DONE).touch()
    for name in (CHECKPOINTS, MODEL, MERGED):
        shutil.rmtree(job.work / name, ignore_errors=True)


def _merged(adapters: Path, job: Job) -> Path:
    """A whole model of the one that was trained and its adapters."""
    transformers, peft = require("transformers"), require("peft")
    folder, before = job.work / MERGED, folder_of(job.ref)
    with quietly():
        net: Any = transformers.AutoModelForCausalLM.from_pretrained(before, dtype="auto")
        peft.PeftModel.from_pretrained(net, adapters).merge_and_unload().save_pretrained(folder)
        transformers.AutoTokenizer.from_pretrained(before).save_pretrained(folder)
    return folder
