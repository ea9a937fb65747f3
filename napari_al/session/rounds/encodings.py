"""Predictions for a project's images; maps of a frozen encoder are cached in ``cache/encodings``.

Encoder maps are computed once and stored in half precision; the files may be deleted at any time.
The oldest are deleted when all exceed ``training.encodings_gb``.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

from napari_al.writing import WriteError, write_atomic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    import torch
    from numpy.typing import NDArray
    from torch import Tensor

    from napari_al.core.geometry.in_place import InPlace
    from napari_al.formats.dataset import Split
    from napari_al.learning.segmenter import Segmenter
    from napari_al.session.rounds.job_context import JobContext

Result = TypeVar("Result")
_PART = ".maps.safetensors"
"""The end of their names; nothing else below the folder is touched."""


class Encodings:
    """``encodings(image)`` are its maps (D, h, w) from a frozen segmenter's encoder.

    Parameters
    ----------
    work : JobContext
        Whose images they are, and whose cache.
    segmenter : Segmenter
        With a frozen encoder. Another encoder or input normalisation has files of its own.
    """

    def __init__(self, work: JobContext, segmenter: Segmenter) -> None:
        from napari_al.learning.precision import network_to
        from napari_al.learning.weights import encoder_fingerprint

        network_to(segmenter, work.device)
        self._work, self._segmenter = work, segmenter
        self._kind = f"encodings/{encoder_fingerprint(segmenter)}"
        self._folder = work.snapshot.project.cache / "encodings"
        self._max_bytes = work.snapshot.config.training.encodings_gb * 10**9
        self._turn = threading.Lock()
        self._n_bytes: int | None = None

    def __call__(self, image: str, split: Split = "train") -> list[Tensor]:
        """Return an image's maps: float16 from the cache, or computed."""
        from napari_al.learning.in_place import of_block

        trunk, maps = self._segmenter.frozen, self.around(image, split)
        block = self._work.snapshot.data.block(image, split)
        if block is None or trunk is None:
            return maps
        return of_block(maps, trunk.strides, self._segmenter, block)

    def around(self, image: str, split: Split = "train") -> list[Tensor]:
        """Return the same; of a block of a picture, those of what is ``around`` it, too."""
        from napari_al.learning.in_place import around
        from napari_al.learning.inference import encode

        data = self._work.snapshot.data
        path = self._work.snapshot.project.cache_file(f"{self._kind}/{split}", image, _PART)
        block, shape = data.block(image, split), data.shape(image, split)
        if block is not None:
            rows, cols = around(self._segmenter, block)
            shape = (rows.stop - rows.start, cols.stop - cols.start)
        maps = self._read(path, shape)
        if maps is None:
            seen = data.image(image, split) if block is None else self._stoppable(block)
            encoded = encode(self._segmenter, seen, self._work.device)
            # same memory layout as maps read from the cache: another one rounds differently
            maps = [part.half().cpu().contiguous() for part in encoded]
            with suppress(WriteError):  # it can be computed again
                self._write(path, maps)
        return maps

    def _stoppable(self, block: InPlace) -> InPlace:
        """Have the work end between two squares of a block, which takes many seconds."""

        def read(rows: slice, cols: slice) -> NDArray[Any]:
            self._work.check()
            return block.read(rows, cols)

        return block._replace(read=read)

    def _read(self, path: Path, shape: tuple[int, int]) -> list[Tensor] | None:
        """Read a file; None where it is missing, damaged or of an image of another size."""
        import torch
        from safetensors import SafetensorError, safe_open

        trunk = self._segmenter.frozen
        expected = [] if trunk is None else trunk.map_sizes(*shape)
        try:
            with cast("Any", safe_open(str(path), framework="pt")) as file:
                maps = [file.get_tensor(str(index)) for index in range(len(expected))]
        except (OSError, SafetensorError):
            return None
        fits = [(*part.shape, part.dtype) for part in maps] == [
            (*size, torch.float16) for size in expected
        ]
        return maps if fits else None

    def _write(self, path: Path, maps: list[Tensor]) -> None:
        from safetensors.torch import save

        data = save({str(index): part for index, part in enumerate(maps)})
        with self._turn:
            if self._n_bytes is None or self._n_bytes + len(data) > self._max_bytes:
                self._n_bytes = self._make_room(len(data))
            write_atomic(path, data, durable=False)
            self._n_bytes += len(data)

    def _make_room(self, n_bytes: int) -> int:
        """Delete the oldest files until there is room; return the bytes that the others take."""
        files = []
        for path in self._folder.rglob(f"*{_PART}"):
            with suppress(OSError):  # deleted by another process
                status = path.stat()
                files.append((status.st_mtime_ns, status.st_size, path))
        total = sum(size for _, size, _ in files)
        # a tenth more than needed, so that the folder is not searched for every file
        target = self._max_bytes * (0.9 if total + n_bytes > self._max_bytes else 1) - n_bytes
        for _, size, path in sorted(files):
            if total <= target:
                break
            with suppress(OSError):
                path.unlink(missing_ok=True)
                total -= size
        return total


class Predictor:
    """A segmenter applied to the images of a job.

    Attributes
    ----------
    segmenter : Segmenter
    encodings : Encodings or None
        None unless its encoder is frozen.
    """

    def __init__(self, work: JobContext, segmenter: Segmenter) -> None:
        self._work, self.segmenter = work, segmenter
        self.encodings = Encodings(work, segmenter) if segmenter.frozen is not None else None

    def for_each(
        self, images: Iterable[str], do: Callable[[str], Result]
    ) -> Iterator[tuple[str, Callable[[], Result]]]:
        """Call a function with the predictions of each image (``JobContext.side_by_side``).

        A frozen segmenter's small networks gain more from several images at a time than from
        several threads; others, a GPU, and blocks of large pictures, which take much memory, do one
        image at a time.
        """
        has_blocks = self._work.snapshot.data.has_blocks
        if self.encodings is not None and self._work.device.type == "cpu" and not has_blocks:
            return self._work.side_by_side(images, do)
        return ((image, partial(do, image)) for image in self._work.turns(images))

    def probs(self, image: str, split: Split = "train") -> torch.Tensor:
        """(C, H, W) float32 class probabilities on the work's device."""
        return self.features(image, split)[0]

    def features(self, image: str, split: Split = "train") -> tuple[torch.Tensor, torch.Tensor]:
        """The same, and the features they come from (``inference.predict_features``)."""
        from napari_al.learning.inference import predict_encoded, predict_features

        data, device = self._work.snapshot.data, self._work.device
        if self.segmenter.training:
            # until it is trained again: going back and forth costs more than a prediction, and
            # would have images that are predicted side by side see dropout and noise
            self.segmenter.eval()
        if self.encodings is None:
            return predict_features(self.segmenter, data.in_place(image, split), device)
        place = data.block(image, split) or data.shape(image, split)
        return predict_encoded(self.segmenter, self.encodings.around(image, split), place, device)
