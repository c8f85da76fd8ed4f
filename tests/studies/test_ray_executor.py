"""On a Ray cluster that loses workers and nodes, a study's jobs give what they give in one process."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rewardtree.errors import ConfigError, RunError
from rewardtree.studies.executors import Executor, Job, executor_named, serial
from studies import jobs_for_tests as work

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'rewardtree[ray]'")
from ray.cluster_utils import Cluster  # noqa: E402

TESTS = Path(__file__).parents[1]


def ignore(key: str, result: Any) -> None:
    """A study that is told of results and does nothing."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A head with one CPU, in which this process is; tests add nodes to it. Workers can import the jobs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")]))
        patch.setenv("OMP_NUM_THREADS", "2")
        started = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        yield started
        ray.shutdown()
        started.shutdown()


@pytest.fixture
def executor(cluster: Cluster) -> Executor:
    return executor_named("ray", 1, cluster.address)


def test_a_killed_worker_costs_nothing(executor: Executor, tmp_path: Path) -> None:
    jobs = work.diamond(left=work.mix_killed_once, left_arguments=(2, tmp_path / "killed"))
    told: list[str] = []
    results = executor([*jobs, Job(key="threads", work=work.threads, arguments=None)], lambda key, _: told.append(key))
    assert (tmp_path / "killed").exists()
    assert results.pop("threads") == ("1", 1)
    assert work.same(results, serial(work.diamond(), ignore))
    told.remove("threads")
    assert told[0] == "top" and told[-1] == "bottom" and sorted(told) == sorted(results)
    assert not results["bottom"]["numbers"].flags.writeable, "documented: jobs copy what they change"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("failing", "kind", "text"),
    [
        pytest.param(work.refuse, ConfigError, "there are no labels; give --labels 1 or more", id="mendable"),
        pytest.param(work.refuse_awkwardly, RunError, "tree.yaml:3: no root; name one", id="unpicklable"),
        pytest.param(work.divide, ZeroDivisionError, "division by zero", id="bug"),
    ],
)
def test_the_first_failure_is_raised_and_the_rest_given_up(
    executor: Executor, failing: Any, kind: type[Exception], text: str, tmp_path: Path
) -> None:
    jobs = [
        Job(key="failing", work=failing, arguments=0),
        Job(key="after", work=work.touch, arguments=tmp_path / "after", needs=("failing",)),
        Job(key="long", work=work.say_process, arguments=tmp_path),
    ]
    begun = time.monotonic()
    with pytest.raises(kind, match=text) as raised:
        executor(jobs, ignore)
    assert type(raised.value) is kind
    assert executor([Job(key="next", work=work.divide, arguments=2)], ignore) == {"next": 0.5}
    assert time.monotonic() - begun < work.PATIENCE, "the CPU was free again at once"
    assert not (tmp_path / "after").exists()


@pytest.mark.slow
def test_where_telling_fails_workers_are_ended(executor: Executor, tmp_path: Path) -> None:
    def done(key: str, result: Any) -> None:
        work.await_file(tmp_path / "process")
        raise OSError("no space left")

    jobs = [
        Job(key="quick", work=work.divide, arguments=2),
        Job(key="long", work=work.say_process, arguments=tmp_path),
    ]
    with pytest.raises(OSError, match="no space left"):
        executor(jobs, done)
    assert work.eventually(lambda: work.gone(int((tmp_path / "process").read_text())))


@pytest.mark.slow
def test_a_job_whose_worker_is_always_killed_is_given_up(executor: Executor) -> None:
    with pytest.raises(RunError, match=r"Ray has given up deadly .WorkerCrashedError.*; go on with the same command"):
        executor([Job(key="deadly", work=work.always_killed, arguments=None)], ignore)


@pytest.mark.slow
def test_a_lost_node_costs_nothing(executor: Executor, cluster: Cluster, tmp_path: Path) -> None:
    """Of the two jobs that run, one is on the node that goes; so may be the result that both need."""
    jobs = work.diamond(
        left=work.mix_when_told,
        left_arguments=(2, "left", tmp_path),
        right=work.mix_when_told,
        right_arguments=(3, "right", tmp_path),
    )
    node = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()

    def lose_node() -> None:
        for name in ("left", "right"):
            work.await_file(tmp_path / f"begun-{name}")
        cluster.remove_node(node, allow_graceful=False)
        (tmp_path / "go").touch()

    losing = threading.Thread(target=lose_node)
    losing.start()
    results = executor(jobs, ignore)
    losing.join()
    starts = [(tmp_path / f"begun-{name}").read_text() for name in ("left", "right")]
    assert "again" in "".join(starts), "a job was lost with the node"
    assert work.same(results, serial(work.diamond(), ignore))


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        pytest.param("127.0.0.1:1", "Connection refused", id="nobody"),
        pytest.param("head", "an address is host:port", id="no-port"),
        pytest.param("head:6379x", "an address is host:port", id="no-number"),
        pytest.param("ray://127.0.0.1:1", "", id="client"),
    ],
)
def test_no_cluster_at_the_address(address: str, problem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(ConfigError, match=f"cannot join a Ray cluster at {address} .*{problem}.*; start one with"):
        executor_named("ray", 1, address)([Job(key="a", work=work.mix, arguments=0)], ignore)
