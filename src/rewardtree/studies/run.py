"""A whole run: seeds in processes of their own, one folder, one results file, one report.

It can be gone on with after any end.
"""

import fcntl
import json
import shlex
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager, nullcontext
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from rewardtree.errors import RunError
from rewardtree.studies import labelled
from rewardtree.studies.config import RunConfig, parse
from rewardtree.studies.executors import one_thread
from rewardtree.studies.installed import find_domain
from rewardtree.studies.places import CONFIG, KEY, write_whole
from rewardtree.studies.report import write_report
from rewardtree.studies.results import results
from rewardtree.studies.seed import Facts, train_seed

RESULTS, REPORT, PROGRESS, LOCK = "results.json", "report.html", "progress.jsonl", ".lock"
Watch = Callable[[Mapping[str, Any]], None]
Beside = Callable[[Path], AbstractContextManager[None]]


def nothing(out: Path) -> AbstractContextManager[None]:
    """Nothing beside the run."""
    return nullcontext()


def start(config: RunConfig, out: Path, watch: Watch, beside: Beside = nothing) -> dict[str, Any]:
    """Begin a run in a folder, or go on with the same run there.

    Args:
        config: what to run.
        out: its folder; new, empty, or holding this very run.
        watch: called with every progress record as it comes.
        beside: entered with the folder while the run lasts, as for a page on which people label.

    Returns:
        What was written to `results.json`.

    Raises:
        RunError: where the folder belongs to another run, is in use, or cannot be written.
    """
    find_domain(config.domain)
    another = f"{out} holds another run; choose another --out, or go on with that one: rewardtree resume {out}"

    def same(kept: dict[str, Any]) -> bool:
        return same_figures(parse(kept)) == same_figures(config)

    with claimed(out, config.model_dump(mode="json"), "run", same, another), beside(out):
        return carry_out(config, out, watch)


@contextmanager
def claimed(
    out: Path, config: Mapping[str, Any], kind: str, same: Callable[[dict[str, Any]], bool], another: str
) -> Iterator[str]:
    """Hold a folder for what a configuration describes, new or gone on with; gives its key.

    Args:
        out: the folder; it is made where there is none.
        config: is kept there.
        kind: what the folder is for, in a word.
        same: whether a configuration that was kept there describes the same.
        another: what to say where it does not.

    Raises:
        RunError: where the folder belongs to something else, is in use, or cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"cannot make {out}: {error.strerror}; choose another --out") from error
    with locked(out):
        kept = out / CONFIG
        if kept.exists():
            if not same(read_json(kept)):
                raise RunError(another)
        elif any(p.name not in (LOCK, KEY) and p.suffix != ".partial" for p in out.iterdir()):
            raise RunError(f"{out} holds files that are no {kind}; choose an empty folder with --out")
        try:
            if not (out / KEY).exists():
                write_whole(out / KEY, uuid.uuid4().hex, private=True)
            write_whole(kept, json.dumps(config, indent=1), private=_names_store(config))  # with its password
        except OSError as error:
            raise RunError(f"cannot write {kept}: {error.strerror}; free some space or choose another --out") from error
        yield (out / KEY).read_text()


def resume(out: Path, watch: Watch, beside: Beside = nothing) -> dict[str, Any]:
    """Go on with a run; what is finished is read, not repeated.

    Args:
        out: its folder.
        watch: called with every progress record as it comes.
        beside: as for `start`.

    Raises:
        RunError: where there is no run, or it is in use.
    """
    if not (out / CONFIG).is_file():
        raise RunError(f"there is no run in {out}; start one with: rewardtree run chip --out {out}")
    with locked(out), beside(out):
        return carry_out(parse(read_json(out / CONFIG)), out, watch)


def carry_out(config: RunConfig, out: Path, watch: Watch) -> dict[str, Any]:
    """Train and measure every seed, then write results and report."""
    begun = time.time()
    seeds = range(config.seed, config.seed + config.seeds)
    places = {seed: out / f"seed-{seed}" for seed in seeds}
    for place in places.values():
        place.mkdir(exist_ok=True)
        (place / PROGRESS).unlink(missing_ok=True)
    facts: dict[int, Facts] = {}
    workers = min(config.workers, len(places))
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=one_thread) as pool:
        waiting = {
            pool.submit(one_seed, config, seed, place, (out / KEY).read_text()): seed for seed, place in places.items()
        }
        tails = {seed: 0 for seed in seeds}
        try:
            while len(facts) < len(waiting):
                for done in [f for f in waiting if f.done() and waiting[f] not in facts]:
                    facts[waiting[done]] = result_of(done, out)
                follow(places, tails, watch)
                time.sleep(0.2)
        except BaseException:
            for process in list((pool._processes or {}).values()):
                process.terminate()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    root = find_domain(config.domain).build(config.settings(config.seed)).root
    seconds = spent(out, time.time() - begun)
    found = results(config, root, [facts[s] for s in seeds], command=command_of(config), seconds=seconds)
    if config.asks_people:
        found["people"] = labelled.figures(out)
    write_whole(out / RESULTS, json.dumps(found, indent=1))
    write_report(found, out / REPORT)
    return found


def same_figures(config: RunConfig) -> dict[str, Any]:
    """What of a configuration decides a run's figures: not who computes, where an endpoint is, how an engine starts."""
    same = config.model_dump(exclude={"workers", "judge_answers"})
    for one in same["engines"].values():
        for name in ("command", "settings", "checkpoint", "host"):
            del one[name]
    decisive = ("model", "logprobs")
    same["endpoints"] = {name: {key: one[key] for key in decisive} for name, one in same["endpoints"].items()}
    return same


def result_of(done: "Future[Facts]", out: Path) -> Facts:
    """A seed's facts.

    Raises:
        RunError: where its process was ended from outside or could not write.
    """
    try:
        return done.result()
    except BrokenProcessPool as error:
        raise RunError(
            f"a worker was ended from outside, perhaps for memory; go on with: rewardtree resume {out}"
        ) from error
    except OSError as error:
        raise RunError(f"{error}; free some space or mend that, then go on with: rewardtree resume {out}") from error


def one_seed(config: RunConfig, seed: int, place: Path, run_key: str) -> Facts:
    """Run one seed in this process, writing progress as lines of JSON."""
    with locked(place, patience=10.0), (place / PROGRESS).open("a", buffering=1) as lines:
        return train_seed(
            find_domain(config.domain),
            config,
            seed,
            place,
            f"{run_key}/{seed}",
            lambda record: print(json.dumps(dict(record) | {"time": time.time()}), file=lines),
        )


def follow(places: Mapping[int, Path], tails: dict[int, int], watch: Watch) -> None:
    """Hand on the progress records that have come since the last call."""
    for seed, place in places.items():
        path = place / PROGRESS
        if not path.exists():
            continue
        with path.open() as lines:
            lines.seek(tails[seed])
            for line in iter(lines.readline, ""):
                if not line.endswith("\n"):
                    break
                tails[seed] += len(line.encode())
                watch(json.loads(line))


def spent(out: Path, seconds: float) -> float:
    """Seconds that a run took, finished attempts together."""
    kept = out / "seconds.json"
    total = seconds + (read_json(kept)["total"] if kept.exists() else 0.0)
    write_whole(kept, json.dumps({"total": total}))
    return float(total)


@contextmanager
def locked(out: Path, patience: float = 0.0) -> Iterator[None]:
    """Hold a folder for this process alone; the lock goes with the process, however it ends.

    Args:
        out: the folder.
        patience: seconds to wait for a process that is about to let go.

    Raises:
        RunError: where another process holds it, or it cannot be written in.
    """
    try:
        handle = (out / LOCK).open("a")
    except OSError as error:
        raise RunError(f"cannot write in {out}: {error.strerror}; choose another folder") from error
    with handle:
        until = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if time.monotonic() >= until:
                    raise RunError(f"another process is running in {out}; wait, or choose another --out") from error
                time.sleep(0.1)
        yield


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file of a run.

    Raises:
        RunError: where it is missing or broken.
    """
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise RunError(f"cannot read {path} ({error}); is this the folder of a run?") from error
    return found


def _names_store(config: Mapping[str, Any]) -> bool:
    return bool(config.get("store") or "store" in config.get("settings", {}))


def command_of(config: RunConfig) -> str:
    """The command line that makes this run again."""
    default = parse({"domain": config.domain, "preset": config.preset})
    words = ["rewardtree", "run", config.domain, "--preset", config.preset]
    for name, value in config.to_show().items():
        if name in ("seed", "seeds", "workers", "store", "schedule") and value != getattr(default, name):
            words += [f"--{name}", str(value)]
        elif name not in ("domain", "preset") and value != getattr(default, name):
            words += [word for pair in flat(name, value) for word in ("--set", "=".join(pair))]
    return shlex.join(words)


def flat(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """Names with dots and values, as `--set` takes them, of a value that may have names in it."""
    if isinstance(value, Mapping) and value and not any("." in str(key) for key in value):
        for key, inner in value.items():
            yield from flat(f"{name}.{key}", inner)
    else:
        yield name, "null" if value is None else str(value)
