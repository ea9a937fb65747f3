"""One program at a time writes to a project: a lock of the operating system on a file.

It ends with the program that holds it, so there are no stale locks. Not the package filelock: that
empties the file when it opens it, so that a program that is refused could not name the holder.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from typing import TYPE_CHECKING, Final

from napari_al.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

_LOCKED_BYTE: Final = 2**30
"""Where Windows locks: far behind the text, which others must be able to read."""


class LockedError(InputError):
    """A project cannot be written to from here; it may be looked at."""


class FolderLock:
    """An exclusive lock on a file; held until ``release`` or until the program ends.

    Raises
    ------
    LockedError
        If another program (or another part of this one) holds it, or if the folder cannot be
        written or has no locks.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._file: int | None = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise LockedError(
                f"{path.parent} cannot be written ({error.strerror}); open the project for reading "
                "only, or copy it to a folder of yours"
            ) from error
        try:
            _lock(self._file)
        except (BlockingIOError, PermissionError) as error:
            holder = _holder(self._file)
            self.release()
            raise LockedError(
                f"{path.parent} is open in {holder}; close it there, or open it for reading only"
            ) from error
        except OSError as error:
            self.release()
            raise LockedError(
                f"{path.parent} lies on a file system without locks ({error.strerror}); keep "
                "projects on a local disk"
            ) from error
        holder = json.dumps({"pid": os.getpid(), "host": socket.gethostname()})
        os.ftruncate(self._file, 0)
        os.write(self._file, holder.encode())

    def release(self) -> None:
        """Give it back; may be called again."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


if sys.platform == "win32":
    import msvcrt

    def _lock(file: int) -> None:
        os.lseek(file, _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        os.lseek(file, 0, os.SEEK_SET)

else:
    import fcntl

    def _lock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _holder(file: int) -> str:
    """Describe the process named in the lock file."""
    try:
        os.lseek(file, 0, os.SEEK_SET)
        noted = json.loads(os.read(file, 4096))
        pid, host = int(noted["pid"]), str(noted["host"])[:100]
    except (OSError, ValueError, TypeError, KeyError):
        return "another program"
    if host != socket.gethostname():
        return f"another program (process {pid} on {host})"
    return "this program already" if pid == os.getpid() else f"another program (process {pid})"
