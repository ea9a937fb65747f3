"""Cache of a session's pictures (images and overlays), made in worker threads."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from napari_al.core.geometry.adjacency import borders
from napari_al.plugin.layers.channel_view import (
    ChannelView,
    composite,
    default_view,
    in_8_bit,
    robust_range,
)
from napari_al.plugin.widgets.background import Background

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from napari_al.plugin.widgets.main_thread import Dispatch
    from napari_al.session.session import Session

PictureKind = Literal[
    "image", "borders", "prediction", "heatmap", "answers", "targets", "thumbnail"
]
KINDS: tuple[PictureKind, ...] = (
    "image", "targets", "prediction", "answers", "heatmap", "borders",
)  # fmt: skip
"""From the bottom up; answers lie over what is predicted, as in finished masks."""

THUMBNAIL_PX = 96
MAX_BYTES = 400_000_000
"""Of pictures kept."""


@dataclass(frozen=True, slots=True)
class Key:
    """Which picture of which image; a higher ``version`` replaces lower ones.

    ``view``: the channels of an image that are shown, None = those shown at first.
    """

    image: str
    kind: PictureKind
    version: tuple[int, int] = (0, 0)
    view: tuple[ChannelView, ...] | None = None


def make_picture(session: Session, key: Key) -> NDArray[Any] | None:
    """Make a picture: (H, W), or (H, W, 3) uint8 of images in colour. None: there is none yet."""
    match key.kind:
        case "image":
            return displayed(session.data.image(key.image), session.data.rules.ranges, key.view)
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
        case "thumbnail":
            return thumbnail(session.data.image(key.image), session.data.rules.ranges)


def thumbnail(
    pixels: NDArray[Any], ranges: Sequence[tuple[float, float]] = ()
) -> NDArray[np.uint8]:
    """Return (H, W, C) pixels in 8 bits, `THUMBNAIL_PX` or fewer along the longer side."""
    step = -(-max(pixels.shape[:2]) // THUMBNAIL_PX)
    shown = displayed(pixels[::step, ::step], ranges)
    if shown.dtype == np.uint8:
        return cast("NDArray[np.uint8]", shown)
    return in_8_bit(shown, ranges[0] if ranges else robust_range(shown))


def displayed(
    pixels: NDArray[Any],
    ranges: Sequence[tuple[float, float]] = (),
    view: Sequence[ChannelView] | None = None,
) -> NDArray[Any]:
    """Return (H, W, C) pixels as a layer shows them: (H, W) of any type, or (H, W, 3) uint8.

    One channel keeps its type and values: the layer's contrast limits stretch it. Of several, the
    channels of a view are shown in their colours (`composite`); None: those of `default_view`.
    """
    n_channels = pixels.shape[2]
    if n_channels == 1:
        return np.ascontiguousarray(np.nan_to_num(pixels[..., 0], posinf=0, neginf=0))
    if view is None and n_channels == 3 and pixels.dtype == np.uint8:
        return np.ascontiguousarray(pixels)
    return composite(pixels, default_view(n_channels) if view is None else view, ranges)


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
