"""Cache of a session's pictures (images and overlays), made in worker threads."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_al.core.geometry.adjacency import borders
from napari_al.plugin.widgets.background import Background

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_al.plugin.widgets.main_thread import Dispatch
    from napari_al.session.session import Session

PictureKind = Literal["image", "borders", "prediction", "heatmap", "answers", "targets"]
KINDS: tuple[PictureKind, ...] = (
    "image", "answers", "targets", "prediction", "heatmap", "borders",
)  # fmt: skip
"""From the bottom up."""

MAX_BYTES = 400_000_000
"""Of pictures kept."""


@dataclass(frozen=True, slots=True)
class Key:
    """Which picture of which image; a higher ``version`` replaces lower ones."""

    image: str
    kind: PictureKind
    version: tuple[int, int] = (0, 0)


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
    """Return (H, W, C) pixels of any type as displayed: (H, W) or (H, W, 3) uint8.

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
    """Makes pictures of a session in threads; keeps the most recently used ones (400 MB).

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
        dispatch: Dispatch,
        on_ready: Callable[[Key, str | None], None],
    ) -> None:
        self._session, self._on_ready = session, on_ready
        self._background = Background(dispatch)
        self._kept: OrderedDict[Key, NDArray[Any] | None] = OrderedDict()
        self._newest: dict[tuple[str, PictureKind], Key] = {}
        self._n_bytes = 0

    def get(self, key: Key) -> NDArray[Any] | None:
        """Return a picture that is ready, else None; marks it as used."""
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    def is_ready(self, key: Key) -> bool:
        """Whether a picture has been made; `get` may still return None: there is none yet."""
        return key in self._kept

    @property
    def is_busy(self) -> bool:
        """Whether any picture is being made."""
        return self._background.is_busy

    def request(self, key: Key) -> None:
        """Make a picture in the background unless it is ready or requested already."""
        if key not in self._kept and not self._background.is_pending(key):
            self._background.request(
                key,
                partial(make_picture, self._session, key),
                partial(self._keep, key),
                lambda error: self._keep(key, None, str(error)),
            )

    def close(self) -> None:
        """Drop everything, also what is being made."""
        self._background.close()
        self._kept.clear()

    def _keep(self, key: Key, picture: NDArray[Any] | None, error: str | None = None) -> None:
        latest = self._newest.get((key.image, key.kind), key)
        if latest.version > key.version:
            return
        self._drop(latest)
        self._newest[key.image, key.kind] = key
        self._kept[key] = picture
        self._n_bytes += _n_bytes(picture)
        while self._n_bytes > MAX_BYTES and len(self._kept) > 1:
            self._drop(next(iter(self._kept)))
        self._on_ready(key, error)

    def _drop(self, key: Key) -> None:
        self._n_bytes -= _n_bytes(self._kept.pop(key, None))


def _n_bytes(picture: NDArray[Any] | None) -> int:
    return 0 if picture is None else picture.nbytes
