"""How the channels of an image become a picture in colours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import numpy as np

from napari_al.core.ranges import PERCENTILES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_al.formats.image_rules import ImageRules

COLOURS: Final[dict[str, tuple[int, int, int]]] = {
    "red": (1, 0, 0),
    "green": (0, 1, 0),
    "blue": (0, 0, 1),
    "magenta": (1, 0, 1),
    "cyan": (0, 1, 1),
    "yellow": (1, 1, 0),
    "grey": (1, 1, 1),
}
"""Share of red, green and blue."""


class ChannelView(NamedTuple):
    """A channel that is shown, and its colour: a key of `COLOURS`."""

    channel: int
    colour: str


@dataclass(frozen=True, slots=True)
class ChannelChoice:
    """What a user has chosen: a composite of channels, or one of them in grey.

    Attributes
    ----------
    in_grey : int or None
        The one channel that is shown; None: the composite.
    in_composite : tuple of bool
        Whether each channel is in the composite.
    colours : tuple of str
        The colour of each there.
    """

    in_grey: int | None
    in_composite: tuple[bool, ...]
    colours: tuple[str, ...]

    @classmethod
    def default(cls, n_channels: int) -> ChannelChoice:
        """Return the choice that shows `default_view`."""
        view = dict(default_view(n_channels))
        names = tuple(COLOURS)
        return cls(
            None,
            tuple(index in view for index in range(n_channels)),
            tuple(view.get(index, names[index % len(names)]) for index in range(n_channels)),
        )

    @property
    def view(self) -> tuple[ChannelView, ...]:
        """What is to be shown."""
        if self.in_grey is not None:
            return (ChannelView(self.in_grey, "grey"),)
        rows = enumerate(zip(self.in_composite, self.colours, strict=True))
        return tuple(ChannelView(index, colour) for index, (is_in, colour) in rows if is_in)


class Contrast(NamedTuple):
    """How grey images are shown: values of black and white, and gamma."""

    limits: tuple[float, float]
    gamma: float = 1.0


def contrast_of(rules: ImageRules) -> Contrast | None:
    """Return how the grey images of a data folder are shown; None: as each needs, or in colour."""
    is_grey = rules.n_channels == 1 and len(rules.ranges) == 1
    return Contrast(rules.ranges[0], rules.gamma) if is_grey else None


def default_view(n_channels: int) -> tuple[ChannelView, ...]:
    """Return two channels in magenta and green; of more the first three in red, green and blue."""
    colours = ("magenta", "green") if n_channels == 2 else ("red", "green", "blue")
    return tuple(ChannelView(i, colour) for i, colour in enumerate(colours[:n_channels]))


def composite(
    pixels: NDArray[Any], view: Sequence[ChannelView], ranges: Sequence[tuple[float, float]] = ()
) -> NDArray[np.uint8]:
    """Return the sum of some channels of (H, W, C) pixels in their colours, (H, W, 3) uint8.

    Each is stretched by its range, or by what all but its extreme 2 % of pixels have; channels of
    8 bits are not stretched without a range.
    """
    total = np.zeros((*pixels.shape[:2], 3), np.uint16)
    for channel, colour in view:
        values = pixels[..., channel]
        if values.dtype != np.uint8:
            known = channel < len(ranges)
            values = in_8_bit(values, ranges[channel] if known else robust_range(values))
        total += values[..., None] * np.array(COLOURS[colour], np.uint16)
    return np.minimum(total, 255).astype(np.uint8)


def robust_range(channel: NDArray[Any]) -> tuple[float, float]:
    """Return the range of all but the extreme 2 % of a channel's values; 0 to 255 for 8 bits."""
    if channel.dtype == np.uint8:
        return 0.0, 255.0
    low, high = np.percentile(np.nan_to_num(channel, posinf=0, neginf=0), PERCENTILES)
    return float(low), float(high) if high > low else float(low) + 1


def in_8_bit(channel: NDArray[Any], limits: tuple[float, float]) -> NDArray[np.uint8]:
    """Return a channel stretched so that its limits become 0 and 255."""
    low, high = limits
    finite = np.nan_to_num(channel.astype(np.float32), posinf=0, neginf=0)
    stretched = np.clip((finite - low) * (255 / max(high - low, 1e-12)), 0, 255)
    return cast("NDArray[np.uint8]", stretched.astype(np.uint8))
