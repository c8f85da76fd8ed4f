"""What runs the jobs of a study, which wait for each other: in this process, in processes of this machine, or on Ray.

All executors keep one contract, `Executor`, so that a study's figures do not depend on where its jobs ran:

    def fit(labels: int, found: dict[str, Any]) -> int: ...
    def measure(seed: int, found: dict[str, Any]) -> int:
        return seed + found["leaf"]

    jobs = [
        Job(key="leaf", work=fit, arguments=300),
        Job(key="root", work=measure, arguments=0, needs=("leaf",)),
    ]
    results = executor_named("processes", workers=2, address=None)(jobs, lambda key, result: print(key))

Jobs are *idempotent*: a job may be started again after its worker was ended, so it keeps what is finished on disk and
gives the same result whenever it is run with the same arguments and findings. It leaves its findings as they are; on
Ray their arrays are read-only, so it copies what it goes on training.
"""

import heapq
import os
import pickle
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from multiprocessing import get_context, parent_process
from typing import Any

from rewardtree.errors import ConfigError, RewardtreeError, RunError

EXECUTORS = ("processes", "ray", "serial")
STARTS = 2
"""How often a job is started in a pool before an end from outside is taken to be its own doing."""

Work = Callable[[Any, dict[str, Any]], Any]
Done = Callable[[str, Any], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """A piece of a study that one worker does at one go.

    Attributes:
        key: its name, unique among the jobs it is run with.
        work: a function of a module that workers can import; called as `work(arguments, found)`, where `found` holds
            the results of `needs` by their keys. It is idempotent and leaves `found` as it is.
        arguments: anything that can be pickled; paths in it are absolute.
        needs: keys of the jobs whose results it gets.
    """

    key: str
    work: Work
    arguments: Any
    needs: tuple[str, ...] = ()


Executor = Callable[[Sequence[Job], Done], dict[str, Any]]
"""Runs all jobs, each after all that it needs, and returns their results by key, in the order of the jobs.

Calls `done(key, result)` in the calling process as each job finishes. Where a job or `done` raises, jobs that wait are
given up, workers are ended, and the first exception is raised as it was: a `RewardtreeError` keeps its one sentence.

Raises:
    ConfigError: where a key is used twice, a need is none of the jobs, or jobs need each other in a circle.
    RunError: where workers were ended from outside again and again.
"""


def executor_named(name: str, workers: int, address: str | None) -> Executor:
    """Find an executor.

    Args:
        name: one of `EXECUTORS`.
        workers: how many processes; heeded by `processes` alone.
        address: of a Ray cluster; heeded by `ray` alone, see `ray_executor.ray_cluster`.

    Raises:
        ConfigError: where there is none of that name, or what it needs is not installed.
    """
    if name == "serial":
        return serial
    if name == "processes":
        return pool(workers)
    if name != "ray":
        raise ConfigError(f"there is no executor {name!r}; choose one of {', '.join(EXECUTORS)}")
    try:
        from rewardtree.studies.ray_executor import ray_cluster
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "ray":
            raise
        raise ConfigError("the executor 'ray' needs Ray; install it with: pip install 'rewardtree[ray]'") from None
    return ray_cluster(address)


def serial(jobs: Sequence[Job], done: Done) -> dict[str, Any]:
    """Run jobs one after another in this process; an `Executor`."""
    results: dict[str, Any] = {}
    for job in by_urgency(jobs):
        results[job.key] = job.work(job.arguments, findings(job, results))
        done(job.key, results[job.key])
    return in_order(jobs, results)


def pool(workers: int) -> Executor:
    """Run jobs in processes of this machine, each with one thread for its numerics.

    Of the jobs whose needs are there, those that hold up the longest chain are started first. Where a process is ended
    from outside, for instance for memory, the jobs that then ran are started once more in fresh processes.

    Args:
        workers: how many processes, 1 or more.

    Raises:
        ConfigError: where there are fewer workers than 1.
    """
    if workers < 1:
        raise ConfigError(f"{workers} workers can do no jobs; give 1 or more")

    def in_processes(jobs: Sequence[Job], done: Done) -> dict[str, Any]:
        results: dict[str, Any] = {}
        starts: Counter[str] = Counter()
        left = list(by_urgency(jobs))
        while left:
            size = min(workers, len(left))
            try:
                with processes(size) as executor:
                    work_off(executor, size, left, results, starts, done)
            except BrokenProcessPool as error:
                suspects = [job.key for job in left if job.key not in results and starts[job.key] >= STARTS]
                if suspects:
                    raise RunError(
                        f"a worker was ended from outside twice, perhaps for memory, at {' or '.join(suspects)}; "
                        "go on with the same command, with fewer workers if memory is short"
                    ) from error
            left = [job for job in left if job.key not in results]
        return in_order(jobs, results)

    return in_processes


def by_urgency(jobs: Sequence[Job]) -> Iterator[Job]:
    """Give jobs in an order that can be worked off: each after its needs, those that hold up the longest chain first.

    Raises:
        ConfigError: where a key is used twice, a need is none of the jobs, or jobs need each other in a circle.
    """
    by_key = {job.key: job for job in jobs}
    if len(by_key) < len(jobs):
        twice = next(key for key, times in Counter(job.key for job in jobs).items() if times > 1)
        raise ConfigError(f"two jobs have the key {twice!r}; give every job a key of its own")
    for job in jobs:
        for need in job.needs:
            if need not in by_key:
                raise ConfigError(f"the job {job.key!r} needs {need!r}, which is none of the jobs; add that job")
    sorter = TopologicalSorter({job.key: job.needs for job in jobs})
    try:
        sorter.prepare()
    except CycleError as error:
        circle = " after ".join(repr(key) for key in error.args[1][::-1])
        raise ConfigError(f"jobs wait for each other in a circle, {circle}; take one of these needs away") from None
    chain = chains(by_key)
    place = {key: position for position, key in enumerate(by_key)}
    ready: list[tuple[int, int, str]] = []
    while sorter.is_active():
        for key in sorter.get_ready():
            heapq.heappush(ready, (-chain[key], place[key], key))
        key = heapq.heappop(ready)[-1]
        yield by_key[key]
        sorter.done(key)


def chains(jobs: Mapping[str, Job]) -> dict[str, int]:
    """How many jobs the longest chain has that begins with each job, itself counted."""
    chain = dict.fromkeys(jobs, 1)
    needed_last = reversed(list(TopologicalSorter({key: job.needs for key, job in jobs.items()}).static_order()))
    for key in needed_last:
        for need in jobs[key].needs:
            chain[need] = max(chain[need], chain[key] + 1)
    return chain


def findings(job: Job, results: Mapping[str, Any]) -> dict[str, Any]:
    """The results that a job gets."""
    return {need: results[need] for need in job.needs}


def in_order(jobs: Iterable[Job], results: Mapping[str, Any]) -> dict[str, Any]:
    """Results in the order of the jobs, whichever finished first."""
    return {job.key: results[job.key] for job in jobs}


def do(work: Work, arguments: Any, found: dict[str, Any]) -> Any:
    """Do a job in a worker; what it raises can be pickled, and so reaches the caller.

    Raises:
        Exception: what the work raises, or, where that cannot be pickled, its text: as a `RunError` where it is one
            for the user to mend.
    """
    try:
        return work(arguments, found)
    except Exception as error:
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:
            if isinstance(error, RewardtreeError):
                raise RunError(str(error)) from None
            raise RuntimeError(f"{type(error).__name__}: {error}") from error
        raise


def do_pickled(call: bytes) -> Any:
    """Do a job given as a pickle: where a worker cannot read it, that is its answer and not its end."""
    work, arguments, found = pickle.loads(call)
    return do(work, arguments, found)


def work_off(
    executor: ProcessPoolExecutor,
    workers: int,
    jobs: Sequence[Job],
    results: dict[str, Any],
    starts: Counter[str],
    done: Done,
) -> None:
    """Run jobs in a pool's processes, no more at once than it has, so that the most urgent is always the next.

    Args:
        executor: the pool.
        workers: how many processes it has.
        jobs: those without results, the most urgent first.
        results: by key; is added to.
        starts: how often each job was started; is added to.
        done: told of every result.

    Raises:
        BrokenProcessPool: where a process was ended from outside.
    """
    waiting = {job.key: job for job in jobs}
    running: dict[Future[Any], str] = {}
    while waiting or running:
        ready = [job for job in waiting.values() if all(need in results for need in job.needs)]
        for job in ready[: workers - len(running)]:
            call = pickle.dumps((job.work, job.arguments, findings(job, results)))
            running[begun(executor, call)] = job.key
            starts[job.key] += 1
            del waiting[job.key]
        finished, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in sorted(finished, key=lambda future: future.exception() is not None):
            key = running.pop(future)
            results[key] = future.result()
            done(key, results[key])


def begun(executor: ProcessPoolExecutor, call: bytes) -> Future[Any]:
    """Hand a pickled job to a pool.

    Raises:
        BrokenProcessPool: where a process was ended from outside, also just as the pool was beginning another, whose
            pipes it then finds closed; such an error has no number, as those of the operating system have.
    """
    try:
        return executor.submit(do_pickled, call)
    except OSError as error:
        if error.errno is not None:
            raise
        raise BrokenProcessPool("a process was ended as another was begun") from error


@contextmanager
def processes(workers: int) -> Iterator[ProcessPoolExecutor]:
    """A pool of fresh processes, ended at once where an exception, Ctrl-C too, leaves the block."""
    executor = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=one_thread)
    try:
        yield executor
    except BaseException:
        for process in list((executor._processes or {}).values()):
            process.terminate()
        raise
    finally:
        executor.shutdown(cancel_futures=True)


def one_thread() -> None:
    """Prepare a worker.

    It gets one thread for its numerics, as two on two busy cores are many times slower, and no life after its parent's,
    which may be killed at any moment.
    """
    limit_threads()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=end_with_parent, daemon=True).start()


def limit_threads() -> None:
    """Give this process one thread for its numerics, whether torch is imported already or later."""
    os.environ["OMP_NUM_THREADS"] = "1"
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


def end_with_parent() -> None:
    """End this process as soon as the one that started it has ended."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
