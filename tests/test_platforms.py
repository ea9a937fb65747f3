"""What other systems do otherwise, simulated here: Windows, macOS, disks that ignore case.

What a simulation cannot show (that Windows has these rules) is not tested anywhere.
"""

from __future__ import annotations

import errno
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path, PurePosixPath, PureWindowsPath
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from scenes import project_config, write_data

from napari_al import Session, writing
from napari_al.errors import InputError
from napari_al.session.log.log_file import uri_of
from napari_al.session.project import lock
from napari_al.session.rounds import job_process

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[1]

# ---- locks


class Msvcrt(ModuleType):
    """Locks of Windows: on bytes of a file, kept from others while its handle is open."""

    LK_NBLCK = 2

    def __init__(self) -> None:
        super().__init__("msvcrt")
        self.locked: dict[int, tuple[int, int]] = {}  # handle -> (file, byte)

    def locking(self, handle: int, mode: int, n_bytes: int) -> None:
        assert (mode, n_bytes) == (self.LK_NBLCK, 1)
        here = (os.fstat(handle).st_ino, os.lseek(handle, 0, os.SEEK_CUR))
        if here in self.locked.values():
            raise PermissionError(errno.EACCES, "Permission denied")
        self.locked[handle] = here


@pytest.fixture
def msvcrt(monkeypatch: pytest.MonkeyPatch) -> Msvcrt:
    made = Msvcrt()
    monkeypatch.setitem(sys.modules, "msvcrt", made)
    return made


@pytest.fixture
def lock_on_windows(msvcrt: Msvcrt, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module of the lock as Windows imports it."""
    spec = importlib.util.spec_from_file_location("lock_on_windows", str(lock.__file__))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "platform", "win32")
        spec.loader.exec_module(module)
    return module


def test_lock_of_windows_refuses_a_second_program_and_names_the_first(
    lock_on_windows: ModuleType, msvcrt: Msvcrt, tmp_path: Path
) -> None:
    path = tmp_path / "project.lock"
    first = lock_on_windows.FolderLock(path)
    with pytest.raises(lock_on_windows.LockedError, match="open in this program already"):
        lock_on_windows.FolderLock(path)
    holder = json.loads(path.read_bytes())
    assert holder["pid"] == os.getpid()
    (_, locked_byte), *_ = msvcrt.locked.values()
    assert locked_byte > path.stat().st_size  # what is locked cannot be read by others
    first.release()


# ---- replacing files


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[Path]]:
    """Have Windows refuse to replace a file so many times; returns the list of refusals."""
    monkeypatch.setattr(writing, "_ON_WINDOWS", True)
    monkeypatch.setattr(writing, "_WAITS_S", (0, 0, 0))
    replace, open_ = Path.replace, os.open

    def open_file(path: Any, flags: int, *mode: int) -> int:
        if os.path.isdir(path):
            raise PermissionError(errno.EACCES, "Permission denied")
        return open_(path, flags, *mode)

    def refuse(n_times: int) -> list[Path]:
        refusals: list[Path] = []

        def replace_file(self: Path, target: Path) -> Path:
            if len(refusals) < n_times:
                refusals.append(target)
                raise PermissionError(errno.EACCES, "Access is denied")
            return replace(self, target)

        monkeypatch.setattr(Path, "replace", replace_file)
        return refusals

    monkeypatch.setattr(os, "open", open_file)
    return refuse


def test_a_file_that_is_read_for_a_moment_is_replaced(
    busy: Callable[[int], list[Path]], tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    refusals = busy(2)
    writing.write_atomic(path, b"new")
    assert path.read_text() == "new"
    assert refusals == [path, path]


def test_a_file_that_stays_open_elsewhere_is_kept_and_named(
    busy: Callable[[int], list[Path]], tmp_path: Path
) -> None:
    path = tmp_path / "rounds.csv"
    path.write_text("old")
    busy(100)
    with pytest.raises(writing.WriteError, match=r"rounds\.csv .*close it where it is open"):
        writing.write_atomic(path, b"new")
    assert [p.read_text() for p in tmp_path.iterdir()] == ["old"]


# ---- the log


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        (PurePosixPath("/data/a b/log.sqlite"), "file:///data/a%20b/log.sqlite"),
        (PureWindowsPath("C:/data/log.sqlite"), "file:///C:/data/log.sqlite"),
        (PureWindowsPath(r"\\server\share\log.sqlite"), "file:////server/share/log.sqlite"),
    ],
)
def test_sqlite_is_given_no_server(path: PurePosixPath | PureWindowsPath, uri: str) -> None:
    assert uri_of(path) == uri


# ---- the child process


def test_child_of_windows_has_low_priority_and_no_console(monkeypatch: pytest.MonkeyPatch) -> None:
    flags = {
        "CREATE_NEW_PROCESS_GROUP": 0x200,
        "BELOW_NORMAL_PRIORITY_CLASS": 0x4000,
        "CREATE_NO_WINDOW": 0x8000000,
    }
    seen: list[dict[str, Any]] = []
    for name, value in flags.items():
        monkeypatch.setattr(subprocess, name, value, raising=False)
    monkeypatch.setattr(subprocess, "Popen", lambda command, **how: seen.append(how))
    monkeypatch.setattr(sys, "platform", "win32")
    with open(os.devnull, "wb") as output:
        job_process._spawn(2, output)
    monkeypatch.undo()
    assert seen[0]["creationflags"] == sum(flags.values())
    assert not seen[0].keys() & {"preexec_fn", "start_new_session", "pass_fds", "user", "umask"}


@pytest.mark.parametrize(
    ("status", "words", "out_of_memory"),
    [
        (0xC0000005, "crashed (status 0xc0000005)", False),
        (0xC000012D, "memory ran out", True),
        (1, "exit status 1", False),
    ],
)
def test_death_of_a_child_on_windows_is_told(status: int, words: str, out_of_memory: bool) -> None:
    result = job_process._died(status, "")
    assert (result.status, result.out_of_memory) == ("failed", out_of_memory)
    assert words in result.reason


CHILD_WITHOUT_POSIX = """
import os, sys
from napari_al.session.rounds import job_child
import job_functions
for name in ("nice", "fork", "getpgid", "getsid", "getuid", "geteuid", "sched_getaffinity"):
    if hasattr(os, name):
        delattr(os, name)
def no_select(*_):
    raise OSError("on Windows select takes sockets alone")
job_child.select.select = no_select
os.name = "nt"
job_child.main()
"""


def test_child_needs_nothing_that_windows_lacks() -> None:
    path = os.pathsep.join([str(ROOT / "tests/session/rounds"), *sys.path])
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD_WITHOUT_POSIX],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert child.stdin is not None
    assert child.stdout is not None
    request = {"function": "job_functions:count", "args": {"n": 2}, "imports": []}
    child.stdin.write(json.dumps(request).encode() + b"\n")
    child.stdin.flush()
    result = next(line for line in map(json.loads, child.stdout) if "result" in line)["result"]
    assert result["value"] == {"n": 2, "stopped": False}
    child.communicate(timeout=60)  # closes its input, at which it ends
    assert child.returncode is not None


def test_everything_imports_without_what_windows_lacks() -> None:
    code = """
import os, pkgutil, signal, sys
import numpy, pydantic, skimage.segmentation, torch, tqdm, typer
for name in ("fcntl", "grp", "posix", "pwd", "resource", "termios"):
    sys.modules[name] = None
for name in ("fork", "geteuid", "getpgid", "getsid", "getuid", "killpg", "nice", "setsid"):
    delattr(os, name)
del signal.SIGKILL, signal.SIGHUP
import napari_al
sys.modules["msvcrt"] = type(sys)("msvcrt")
sys.platform = "win32"
import napari_al.session.project.lock
sys.platform = "linux"
for found in pkgutil.walk_packages(napari_al.__path__, "napari_al."):
    if not found.name.startswith("napari_al.plugin"):
        __import__(found.name)
"""
    path = os.pathsep.join([str(ROOT / "tests"), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


# ---- names that differ in case only


def test_images_that_the_projects_disk_cannot_tell_apart_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_data(tmp_path / "data")
    images = data / "train" / "images"
    (images / "SCENE_0.png").write_bytes((images / "scene_0.png").read_bytes())
    if len(list(images.iterdir())) == 5:
        pytest.skip("this disk ignores case itself")
    config = project_config(data, "random")
    with Session.create(tmp_path / "tells", config):
        pass
    exists = Path.exists
    monkeypatch.setattr(
        Path, "exists", lambda path: exists(path) or exists(path.with_name(path.name.lower()))
    )
    with pytest.raises(InputError, match="does not tell the images 'SCENE_0' and 'scene_0' apart"):
        Session.create(tmp_path / "ignores", config)
