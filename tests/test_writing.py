"""Files that are there as a whole or not at all."""

from __future__ import annotations

import errno
import os
import signal
import stat
from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_al.errors import InputError
from napari_al.formats.images import write_png
from napari_al.writing import WriteError, is_left_over, new_file, remove_left_overs, write_atomic

if TYPE_CHECKING:
    from pathlib import Path


def test_write_atomic_keeps_the_old_file_when_the_disk_is_full(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 250)  # as long as names get
    write_atomic(path, b"old")
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(WriteError, match="make room"):
            write_atomic(path, b"n" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == b"old"
    write_atomic(path, b"new", durable=False)
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_write_atomic_is_never_seen_half(tmp_path: Path) -> None:
    """Kill writers; whoever reads sees one of the contents, whole."""
    path = tmp_path / "file"
    contents = {bytes([value]) * 300_000 for value in b"ab"}
    for _ in range(5):
        receiving, sending = os.pipe()
        pid = os.fork()
        if pid == 0:
            while True:
                for content in contents:
                    write_atomic(path, content)
                    os.write(sending, b".")
        os.read(receiving, 3)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(receiving)
        os.close(sending)
        assert path.read_bytes() in contents


def test_whoever_may_read_the_project_may_read_its_models(tmp_path: Path) -> None:
    """A temporary file of the standard library is its owner's alone, and stays so when renamed."""
    from napari_al.learning.segmenter import build_segmenter
    from napari_al.learning.weights import save_segmenter

    save_segmenter(
        tmp_path / "model",
        build_segmenter("compact", 1, 2, mean=[0], std=[1], seed=0),
        {},
    )
    (tmp_path / "usual").touch()
    assert mode(tmp_path / "model") == mode(tmp_path / "usual")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_pictures_may_have_names_as_long_as_names_get(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 251 + ".png")
    write_png(path, np.zeros((2, 3), np.uint8))
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("name", "message"),
    [("file/a", "a file where a folder"), ("x" * 256, "shorter"), ("folder", "is a directory")],
)
def test_what_is_in_the_way_is_told(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(WriteError, match=f"(?i){message}"):
        write_atomic(tmp_path / name, b"")
    assert {path.name for path in tmp_path.iterdir()} == {"file", "folder"}


@pytest.mark.parametrize("error", [KeyboardInterrupt(), InputError(""), OSError(errno.EIO, "bad")])
def test_what_goes_wrong_in_between_leaves_the_old_file(
    tmp_path: Path, error: BaseException
) -> None:
    def write() -> None:
        with new_file(tmp_path / "file") as part:
            part.write_text("new")
            raise error

    (tmp_path / "file").write_text("old")
    with pytest.raises(WriteError if isinstance(error, OSError) else type(error)):
        write()
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_only_what_was_left_half_written_is_removed(tmp_path: Path) -> None:
    with new_file(tmp_path / "file") as part:
        part.touch()
        assert is_left_over(part)
        killed = part.name
    others = {"file", ".hidden.tmp", "a.tmp", ".abc.tmp"}
    for name in (killed, *others):
        (tmp_path / name).touch()
    remove_left_overs(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == others
