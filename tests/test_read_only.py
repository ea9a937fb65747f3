"""Projects in folders that cannot be written to, by the permissions of the file system."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from disks import permissions_hold, read_only
from scenes import project_config, write_data, write_run

if TYPE_CHECKING:
    from collections.abc import Iterator


# Starting Python with torch takes most of a command's time: one process does it once, and forks.
SERVER = """
import json, os, sys, traceback
import napari_al.cli, napari_al.learning.training, napari_al.simulate.runner
for line in sys.stdin:
    code, folder = json.loads(line)
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            for number, name in ((1, "stdout"), (2, "stderr")):
                os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
            os.chdir(folder)
            exec(code, {"__name__": "__main__"})
            status = 0
        except SystemExit as end:
            status = end.code or 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""
Python = Callable[[str], subprocess.CompletedProcess[str]]
CLI = "import sys; sys.argv = {arguments}; from napari_al.cli import main; main()"


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Python]:
    """Run Python code in a process of its own, as somebody for whom permissions hold."""
    if not hasattr(os, "geteuid"):
        pytest.skip("permissions are of another kind here")
    out = tmp_path_factory.mktemp("out")
    try:
        server = subprocess.Popen(
            [sys.executable, "-c", SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=out,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
            preexec_fn=permissions_hold,
        )
    except subprocess.SubprocessError:
        pytest.skip("root cannot give up its rights here")

    def run(code: str) -> subprocess.CompletedProcess[str]:
        assert server.stdin is not None
        assert server.stdout is not None
        print(json.dumps([code, str(Path.cwd())]), file=server.stdin, flush=True)
        status = int(server.stdout.readline())
        texts = ((out / name).read_text() for name in ("stdout", "stderr"))
        return subprocess.CompletedProcess(code, status, *texts)

    with server:
        locked = tmp_path_factory.mktemp("locked")
        with read_only(locked):
            if run(f"open({str(locked / 'file')!r}, 'w')").returncode == 0:
                pytest.skip("this file system knows no permissions")
        yield run


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder, a project of two rounds and its settings; not to be written to."""
    base = tmp_path_factory.mktemp("finished")
    write_run(base / "project", write_data(base / "data"), "classbal")
    changed = project_config(base / "data").model_dump(include={"budget", "regions", "training"})
    (base / "settings.json").write_text(json.dumps(changed))
    return base


@pytest.fixture
def base(finished: Path, tmp_path: Path) -> Path:
    shutil.copytree(finished / "project", tmp_path / "project")
    (tmp_path / "data").symlink_to(finished / "data")
    shutil.copy(finished / "settings.json", tmp_path)
    (tmp_path / "locked").mkdir()
    return tmp_path


@contextmanager
def untouched(folder: Path) -> Iterator[None]:
    """Find out whether anything in a folder is changed meanwhile."""
    before = {path: path.stat() for path in folder.rglob("*")}
    yield
    after = {path: path.stat() for path in folder.rglob("*")}
    assert after.keys() == before.keys()
    assert all(after[p].st_mtime_ns == before[p].st_mtime_ns for p in before if p.is_file())


GOING_ON = "simulate data --method classbal --config settings.json --rounds 3 --out project"


@pytest.mark.parametrize(
    ("part", "command", "says"),
    [
        ("project", GOING_ON, "project cannot be written (Permission denied); open"),
        ("project/annotations.sqlite", GOING_ON, "cannot be opened for writing"),
        ("project/models", GOING_ON, "models/round_03.safetensors could not be written"),
        ("project/cache", GOING_ON, "could not be written (Permission denied)"),
        ("locked", "report project --out locked", "could not be written (Permission denied)"),
        ("locked", "export project --out locked/labels", "failed: Permission denied"),
        ("locked", "export project --script locked/again.py", "Permission denied"),
        ("locked", "export-model project --out locked/model", "failed: Permission denied"),
        ("locked", "predict project data/val/images --out locked", "cannot be written (Permission"),
        ("locked", f"{GOING_ON}/../locked/new", "locked/new could not be made (Permission denied)"),
    ],
)
def test_what_cannot_be_written_is_told(
    base: Path, python: Python, monkeypatch: pytest.MonkeyPatch, part: str, command: str, says: str
) -> None:
    monkeypatch.chdir(base)
    with read_only(base / part), untouched(base / part):
        done = python(CLI.format(arguments=["napari-al", *command.split()]))
    assert done.returncode == 2, done.stderr
    assert says in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("command", "made"),
    [
        ("report project --out new", "new/report.html"),
        ("export project --out new", "new/classes.json"),
        ("export project --script again.py", "again.py"),
    ],
)
def test_a_project_is_read_into_another_folder(
    base: Path, python: Python, monkeypatch: pytest.MonkeyPatch, command: str, made: str
) -> None:
    monkeypatch.chdir(base)
    shutil.rmtree(base / "project" / "cache")
    with read_only(base / "project"), untouched(base / "project"):
        done = python(CLI.format(arguments=["napari-al", *command.split()]))
    assert done.returncode == 0, done.stderr
    assert (base / made).stat().st_size > 0


OPENING = """
import sys
from pathlib import Path
from napari_al import Session
from napari_al.errors import InputError
from napari_al.simulate.oracle import Oracle
path = Path("project")
try:
    Session.open(path).close()
except InputError as error:
    print(type(error).__name__, error)
with Session.open(path, read_only=True) as session:
    image = session.data.train[0]
    session.look_at(image)
    print(session.query() is not None, session.targets(image).shape, len(session.answers()))
    for change in (session.undo, session.train):
        try:
            change()
        except InputError as error:
            print(error)
"""


@pytest.mark.parametrize("part", ["project", "project/annotations.sqlite", "project/project.lock"])
def test_a_project_is_looked_at(
    base: Path, python: Python, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    monkeypatch.chdir(base)
    with read_only(base / part), untouched(base / part):
        done = python(OPENING)
    refused, looked_at, *changes = done.stdout.splitlines() or [done.stderr]
    assert refused.startswith("LockedError"), "a window looks at its rounds instead"
    assert looked_at == "True (48, 64) 12", done.stderr
    assert len(changes) == 2, done.stderr
    assert all("reading only" in line for line in changes)
