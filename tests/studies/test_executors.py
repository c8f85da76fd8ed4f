"""A study's jobs run in order, give the same results wherever they run, and end cleanly."""

import os
import signal
import subprocess
import sys
import time
import types
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest

from rewardtree.errors import ConfigError, RunError
from rewardtree.studies.executors import Executor, Job, begun, by_urgency, executor_named, pool, serial
from studies import jobs_for_tests as work

TESTS = Path(__file__).parents[1]
STUDY = """
import sys
from pathlib import Path
from rewardtree.studies.executors import Job, pool
from studies import jobs_for_tests as work
if __name__ == "__main__":
    try:
        long = Job(key="long", work=work.say_process, arguments=Path(sys.argv[1]))
        idle = Job(key="idle", work=work.divide, arguments=1)
        pool(2)([long, idle], lambda key, result: Path(sys.argv[1], key).touch())
    except KeyboardInterrupt:
        sys.exit(77)
"""


def ignore(key: str, result: Any) -> None:
    """A study that is told of results and does nothing."""


def job(key: str, *needs: str) -> Job:
    return Job(key=key, work=work.mix, arguments=0, needs=needs)


def test_a_job_comes_after_its_needs_and_the_longest_chain_first() -> None:
    jobs = [job("short"), job("c", "b"), job("b", "a"), job("a"), job("end", "c", "short"), job("next", "short")]
    assert [j.key for j in by_urgency(jobs)] == ["a", "b", "short", "c", "end", "next"]


@pytest.mark.parametrize(
    ("jobs", "problem"),
    [
        pytest.param([job("a"), job("b"), job("a")], "two jobs have the key 'a'", id="twice"),
        pytest.param([job("a", "lost")], "'a' needs 'lost', which is none of the jobs", id="missing"),
        pytest.param([job("a", "a")], "in a circle, 'a' after 'a'", id="itself"),
        pytest.param(
            [job("a", "b"), job("b", "c"), job("c", "a")], "in a circle, 'a' after 'b' after 'c'", id="circle"
        ),
    ],
)
@pytest.mark.parametrize("executor", [serial, pool(1)], ids=["serial", "pool"])
def test_jobs_that_cannot_be_ordered_are_refused(executor: Executor, jobs: list[Job], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        executor(jobs, ignore)


@pytest.mark.parametrize("executor", [serial, pool(1)], ids=["serial", "pool"])
def test_no_jobs(executor: Executor) -> None:
    assert executor([], ignore) == {}


def test_serial_tells_of_each_result_as_it_comes() -> None:
    told: dict[str, Any] = {}
    results = serial(work.diamond(), told.__setitem__)
    assert list(told) == ["top", "left", "right", "bottom"]
    assert list(results) == ["bottom", "left", "right", "top"]
    assert all(told[key] is results[key] for key in results)
    assert results["bottom"]["seed"] == 4 + len("right") + len("left")


def test_pool_finds_what_serial_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    told: list[str] = []

    def done(key: str, result: Any) -> None:
        told.append(key)

    jobs = [*work.diamond(), Job(key="threads", work=work.threads, arguments=None)]
    results = pool(2)(jobs, done)
    assert results.pop("threads") == ("1", 1)
    assert work.same(results, serial(work.diamond(), ignore))
    told.remove("threads")
    assert told[0] == "top" and told[-1] == "bottom" and sorted(told) == sorted(results)


def test_pool_starts_a_job_as_soon_as_its_needs_are_there(tmp_path: Path) -> None:
    """`second` does not wait for `other`, which was ready with `first` and waits for `second`."""
    jobs = [
        Job(key="other", work=work.mix_when_told, arguments=(0, "other", tmp_path)),
        Job(key="first", work=work.process, arguments=None),
        Job(key="second", work=work.touch, arguments=tmp_path / "go", needs=("first",)),
    ]
    told: list[str] = []
    results = pool(2)(jobs, lambda key, result: told.append(key))
    assert told == ["first", "second", "other"]
    assert results["first"] != os.getpid()


# Python 3.11's own pool may count its children while one is being started; by then all jobs know of the end.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_worker_killed_from_outside_costs_nothing(tmp_path: Path) -> None:
    jobs = work.diamond(left=work.mix_killed_once, left_arguments=(2, tmp_path / "killed"))
    told: list[str] = []
    results = pool(2)(jobs, lambda key, result: told.append(key))
    assert (tmp_path / "killed").exists()
    assert work.same(results, serial(work.diamond(), ignore))
    assert sorted(told) == sorted(results), "each result is told of once"


@pytest.mark.parametrize(
    ("raised", "passed_on"), [(OSError("handle is closed"), BrokenProcessPool), (OSError(12, "no memory"), OSError)]
)
def test_a_worker_that_ends_as_another_begins_breaks_the_pool(raised: OSError, passed_on: type[Exception]) -> None:
    """The library's own pool raises `OSError` where its pipes are closed while it begins a process."""

    class Closed(ProcessPoolExecutor):
        def submit(self, *call: Any, **more: Any) -> Any:
            raise raised

    with Closed(1) as executor, pytest.raises(passed_on):
        begun(executor, b"")


def test_a_job_whose_worker_is_always_killed_is_given_up() -> None:
    jobs = [job("first"), Job(key="deadly", work=work.always_killed, arguments=None, needs=("first",))]
    told: list[str] = []
    with pytest.raises(RunError, match="at deadly; go on with the same command, with fewer workers"):
        pool(1)(jobs, lambda key, result: told.append(key))
    assert told == ["first"]


@pytest.mark.parametrize(
    ("failing", "kind", "text"),
    [
        pytest.param(work.refuse, ConfigError, "there are no labels; give --labels 1 or more", id="mendable"),
        pytest.param(work.refuse_awkwardly, RunError, "tree.yaml:3: no root; name one", id="unpicklable"),
        pytest.param(work.divide, ZeroDivisionError, "division by zero", id="bug"),
        pytest.param(lambda arguments, found: None, Exception, "lambda", id="not-importable"),
    ],
)
def test_the_first_failure_is_raised_and_the_rest_given_up(
    failing: Any, kind: type[Exception], text: str, tmp_path: Path
) -> None:
    jobs = [
        Job(key="failing", work=failing, arguments=0),
        Job(key="after", work=work.touch, arguments=tmp_path / "after", needs=("failing",)),
        Job(key="long", work=work.say_process, arguments=tmp_path),
    ]
    begun = time.monotonic()
    with pytest.raises(kind, match=text) as raised:
        pool(2)(jobs, ignore)
    assert kind is Exception or type(raised.value) is kind
    assert time.monotonic() - begun < work.PATIENCE
    assert not (tmp_path / "after").exists()
    if (tmp_path / "process").exists():
        assert work.gone(int((tmp_path / "process").read_text()))


def test_a_job_that_workers_cannot_import_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("only_here")
    exec("def nothing(arguments, found): return None", module.__dict__)
    monkeypatch.setitem(sys.modules, "only_here", module)
    with pytest.raises(ModuleNotFoundError, match="only_here"):
        pool(1)([Job(key="a", work=module.nothing, arguments=None)], ignore)


def test_serial_raises_what_a_job_raises() -> None:
    with pytest.raises(ConfigError, match="there are no labels"):
        serial([Job(key="failing", work=work.refuse, arguments=None)], ignore)


def test_where_telling_fails_workers_are_ended(tmp_path: Path) -> None:
    def done(key: str, result: Any) -> None:
        work.await_file(tmp_path / "process")
        raise OSError("no space left")

    jobs = [Job(key="long", work=work.say_process, arguments=tmp_path), job("quick")]
    with pytest.raises(OSError, match="no space left"):
        pool(2)(jobs, done)
    assert work.gone(int((tmp_path / "process").read_text()))


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_workers_end_with_the_study(end: signal.Signals, tmp_path: Path) -> None:
    study = tmp_path / "study.py"
    study.write_text(STUDY)
    path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    with subprocess.Popen(
        [sys.executable, str(study), str(tmp_path)],
        env=os.environ | {"PYTHONPATH": path},
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as running:
        work.await_file(tmp_path / "process")
        work.await_file(tmp_path / "idle")
        worker = int((tmp_path / "process").read_text())
        if end is signal.SIGINT:
            os.killpg(running.pid, end)  # as a terminal sends it: to the workers, too
            assert running.wait(20) == 77
            assert running.stderr is not None and running.stderr.read() == b"", "no traceback of a worker"
        else:
            running.send_signal(end)
        assert work.eventually(lambda: work.gone(worker))


def test_executors_by_name() -> None:
    assert executor_named("serial", 1, None) is serial
    assert executor_named("processes", 1, None)([job("a")], ignore).keys() == {"a"}
    with pytest.raises(ConfigError, match="no executor 'slurm'; choose one of processes, ray, serial"):
        executor_named("slurm", 1, None)
    with pytest.raises(ConfigError, match="0 workers can do no jobs; give 1 or more"):
        executor_named("processes", 0, None)


def test_without_ray_the_way_to_get_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "rewardtree.studies.ray_executor", raising=False)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"install it with: pip install 'rewardtree\[ray\]'"):
        executor_named("ray", 1, None)
