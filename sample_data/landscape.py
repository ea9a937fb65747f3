"""Draw a piece of coast from the air, and know what every pixel of it is.

Everything is painted back to front on a canvas three times as large as the picture, on which the
class and the object of each pixel are painted along; so the ground truth is exact, occlusion
included. `draw` is the only function that is called from outside.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from napari_al.core.opencv import cv2

if TYPE_CHECKING:
    from numpy.typing import NDArray

WATER, MEADOW, FIELD, FOREST, SAND, ROAD, BUILDING, BOAT = range(8)
CLASSES = (
    ("water", "#3a7fb5"), ("meadow", "#8fc15e"), ("field", "#e3c14f"), ("forest", "#2f6b3c"),
    ("sand", "#f2dfb0"), ("road", "#8a8a94"), ("building", "#c8443c"), ("boat", "#8e3f9e"),
)  # fmt: skip

HEIGHT, WIDTH = 180, 240
_SCALE = 3
_H, _W = HEIGHT * _SCALE, WIDTH * _SCALE
_SUN = (-5, -7)  # (x, y) towards the light; shadows fall the other way

Rgb = tuple[float, float, float]


@dataclass
class Scene:
    """A picture being painted.

    Attributes
    ----------
    rgb : (H, W, 3) uint8
    classes : (H, W) uint8
    objects : (H, W) int32
        Ids from 1 into `looks`.
    looks : list of str
        What each object looks like: its class, or the kind of it ("wheat", "flat roof").
    """

    rng: np.random.Generator
    rgb: NDArray[np.uint8] = field(default_factory=lambda: np.zeros((_H, _W, 3), np.uint8))
    classes: NDArray[np.uint8] = field(default_factory=lambda: np.zeros((_H, _W), np.uint8))
    objects: NDArray[np.int32] = field(default_factory=lambda: np.zeros((_H, _W), np.int32))
    looks: list[str] = field(default_factory=lambda: [""])

    def paint(self, where: NDArray[np.bool_], class_id: int, look: str, colour: object) -> None:
        """Paint one object over whatever is there; `colour` is one, or one a pixel."""
        if not where.any():
            return
        self.classes[where] = class_id
        self.objects[where] = len(self.looks)
        self.looks.append(look)
        texture = np.broadcast_to(np.asarray(colour, np.float32), self.rgb.shape)
        self.rgb[where] = np.clip(texture[where], 0, 255)

    def darken(self, where: NDArray[np.bool_], factor: float) -> None:
        """Let a shadow fall."""
        self.rgb[where] = self.rgb[where] * factor


def draw(rng: np.random.Generator) -> Scene:
    """Return a new scene of `HEIGHT` x `WIDTH` pixels."""
    scene = Scene(rng)
    height = _terrain(rng)
    sea_level = np.quantile(height, rng.choice([0.08, 0.2, 0.3, 0.42]))
    is_land = height > sea_level
    season = rng.uniform(0, 1)
    _water(scene, height - sea_level)
    _parcels(scene, is_land, season)
    _beach(scene, is_land)
    roads = _roads(scene, is_land)
    _buildings(scene, roads)
    _trees(scene, is_land, season)
    _boats(scene, is_land)
    return _finish(scene, height)


def _noise(rng: np.random.Generator, cell: float, n_octaves: int = 1) -> NDArray[np.float32]:
    """Return smooth noise, mean 0 and deviation 1; `cell` is the size of its features in px."""
    total = np.zeros((_H, _W), np.float32)
    for octave in range(n_octaves):
        side = max(cell / 2**octave, 1.0)
        grid = rng.standard_normal((int(_H / side) + 3, int(_W / side) + 3)).astype(np.float32)
        size = (int(grid.shape[1] * side) + 1, int(grid.shape[0] * side) + 1)
        total += cv2.resize(grid, size, interpolation=cv2.INTER_CUBIC)[:_H, :_W] / 2**octave
    return (total - total.mean()) / total.std()


def _blend(a: object, b: object, t: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mixture of two colours, `t` of the second, pixel by pixel."""
    share = np.clip(t, 0, 1)[..., None]
    return np.asarray(a, np.float32) * (1 - share) + np.asarray(b, np.float32) * share


# ---- ground


def _terrain(rng: np.random.Generator) -> NDArray[np.float32]:
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[0:_H, 0:_W].astype(np.float32)
    slope = (x * np.cos(angle) + y * np.sin(angle)) / _W
    return _noise(rng, 260, 5) + slope * rng.uniform(1.5, 5)


def _water(scene: Scene, above_sea: NDArray[np.float32]) -> None:
    rng = scene.rng
    depth = -above_sea * rng.uniform(0.7, 1.6) + 0.12 * _noise(rng, 60, 3)
    deep, shallow = (
        ((24, 62, 98), (84, 152, 158)) if rng.random() < 0.6 else ((38, 74, 82), (112, 138, 116))
    )
    colour = _blend(shallow, deep, depth)
    y, x = np.mgrid[0:_H, 0:_W].astype(np.float32)
    swell = np.sin((x * 0.25 + y * 0.5 + 9 * _noise(rng, 80)) * rng.uniform(0.5, 0.9))
    colour += (3.5 * swell * np.clip(1.2 + _noise(rng, 90), 0, 2) + 2 * _noise(rng, 4))[..., None]
    foam = np.exp(-((above_sea / 0.03) ** 2)) * np.clip(_noise(rng, 12, 2), 0, 1.5)
    scene.paint(np.ones((_H, _W), bool), WATER, "water", _blend(colour, (225, 232, 228), foam))


def _parcels(scene: Scene, is_land: NDArray[np.bool_], season: float) -> None:
    """Cut the land into fields and meadows, roughly rectangular, all along one direction."""
    rng = scene.rng
    angle = rng.uniform(0, np.pi)
    y, x = np.mgrid[0:_H, 0:_W].astype(np.float32)
    warp = rng.uniform(4, 16)
    u = x * np.cos(angle) + y * np.sin(angle) + warp * _noise(rng, 120)
    v = -x * np.sin(angle) + y * np.cos(angle) + warp * _noise(rng, 120)
    side = rng.uniform(95, 150)
    which, edge = _cells(rng, u, v, side)
    farming = rng.uniform(0.3, 0.65)
    for cell in np.unique(which[is_land]):
        where = is_land & (which == cell)
        look = str(
            rng.choice(["green crop", "wheat", "ploughed", "orchard"], p=[0.4, 0.3, 0.2, 0.1])
        )
        if rng.random() > farming:
            scene.paint(where, MEADOW, "meadow", _meadow(rng, season))
        else:
            stripes = u if rng.random() < 0.5 else v
            scene.paint(where, FIELD, look, _crop(rng, look, stripes, season))
            if look == "orchard":
                _orchard(scene, where, u, v)
    scene.darken(is_land & (edge < rng.uniform(1.5, 3.0)), 0.8)


def _cells(
    rng: np.random.Generator, u: NDArray[np.float32], v: NDArray[np.float32], side: float
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return for each pixel its nearest site and how much further the second nearest is."""
    which = np.zeros(u.shape, np.int32)
    first = np.full(u.shape, np.inf, np.float32)
    second = first.copy()
    stretch = rng.uniform(0.55, 0.9)
    for n, row in enumerate(np.arange(u.min(), u.max() + side, side)):
        for column in np.arange(v.min() + side * rng.random(), v.max() + side, side * stretch):
            at_u, at_v = row + side * rng.uniform(-0.2, 0.2), column + side * rng.uniform(-0.2, 0.2)
            far = np.maximum(np.abs(u - at_u), np.abs(v - at_v) / stretch)
            nearer = far < first
            second = np.where(nearer, first, np.minimum(second, far))
            which[nearer] = n * 1000 + int(column - v.min())
            first = np.minimum(first, far)
    return which, second - first


def _green(season: float) -> NDArray[np.float32]:
    """Return the colour of grass: from fresh to dry."""
    return np.array((88, 138, 60), np.float32) * (1 - season) + np.array((142, 140, 78)) * season


def _meadow(rng: np.random.Generator, season: float) -> NDArray[np.float32]:
    tone = _green(np.clip(season + rng.normal(0, 0.12), 0, 1)) + rng.normal(0, 6, 3)
    mottled = 5 * _noise(rng, 30, 3) + 4 * _noise(rng, 3)
    return tone + mottled[..., None] * np.array((1.1, 1.0, 0.7), np.float32)


def _crop(
    rng: np.random.Generator, look: str, along: NDArray[np.float32], season: float
) -> NDArray[np.float32]:
    tones = {
        "green crop": _green(np.clip(season + rng.normal(0, 0.12), 0, 1)) + np.array((2, 3, 0)),
        "wheat": np.array((206, 180, 112)),
        "ploughed": np.array((138, 108, 82)),
        "orchard": np.array((136, 140, 84)),
    }
    furrows = np.sin(along * 2 * np.pi / rng.uniform(7, 13)) * rng.uniform(3, 9)
    rough = 3 * _noise(rng, 50, 2) + 3 * _noise(rng, 3)
    return tones[look] + rng.normal(0, 7, 3) + (furrows + rough)[..., None]


def _beach(scene: Scene, is_land: NDArray[np.bool_]) -> None:
    rng = scene.rng
    from_sea = cv2.distanceTransform(is_land.astype(np.uint8), cv2.DIST_L2, 3)
    reach = rng.uniform(4, 20) + 14 * _noise(rng, 150, 2)
    colour = np.array((212, 192, 142)) + rng.normal(0, 8, 3)
    texture = colour + (4 * _noise(rng, 25, 3) + 4 * _noise(rng, 3))[..., None]
    wet = np.exp(-((from_sea / 6.0) ** 2))
    is_sand = (is_land & (from_sea < reach)).astype(np.uint8)
    n, parts = cv2.connectedComponents(is_sand)
    for part in range(1, n):
        where = parts == part
        if where.sum() > 150:
            scene.paint(where, SAND, "sand", _blend(texture, (150, 134, 100), 0.8 * wet))


# ---- things on it


def _roads(scene: Scene, is_land: NDArray[np.bool_]) -> list[NDArray[np.float32]]:
    """Paint one to three roads and return their centre lines, (n, 2) xy."""
    rng = scene.rng
    near_sea = cv2.dilate((~is_land).astype(np.uint8), np.ones((25, 25), np.uint8)) > 0
    lines = []
    for n in range(int(rng.integers(1, 4))):
        line = min((_curve(rng) for _ in range(12)), key=lambda c: _share(c, near_sea))
        if _share(line, near_sea) > 0.5:
            continue
        paved = n == 0 or rng.random() < 0.5
        width = int(rng.integers(15, 22)) if paved else int(rng.integers(9, 14))
        grey = rng.uniform(96, 136)
        tone = np.array((grey, grey, grey + 4)) if paved else np.array((176, 158, 124))
        tone = tone + (3 * _noise(rng, 20, 2) + 2.5 * _noise(rng, 3))[..., None]
        where = _stroke(line, width) & ~cv2.erode(
            (~is_land).astype(np.uint8), np.ones((9, 9))
        ).astype(bool)
        scene.darken(_stroke(line, width + 5) & is_land, 0.85)
        scene.paint(where, ROAD, "road" if paved else "track", tone)
        if paved:
            dashes = np.zeros((_H, _W), np.uint8)
            points = np.round(line).astype(np.int32)
            for start in range(0, len(points) - 4, 8):
                cv2.polylines(dashes, [points[start : start + 4]], False, 1, 2)
            scene.rgb[(dashes > 0) & where] = 214
        lines.append(line)
    return lines


def _curve(rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a smooth line across the picture, (n, 2) xy, a point every four pixels or so."""
    across = rng.random() < 0.6
    length, breadth = (_W, _H) if across else (_H, _W)
    knots = np.linspace(-40, length + 40, 5)
    side = breadth * rng.uniform(0.1, 0.9) + np.cumsum(rng.normal(0, 60, 5))
    along = np.arange(-40, length + 40, 4.0)
    smooth = np.polynomial.Polynomial.fit(knots, side, 4)(along)
    points = np.stack([along, smooth] if across else [smooth, along], axis=1)
    return points.astype(np.float32)


def _share(line: NDArray[np.float32], where: NDArray[np.bool_]) -> float:
    """Return how much of the line's part inside the picture lies in `where`."""
    x, y = np.round(line).astype(int).T
    inside = (x >= 0) & (x < _W) & (y >= 0) & (y < _H)
    return float(where[y[inside], x[inside]].mean()) if inside.sum() > 60 else 1.0


def _stroke(line: NDArray[np.float32], width: int) -> NDArray[np.bool_]:
    drawn = np.zeros((_H, _W), np.uint8)
    cv2.polylines(drawn, [np.round(line).astype(np.int32)], False, 1, width)
    return drawn > 0


def _polygon(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    drawn = np.zeros((_H, _W), np.uint8)
    cv2.fillPoly(drawn, [np.round(points).astype(np.int32)], 1)
    return drawn > 0


_ROOFS = {
    "tiled roof": ((172, 84, 62), (150, 74, 58), (186, 104, 72)),
    "flat roof": ((122, 122, 126), (146, 144, 142), (108, 110, 116)),
    "pale roof": ((206, 196, 176), (222, 220, 214), (190, 176, 150)),
}


def _buildings(scene: Scene, roads: list[NDArray[np.float32]]) -> None:
    """Paint hamlets along the roads."""
    rng = scene.rng
    taken = (scene.classes == WATER) | (scene.classes == ROAD)
    for road in roads:
        for _ in range(int(rng.integers(1, 4))):
            centre = int(rng.integers(10, len(road) - 10))
            for _ in range(int(rng.integers(3, 9))):
                at = int(np.clip(centre + rng.normal(0, 14), 2, len(road) - 3))
                direction = road[at + 2] - road[at - 2]
                angle = np.arctan2(direction[1], direction[0])
                off = rng.choice([-1, 1]) * rng.uniform(30, 72)
                middle = road[at] + off * np.array((-np.sin(angle), np.cos(angle)))
                _house(scene, middle, angle + rng.normal(0, 0.08), taken)


def _house(
    scene: Scene, middle: NDArray[np.float64], angle: float, taken: NDArray[np.bool_]
) -> None:
    rng = scene.rng
    half = np.array((rng.uniform(14, 28), rng.uniform(11, 18)))
    if rng.random() < 0.5:
        angle += np.pi / 2
    turn = np.array(((np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))))
    corners = np.array(((-1, -1), (1, -1), (1, 1), (-1, 1))) * half @ turn + middle
    roof = _polygon(corners)
    if roof.sum() < 150 or (roof & taken).any():
        return
    look = str(rng.choice(list(_ROOFS), p=[0.5, 0.3, 0.2]))
    tone = np.array(_ROOFS[look][rng.integers(3)]) + rng.normal(0, 6, 3)
    for step in (3, 6, 9):
        shadow = _polygon(corners - np.array(_SUN) * step / 6)
        scene.darken(shadow & ~roof & ~taken, 0.8)
    grain = 2 * _noise(rng, 3)[..., None]
    scene.paint(roof, BUILDING, look, tone + grain)
    if look != "flat roof":
        ridge = np.array(((-1, -1), (1, -1), (1, 0), (-1, 0))) * half @ turn + middle
        lit = ridge.mean(axis=0) - middle
        factor = 0.78 if lit @ np.array(_SUN) < 0 else 1.16
        scene.rgb[_polygon(ridge) & roof] = np.clip((tone * factor), 0, 255)
    else:
        inner = corners * 0.35 + middle * 0.65 + rng.normal(0, 2, 2)
        scene.darken(_polygon(inner), 0.85)
    taken |= cv2.dilate(roof.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0


def _trees(scene: Scene, is_land: NDArray[np.bool_], season: float) -> None:
    """Paint woods, and single trees that hide what is below them."""
    rng = scene.rng
    free = is_land & (scene.classes != ROAD) & (scene.classes != BUILDING) & (scene.classes != SAND)
    woods = _noise(rng, 170, 3)
    is_wood = free & (woods > np.quantile(woods, rng.uniform(0.6, 0.9)))
    _, parts = cv2.connectedComponents(is_wood.astype(np.uint8))
    for part in range(1, int(parts.max()) + 1):
        where = parts == part
        if where.sum() > 600:
            floor = np.array((40, 62, 34)) + 4 * _noise(rng, 6)[..., None]
            scene.paint(where, FOREST, "forest", floor)
            inner = cv2.erode(where.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
            spots = np.argwhere(inner)
            spots = spots[rng.permutation(len(spots))[: len(spots) // 55]]
            for y, x in spots[np.argsort(spots[:, 0])]:
                _crown(scene, (int(x), int(y)), rng.uniform(5, 9), season, where)
    for y, x in np.argwhere(is_land)[rng.permutation(int(is_land.sum()))[: rng.integers(4, 22)]]:
        _tree(scene, (int(x), int(y)), rng.uniform(9, 15), season)


def _crown(
    scene: Scene, xy: tuple[int, int], radius: float, season: float, inside: NDArray[np.bool_]
) -> None:
    """Paint a crown of a wood: shade, leaves, light; only where the wood is."""
    tone = _leaves(scene.rng, season)
    x0, x1 = max(xy[0] - 16, 0), xy[0] + 17
    y0, y1 = max(xy[1] - 16, 0), xy[1] + 17
    patch = scene.rgb[y0:y1, x0:x1].copy()
    _leafy(patch, (xy[0] - x0, xy[1] - y0), radius, tone)
    here = inside[y0:y1, x0:x1]
    scene.rgb[y0:y1, x0:x1][here] = patch[here]


def _leaves(rng: np.random.Generator, season: float) -> NDArray[np.float64]:
    return np.array((62, 96, 48)) + np.array((22, 6, 4)) * season + rng.normal(0, 7, 3)


def _leafy(rgb: NDArray[np.uint8], xy: tuple[int, int], radius: float, tone: Rgb) -> None:
    for shift, size, factor in ((1, 1.0, 0.62), (0, 0.9, 1.0), (-1, 0.45, 1.3)):
        at = (int(xy[0] + shift * radius * 0.3), int(xy[1] + shift * radius * 0.35))
        colour = tuple(float(np.clip(c * factor, 0, 255)) for c in tone)
        cv2.circle(rgb, at, max(1, round(radius * size)), colour, -1)


def _tree(scene: Scene, xy: tuple[int, int], radius: float, season: float) -> None:
    crown = np.zeros((_H, _W), np.uint8)
    cv2.circle(crown, xy, round(radius), 1, -1)
    shadow = np.zeros((_H, _W), np.uint8)
    cv2.circle(
        shadow, (int(xy[0] - _SUN[0] * 1.2), int(xy[1] - _SUN[1] * 1.2)), round(radius), 1, -1
    )
    scene.darken((shadow > 0) & (crown == 0) & (scene.classes != WATER), 0.7)
    tone = _leaves(scene.rng, season)
    scene.paint(crown > 0, FOREST, "tree", tone * 0.7)
    for dx, dy, size in ((0, 0, 0.85), (-0.35, 0.2, 0.5), (0.3, -0.3, 0.5)):
        at = (int(xy[0] + dx * radius), int(xy[1] + dy * radius))
        _leafy(scene.rgb, at, radius * size * 0.85, tone + scene.rng.normal(0, 4, 3))


def _orchard(
    scene: Scene, where: NDArray[np.bool_], u: NDArray[np.float32], v: NDArray[np.float32]
) -> None:
    """Plant small trees in rows; they belong to the field."""
    inner = cv2.erode(where.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    is_spot = inner & (np.mod(u, 17) < 1.0) & (np.mod(v, 17) < 1.0)
    _, _, _, centres = cv2.connectedComponentsWithStats(is_spot.astype(np.uint8))
    for x, y in centres[1:]:
        _crown(scene, (int(x), int(y)), scene.rng.uniform(4.5, 6), 0.4, where)


_HULLS = ((236, 236, 230), (226, 222, 208), (168, 58, 48), (58, 74, 104), (206, 178, 140))


def _boats(scene: Scene, is_land: NDArray[np.bool_]) -> None:
    rng = scene.rng
    from_land = cv2.distanceTransform((~is_land).astype(np.uint8), cv2.DIST_L2, 3)
    taken = np.zeros((_H, _W), bool)
    for _ in range(int(rng.integers(1, 7))):
        length = rng.uniform(30, 58)
        spots = np.argwhere((from_land > length * 0.8) & ~taken)
        if len(spots) == 0:
            return
        y, x = spots[rng.integers(len(spots))]
        _boat(scene, np.array((x, y), float), rng.uniform(0, 2 * np.pi), length, is_land)
        cv2_taken = taken.astype(np.uint8)
        cv2.circle(cv2_taken, (int(x), int(y)), int(length * 1.6), 1, -1)
        taken = cv2_taken > 0


def _boat(
    scene: Scene,
    middle: NDArray[np.float64],
    angle: float,
    length: float,
    is_land: NDArray[np.bool_],
) -> None:
    rng = scene.rng
    turn = np.array(((np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))))
    beam = rng.uniform(0.36, 0.48)
    outline = np.array(
        ((-1, -0.7), (0.2, -1), (0.7, -0.6), (1, 0), (0.7, 0.6), (0.2, 1), (-1, 0.7))
    )
    half = np.array((length / 2, length / 2 * beam))
    hull = outline * half @ turn + middle
    if rng.random() < 0.6:  # under way: a wake, which is water
        wake = np.array(((-0.9, -0.6), (-4, -2.4), (-4.3, 0), (-4, 2.4), (-0.9, 0.6))) * half
        trail = (_polygon(wake @ turn + middle) & ~is_land).astype(np.float32)
        trail = cv2.GaussianBlur(trail, (0, 0), 3) * np.clip(0.35 + 0.25 * _noise(rng, 8), 0, 0.7)
        trail[is_land] = 0
        scene.rgb[:] = _blend(scene.rgb, (226, 234, 236), trail)
    tone = np.array(_HULLS[rng.integers(len(_HULLS))]) + rng.normal(0, 5, 3)
    where = _polygon(hull)
    scene.darken(_polygon(hull - np.array(_SUN) * 0.5) & ~where & ~is_land, 0.7)
    scene.paint(where, BOAT, "boat", tone)
    scene.rgb[_polygon(outline * half * 0.7 @ turn + middle)] = np.clip(tone * 0.82 + 14, 0, 255)
    cabin = np.array(((-0.55, -0.5), (0.05, -0.5), (0.05, 0.5), (-0.55, 0.5))) * half
    scene.rgb[_polygon(cabin @ turn + middle)] = np.clip(250 - tone * 0.4, 0, 255)


# ---- light and camera


def _finish(scene: Scene, height: NDArray[np.float32]) -> Scene:
    """Light the scene, scale it down, and take it with a camera that is not perfect."""
    rng = scene.rng
    relief = cv2.GaussianBlur(height, (0, 0), 6)
    lit = cv2.filter2D(relief, -1, np.array(((-1, -1, 0), (-1, 0, 1), (0, 1, 1)), np.float32))
    light = 1 - np.where(scene.classes == WATER, 0, 1.6 * lit)
    clouds = np.clip(_noise(rng, 220, 3) - rng.uniform(0.4, 2.5), 0, 0.5)
    light = np.clip(light, 0.7, 1.25) * (1 - 0.7 * clouds)
    warm = np.array((1 + rng.normal(0, 0.05), 1.0, 1 + rng.normal(0, 0.06)))
    rgb = scene.rgb * light[..., None] * warm * rng.uniform(0.92, 1.28)
    rgb = cv2.resize(rgb.astype(np.float32), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    haze = rng.uniform(0, 0.2)
    rgb = rgb * (1 - haze) + np.array((196, 202, 208)) * haze
    rgb += rng.normal(0, rng.uniform(2, 7), rgb.shape)
    middle = slice(_SCALE // 2, None, _SCALE)
    return Scene(
        rng,
        np.clip(np.round(rgb), 0, 255).astype(np.uint8),
        np.ascontiguousarray(scene.classes[middle, middle]),
        np.ascontiguousarray(scene.objects[middle, middle]),
        scene.looks,
    )
