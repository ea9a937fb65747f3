"""Pictures made off the window's thread, and kept while they may be needed again."""

from __future__ import annotations

from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_al.core.geometry.adjacency import borders
from napari_al.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_al.session.session import Session

PictureKind = Literal["image", "borders", "prediction", "heatmap", "answers", "targets"]
KINDS: tuple[PictureKind, ...] = (
    "image", "answers", "targets", "prediction", "heatmap", "borders",
)  # fmt: skip
"""From the bottom up."""

MAX_BYTES = 400_000_000


@dataclass(frozen=True, slots=True)
class Key:
    """Which picture of which image; a new ``stamp`` makes older ones outdated."""

    image: str
    kind: PictureKind
    stamp: tuple[int, int] = (0, 0)


def make_picture(session: Session, key: Key) -> NDArray[Any] | None:
    """Make a picture: (H, W) or, of images in colour, (H, W, 3) uint8. None: there is none yet."""
    match key.kind:
        case "image":
            return displayed(session.data.image(key.image))
        case "borders":
            return borders(session.asked_map(key.image))
        case "heatmap":
            return session.score_map(key.image)
        case "prediction":
            return session.prediction(key.image)
        case "answers":
            return session.answers_map(key.image)
        case "targets":
            return session.targets(key.image)


def displayed(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Return (H, W, C) pixels of any type as they are shown: (H, W) or (H, W, 3) uint8.

    8-bit pixels stay as they are; others are stretched so that all but the extreme 0.2 % of them
    fit. Of more than three channels the first three are shown, of two the first.
    """
    n_channels = 3 if pixels.shape[2] >= 3 else 1
    shown = pixels[..., :n_channels]
    if shown.dtype != np.uint8:
        finite = np.nan_to_num(shown.astype(np.float32), posinf=0, neginf=0)
        low, high = np.percentile(finite, (0.1, 99.9))
        shown = np.clip((finite - low) * (255 / max(high - low, 1e-12)), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(shown if n_channels == 3 else shown[..., 0])


class PictureStore:
    """Makes pictures of a session in threads; keeps the ones used last.

    Parameters
    ----------
    session : Session
    dispatch : callable
        Runs a function on the window's thread.
    on_ready : callable
        Called there with the key of each picture that has become ready, or with the key and the
        error where it could not be made.
    """

    def __init__(
        self,
        session: Session,
        dispatch: Callable[[Callable[[], None]], None],
        on_ready: Callable[[Key, str | None], None],
    ) -> None:
        self._session, self._dispatch, self._on_ready = session, dispatch, on_ready
        self._pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="pictures")
        self._kept: OrderedDict[Key, NDArray[Any] | None] = OrderedDict()
        self._newest: dict[tuple[str, PictureKind], Key] = {}
        self._under_way: set[Key] = set()
        self._n_bytes = 0

    def get(self, key: Key) -> NDArray[Any] | None:
        """Return a picture that is ready, else None."""
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    def is_ready(self, key: Key) -> bool:
        """Whether a picture has been made (``get`` gives None for one there is none of)."""
        return key in self._kept

    def request(self, key: Key) -> None:
        """Have a picture made unless it is ready or under way."""
        if key not in self._kept and key not in self._under_way:
            self._under_way.add(key)
            future = self._pool.submit(make_picture, self._session, key)
            future.add_done_callback(lambda done: self._dispatch(lambda: self._keep(key, done)))

    def close(self) -> None:
        """Drop everything; what is under way ends unheard."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._kept.clear()
        self._under_way.clear()

    def _keep(self, key: Key, done: Future[NDArray[Any] | None]) -> None:
        if key not in self._under_way or done.cancelled():
            return
        self._under_way.discard(key)
        error = done.exception()
        if error is not None and not isinstance(error, InputError | OSError):
            raise error
        outdated = self._newest.get((key.image, key.kind), key)
        if outdated.stamp > key.stamp:
            return
        self._drop(outdated)
        self._newest[key.image, key.kind] = key
        self._kept[key] = None if error is not None else done.result()
        self._n_bytes += _n_bytes(self._kept[key])
        while self._n_bytes > MAX_BYTES and len(self._kept) > 1:
            self._drop(next(iter(self._kept)))
        self._on_ready(key, None if error is None else str(error))

    def _drop(self, key: Key) -> None:
        self._n_bytes -= _n_bytes(self._kept.pop(key, None))


def _n_bytes(picture: NDArray[Any] | None) -> int:
    return 0 if picture is None else picture.nbytes
