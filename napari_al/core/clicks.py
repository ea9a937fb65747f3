"""What an answer costs, in clicks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clicks:
    """Clicks of an answer by kind (Cai et al. 2021, section "annotation cost").

    Attributes
    ----------
    class_clicks, polygon_clicks, intersection_clicks : int
        c_c, c_p and c_i: a class chosen, a polygon vertex set, a crossing of an object's boundary
        with the region's boundary.
    """

    class_clicks: int = 0
    polygon_clicks: int = 0
    intersection_clicks: int = 0

    @property
    def total(self) -> int:
        """All clicks together."""
        return self.class_clicks + self.polygon_clicks + self.intersection_clicks

    def __add__(self, other: Clicks) -> Clicks:
        return Clicks(
            self.class_clicks + other.class_clicks,
            self.polygon_clicks + other.polygon_clicks,
            self.intersection_clicks + other.intersection_clicks,
        )
