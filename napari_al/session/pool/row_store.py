"""Columns of a pool's regions while they come in, image by image: on disk, so that any number fits.

Files without names in the cache's folder, read as memory maps; they are gone when the store is
closed and nobody has the maps any more.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING, Any, Self

import numpy as np

from napari_al.core.acquisition import BLOCK_ROWS
from napari_al.writing import cannot_write

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray


class RowStore:
    """Columns, of which each image has a part; a column has a dtype and a shape of its rows.

    Parameters
    ----------
    folder : Path
        Where there is room; made where it is missing.

    Attributes
    ----------
    images : list of str
        In the order in which they came.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.images: list[str] = []
        self._files: dict[str, IO[bytes]] = {}
        self._kinds: dict[str, tuple[np.dtype[Any], tuple[int, ...]]] = {}
        self._ends: dict[str, list[int]] = {}

    def __len__(self) -> int:
        return len(self.images)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        for file in self._files.values():
            file.close()

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(self._files)

    def append(self, image: str, columns: Mapping[str, NDArray[Any]]) -> None:
        """Add an image's part of each column; all images have the same columns.

        Raises
        ------
        WriteError
            The disk is full, or the folder cannot be written.
        """
        try:
            for name, values in columns.items():
                self._append(name, values)
        except OSError as error:
            raise cannot_write(self._folder, error) from error
        self.images.append(image)

    def column(self, name: str) -> NDArray[Any]:
        """Return a column of all images; mapped from its file, not to be written to."""
        dtype, shape = self._kinds[name]
        n_rows = self._ends[name][-1]
        if not n_rows:
            return np.empty((0, *shape), dtype)
        self._files[name].flush()
        return np.memmap(self._files[name], dtype, "r", shape=(n_rows, *shape))

    def lengths(self, name: str) -> NDArray[np.int64]:
        """Return how many rows of a column each image has."""
        return np.diff(self._ends[name], prepend=0)

    def in_order(self, images: Iterable[str]) -> RowStore:
        """Return a store of those of the images that it has, in their order."""
        number = {image: i for i, image in enumerate(self.images)}
        mapped = {name: self.column(name) for name in self._files}
        with ExitStack() as failed:
            ordered = failed.enter_context(RowStore(self._folder))
            for image in images:
                if image in number:
                    place = number[image]
                    parts = {
                        name: values[self._start(name, place) : self._ends[name][place]]
                        for name, values in mapped.items()
                    }
                    ordered.append(image, parts)
            failed.pop_all()
        return ordered

    def new_column(self, dtype: type[np.generic], like: str) -> NDArray[Any]:
        """Return an array on disk to write to, with a 0 for each row of a column.

        Raises
        ------
        WriteError
            The disk is full: it is filled now, since there is no error when a map is written to.
        """
        n_rows = self._ends[like][-1]
        if not n_rows:
            return np.zeros(0, dtype)
        zeros = np.zeros(BLOCK_ROWS, dtype)
        try:
            with self._new_file() as file:
                for start in range(0, n_rows, BLOCK_ROWS):
                    file.write(zeros[: n_rows - start].data)
                file.flush()
                return np.memmap(file, dtype, "r+", shape=(n_rows,))
        except OSError as error:
            raise cannot_write(self._folder, error) from error

    def _start(self, name: str, place: int) -> int:
        return self._ends[name][place - 1] if place else 0

    def _append(self, name: str, values: NDArray[Any]) -> None:
        if name not in self._files:
            self._files[name] = self._new_file()
            self._kinds[name] = (values.dtype, values.shape[1:])
            self._ends[name] = []
        ends = self._ends[name]
        self._files[name].write(np.ascontiguousarray(values, self._kinds[name][0]).data)
        ends.append((ends[-1] if ends else 0) + len(values))

    def _new_file(self) -> IO[bytes]:
        self._folder.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryFile(dir=self._folder)
