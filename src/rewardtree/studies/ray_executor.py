"""Runs the jobs of a study on a Ray cluster: beyond one machine, and through the loss of workers and whole nodes.

One Ray task a job, one CPU a task. A job's results go to the jobs that need them by reference, from machine to machine.
Every node has the same rewardtree installed and sees the folders that jobs write to under the same absolute paths.

Where a worker or a node is lost, Ray starts its jobs again elsewhere, and those finished ones whose results were lost
with it and are still needed: hence idempotent jobs, see `executors`. Arrays that come through Ray are read-only, as all
processes of a machine share them; jobs copy what they change.
"""

import logging
import os
import socket
import time
from collections.abc import Sequence
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from rewardtree.errors import ConfigError, RunError
from rewardtree.studies.executors import Done, Executor, Job, Work, by_urgency, do, in_order, limit_threads

RETRIES = 3
"""How often Ray starts a job again whose worker or node was lost; it counts ends for memory apart."""
GRACE = 10.0
"""Seconds that jobs given up have to end, and a cluster to answer."""


def ray_cluster(address: str | None) -> Executor:
    """Run jobs on a Ray cluster.

    This process joins it when jobs are first run, and stays; where it has joined one already, that one is used.

    Args:
        address: the cluster's `host:port`, or `auto` for one that runs on this machine; None for the one that
            `RAY_ADDRESS` names or that runs here, else a fresh one of this machine's CPUs that ends with this process.

    Returns:
        An executor. It raises a `ConfigError` where there is no cluster at the address, and a `RunError` where Ray
        has given a job up.
    """

    def on_ray(jobs: Sequence[Job], done: Done) -> dict[str, Any]:
        ordered = list(by_urgency(jobs))
        join(address)
        task = ray.remote(num_cpus=1, max_retries=RETRIES)(do_on_ray)
        keys: dict[Any, str] = {}
        references: dict[str, Any] = {}
        results: dict[str, Any] = {}
        try:
            for job in ordered:
                found = [references[need] for need in job.needs]
                references[job.key] = task.options(name=job.key).remote(job.work, job.arguments, job.needs, *found)
                keys[references[job.key]] = job.key
            waiting = list(keys)
            while waiting:
                finished, waiting = ray.wait(waiting)
                for reference in finished:
                    key = keys[reference]
                    results[key] = result_of(key, reference)
                    done(key, results[key])
        except BaseException:
            give_up([reference for key, reference in references.items() if key not in results])
            raise
        return in_order(jobs, results)

    return on_ray


def join(address: str | None) -> None:
    """Make this process part of a cluster, unless it is already.

    Raises:
        ConfigError: where there is none at the address.
    """
    if ray.is_initialized():
        return
    try:
        knock(address or os.environ.get("RAY_ADDRESS") or "auto")
        ray.init(address=address, include_dashboard=False, log_to_driver=False, logging_level=logging.WARNING)
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        raise ConfigError(
            f"cannot join a Ray cluster at {address or 'this machine'} ({error}); "
            "start one with 'ray start --head', or give the address of one that runs"
        ) from error


def knock(address: str) -> None:
    """See that somebody listens at a `host:port`, as Ray itself tries for minutes.

    Raises:
        OSError: where nobody does.
        ValueError: where it is no `host:port`, nor a word or URL, which are for Ray to judge.
    """
    if address in ("auto", "local") or "://" in address:
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError("an address is host:port")
    socket.create_connection((host.strip("[]"), int(port)), timeout=GRACE).close()


def do_on_ray(work: Work, arguments: Any, needs: tuple[str, ...], *found: Any) -> Any:
    """Do a job as a Ray task, with one thread for its numerics; Ray has put results in the place of references."""
    limit_threads()
    return do(work, arguments, dict(zip(needs, found, strict=True)))


def result_of(key: str, reference: Any) -> Any:
    """A finished job's result.

    Raises:
        Exception: what the job raised, as it was.
        RunError: where Ray has given the job up.
    """
    try:
        return ray.get(reference)
    except RayTaskError as error:
        cause: BaseException = error
        while isinstance(cause, RayTaskError) and isinstance(cause.cause, BaseException) and cause.cause is not cause:
            cause = cause.cause
        raise cause from error
    except RayError as error:
        raise RunError(
            f"Ray has given up {key} ({type(error).__name__}), as its workers or nodes were lost again and again; "
            "go on with the same command when the cluster is whole"
        ) from error


def give_up(references: Sequence[Any]) -> None:
    """End jobs that run and those that wait; asked again and again, as Ray overhears it while a job is on its way."""
    left = list(references)
    until = time.monotonic() + GRACE
    while left and time.monotonic() < until:
        for reference in left:
            ray.cancel(reference, force=True)
        _, left = ray.wait(left, num_returns=len(left), timeout=0.5)
