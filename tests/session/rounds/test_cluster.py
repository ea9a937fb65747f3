"""A cluster gives what this process gives, bit for bit, stops when asked, and survives workers."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from safetensors.numpy import load_file
from scenes import answer_round, project_config, write_data
from typer.testing import CliRunner

from napari_al.cli import app
from napari_al.errors import InputError
from napari_al.learning.segmenter import build_segmenter
from napari_al.learning.weights import save_segmenter
from napari_al.session.rounds import cluster as cluster_module
from napari_al.session.rounds.cluster import Cluster, connected, using
from napari_al.session.rounds.job_function import JobProgress, Stopped
from napari_al.session.session import Session
from napari_al.simulate.oracle import Oracle
from napari_al.simulate.runner import run_config
from napari_al.tools.predict import predict_images
from napari_al.tools.trained_model import open_model

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TIMES = ("train_s", "score_s", "select_s")
JOBS = "job_functions"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Of two workers in threads of this process."""
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address=":0"
        ) as local,
        using(local.scheduler_address) as address,
    ):
        yield address


def rows_of(project: Path) -> list[dict[str, str]]:
    with (project / "rounds.csv").open() as file:
        return [{k: v for k, v in row.items() if k not in TIMES} for row in csv.DictReader(file)]


def made(project: Path) -> dict[str, Any]:
    """Models, scores, tables, predictions and targets."""
    found: dict[str, Any] = {}
    for folder in (project / "models", project / "cache"):
        for path in folder.rglob("*.*"):
            name = path.relative_to(project).as_posix()
            if path.suffix == ".safetensors":  # the order of its metadata is not fixed
                arrays = load_file(path)
                found[name] = {key: (a.dtype, a.shape, a.tobytes()) for key, a in arrays.items()}
            elif path.suffix == ".png":
                found[name] = path.read_bytes()
    return found


@pytest.mark.parametrize(
    ("method", "segmenter"), [("adaptive-superpixel", "filters"), ("multi-class", "compact")]
)
def test_a_run_on_a_cluster_equals_one_here(
    data_path: Path, tmp_path: Path, address: str, method: str, segmenter: str
) -> None:
    training = {"segmenter": segmenter, "steps": 3, "batch_size": 2, "crop_px": 32, "threads": 1}
    config = project_config(data_path, method, training=training)
    stages: dict[str, set[str]] = {}
    for name, where in (("here", ""), ("there", address)):
        with Session.create(tmp_path / name, config) as session:
            data = session.data
        seen = stages.setdefault(name, set())
        run_config(
            data,
            config,
            2,
            tmp_path / name,
            cluster=where,
            on_progress=lambda _, step, seen=seen: seen.add(step.stage),
        )
    assert rows_of(tmp_path / "here") == rows_of(tmp_path / "there")
    assert made(tmp_path / "here") == made(tmp_path / "there")
    assert stages["here"] == stages["there"]


def test_what_workers_report_and_raise_arrives(address: str) -> None:
    cluster, steps = connected(address), list[JobProgress]()
    assert cluster.run(f"{JOBS}:count", {"n": 3}, steps.append, lambda: False) == {
        "n": 3,
        "stopped": False,
    }
    assert (steps[0].done, steps[-1]) == (1, JobProgress("training", 3, 3, 1 / 3, 0.5))
    with pytest.raises(InputError, match="the images are too small"):
        cluster.run(f"{JOBS}:fail", {"error": "input"}, steps.append, lambda: False)
    tasks = [{"n": n} for n in range(1, 40)]
    done = {args["n"]: result() for args, result in cluster.results(f"{JOBS}:count", tasks)}
    assert done == {n: {"n": n, "stopped": False} for n in range(1, 40)}


def test_what_is_stopped_ends_on_the_worker(address: str, tmp_path: Path) -> None:
    ended = tmp_path / "ended"
    began = time.monotonic()
    with pytest.raises(Stopped):
        connected(address).run(
            f"{JOBS}:until_cancelled",
            {"ended": str(ended)},
            lambda _: None,
            lambda: time.monotonic() > began + 0.5,
        )
    assert ended.exists(), "it is waited for, since it writes files"


def most_at_a_time(address: str, folder: Path, device: str) -> int:
    tasks = [{"folder": str(folder), "device": device} for _ in range(6)]
    return max(r() for _, r in connected(address).results(f"{JOBS}:at_a_time", tasks))


def test_a_gpu_is_used_by_one_at_a_time(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert most_at_a_time(address, tmp_path, "cpu") == 2
    assert most_at_a_time(address, tmp_path, "auto") == 1


def test_where_workers_have_gpus_models_run_on_these(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    how = {"processes": False, "threads_per_worker": 2, "dashboard_address": ":0"}
    with (
        distributed.LocalCluster(n_workers=1, resources={"GPU": 1}, **how) as local,
        using(local.scheduler_address) as address,
    ):
        assert most_at_a_time(address, tmp_path, "cpu") == 2
        assert most_at_a_time(address, tmp_path, "auto") == 1


def test_a_cluster_that_cannot_be_used_says_why_in_a_line(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match=r"does not see .*nowhere: projects and images lie on"):
        connected(address).check_sees(tmp_path / "nowhere")
    monkeypatch.setattr(cluster_module, "CONNECT_S", 1)
    for wrong in ("tcp://127.0.0.1:9", "local:0", "nonsense://x"):
        with pytest.raises(InputError, match="no Dask scheduler answers"):
            connected(wrong)
    with monkeypatch.context() as patched:
        patched.setattr(cluster_module, "_version", partial(next, iter(["1", "2", "2"])))
        with pytest.raises(InputError, match="install the same everywhere"):
            Cluster(address)
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match=r"needs Dask: pip install 'napari-al\[dask\]'"):
        connected("tcp://another:8786")


def test_images_are_predicted_on_a_cluster_as_here(
    data_path: Path, tmp_path: Path, address: str
) -> None:
    statistics = {"mean": [120.0] * 3, "std": [70.0] * 3}
    segmenter = build_segmenter("compact", 3, 4, seed=0, **statistics)
    save_segmenter(tmp_path / "m.safetensors", segmenter, {})
    model, images = open_model(tmp_path / "m.safetensors"), [data_path / "train" / "images"]
    for name, where in (("here", ""), ("there", address)):
        shown: list[tuple[int, int]] = []
        predict_images(
            model,
            images,
            tmp_path / name,
            cluster=where,
            on_progress=lambda *how_far, shown=shown: shown.append(how_far),
        )
        assert shown[-1] == (5, 5)
    files = sorted((tmp_path / "here").glob("*.png"))
    assert len(files) == 5
    for file in files:
        assert file.read_bytes() == (tmp_path / "there" / file.name).read_bytes()


def test_a_sweep_runs_on_processes_of_its_own(data_path: Path, tmp_path: Path) -> None:
    (tmp_path / "sweep.toml").write_text(
        f"""rounds = 1
seeds = [0]
methods = ["random"]
supervised = false
data = {{a = {{path = {str(data_path)!r}}}}}
settings = {{budget = 4, training = {{steps = 2, batch_size = 2, segmenter = "filters"}}}}
"""
    )
    out = tmp_path / "out"
    command = ["sweep", str(tmp_path / "sweep.toml"), "--out", str(out), "--cluster", "local:1"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert "[1/1] a-random-seed0: done, model mIoU" in result.output
    assert (out / "report" / "report.html").exists()


def dask(*args: str, cwd: Path) -> subprocess.Popen[bytes]:
    """A scheduler or a worker in a process of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    with (cwd / f"{args[0]}.log").open("ab") as log:
        command = [sys.executable, "-m", "distributed.cli.dask_" + args[0], *args[1:]]
        return subprocess.Popen(command, cwd=cwd, env=environment, stdout=log, stderr=log)


def test_a_killed_worker_s_blocks_are_done_again_and_a_window_s_child_uses_the_cluster(
    tmp_path: Path,
) -> None:
    data = write_data(tmp_path / "data", n_train=12, n_val=1)
    config = project_config(data, "classbal")
    ours, theirs = tmp_path / "here", tmp_path / "there"
    file = tmp_path / "scheduler.json"
    processes = [dask("scheduler", "--port", "0", "--no-dashboard", "--scheduler-file", str(file),
                      "--host", "127.0.0.1", cwd=tmp_path)]  # fmt: skip
    worker = ("worker", "--scheduler-file", str(file), "--no-dashboard", "--nthreads", "1")
    processes += [dask(*worker, "--no-nanny", cwd=tmp_path) for _ in range(2)]
    try:
        while not file.exists() and all(process.poll() is None for process in processes):
            time.sleep(0.05)
        scheduler = json.loads(file.read_text())["address"]
        with using(scheduler), Session.create(theirs, config, cluster=scheduler) as session:
            while connected(scheduler).n_slots < 2:
                time.sleep(0.05)

            def kill_one(step: JobProgress) -> None:
                if step.done == 4 and processes[1].poll() is None:
                    processes[1].kill()

            session.prepare(kill_one)
            assert processes[1].wait() != 0
            oracle = Oracle(session.data)
            while (query := session.query()) is not None:
                session.submit(oracle.answer(query))
            stages: list[str] = []
            session.events.job_progress.connect(lambda step: stages.append(step.stage))
            session.start_training()  # a child process hands it out
            session.wait_for_job()
            assert list(dict.fromkeys(stages)) == ["targets", "training", "validation", "scoring"]
    finally:
        for process in processes[::-1]:
            process.kill()
            process.wait()
    with Session.create(ours, config) as session:
        answer_round(session, Oracle(session.data))
        session.train()
        session.prepare()
    assert rows_of(ours) == rows_of(theirs)
    assert made(ours) == made(theirs)
