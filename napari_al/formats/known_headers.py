"""Headers of images that were read before, so that a folder of 100,000 opens in seconds.

A file is looked at again if its size or its time has changed; the record may be deleted.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from napari_al.formats.images import Header
from napari_al.formats.parts.rasters import is_zarr, raster_header
from napari_al.writing import write_atomic

if TYPE_CHECKING:
    from pathlib import Path

    from napari_al.formats.tiff import Pages

VERSION = 2
"""Of the record; another one is not used: headers say more, or something else."""
_DTYPES = ("uint8", "uint16", "float32")
_Known = tuple[int, int, str, Header]
"""Size in bytes, time in ns, how pages were read, and what was found."""


class KnownHeaders:
    """``headers(path, pages)`` is what ``raster_header`` returns; used in several threads.

    Folders of Zarr are read anew: their time does not say whether what is in them has changed.

    Parameters
    ----------
    folder : Path
        Of the images, which are known by their place below it.
    file : Path, optional
        A record of earlier headers, and where ``save`` puts it.
    """

    def __init__(self, folder: Path, file: Path | None = None) -> None:
        self._folder, self._file = str(folder), file
        self._known = {} if file is None else _read(file)
        self._n_read = 0

    def __call__(self, path: Path, pages: Pages) -> Header:
        """Return the header of an image.

        Raises
        ------
        InputError
            As of ``raster_header``.
        """
        name = str(path).removeprefix(self._folder)
        try:
            status = path.stat()
        except OSError:  # raster_header says what is wrong
            return raster_header(path, pages)
        if is_zarr(path):
            return raster_header(path, pages)
        key = status.st_size, status.st_mtime_ns, pages
        known = self._known.get(name)
        if known is not None and known[:3] == key:
            return known[3]
        header = raster_header(path, pages)
        self._known[name] = (*key, header)
        self._n_read += 1
        return header

    def save(self) -> None:
        """Write the record, if there is anything new.

        Raises
        ------
        WriteError
        """
        if self._file is not None and self._n_read:
            stored = {name: _stored(known) for name, known in self._known.items()}
            write_atomic(self._file, json.dumps(stored).encode(), durable=False)
            self._n_read = 0


def _stored(known: _Known) -> list[Any]:
    size, time_ns, pages, h = known
    picture = (h.height, h.width, h.n_channels, h.dtype, h.nodata, h.notes, h.planes)
    return [VERSION, size, time_ns, pages, *picture]


def _read(file: Path) -> dict[str, _Known]:
    """Read a record; nothing where it is missing or damaged."""
    known: dict[str, _Known] = {}
    try:
        for name, stored in json.loads(file.read_bytes()).items():
            version, size, time_ns, pages, *header = stored
            height, width, n_channels, dtype, nodata, notes, axes = header
            numbers = (size, time_ns, height, width, n_channels)
            if not all(type(number) is int for number in numbers) or dtype not in _DTYPES:
                raise ValueError
            if version != VERSION:
                raise ValueError
            planes = tuple((str(axis), int(length)) for axis, length in axes)
            header = Header(height, width, n_channels, dtype, nodata, tuple(notes), planes)
            known[name] = size, time_ns, pages, header
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return {}
    return known
