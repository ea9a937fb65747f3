"""Pictures read by parts: every way of storing one gives the same pixels."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from napari_al.errors import InputError
from napari_al.formats.images import read_image, write_png
from napari_al.formats.parts import rasters
from napari_al.formats.parts.axis_steps import Step, axis_steps
from napari_al.formats.parts.rasters import open_raster

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Write = Callable[[Path, np.ndarray], Path]

zarr = pytest.importorskip("zarr")
SHAPE = (70, 90)


def pixels_of(n_channels: int, dtype: str = "uint8") -> np.ndarray:
    rng = np.random.default_rng(n_channels)
    return rng.integers(0, 250, (*SHAPE, n_channels)).astype(dtype)


def tiff(**how: object) -> Write:
    def write(path: Path, pixels: np.ndarray) -> Path:
        path = path.with_suffix(".tif")
        if pixels.shape[2] == 1:
            tifffile.imwrite(path, pixels[..., 0], **how)
        else:
            layout = {"photometric": "minisblack", "planarconfig": "contig", **how}
            planar = layout["planarconfig"] == "separate"
            tifffile.imwrite(path, np.moveaxis(pixels, 2, 0) if planar else pixels, **layout)
        return path

    return write


def channel_stack(path: Path, pixels: np.ndarray) -> Path:
    """One page a channel, as microscopes write them."""
    path = path.with_suffix(".tif")
    tifffile.imwrite(path, np.moveaxis(pixels, 2, 0), metadata={"axes": "CYX"}, ome=True)
    return path


def ome_zarr(zarr_format: int, order: str = "cyx", chunk: int = 32) -> Write:
    def write(path: Path, pixels: np.ndarray) -> Path:
        path = path.with_suffix(".zarr")
        array = pixels.transpose(["yxc".index(axis) for axis in order.replace("t", "")])
        if "t" in order:
            array = array[None]
        group = zarr.open_group(path, mode="w", zarr_format=zarr_format)
        chunks = tuple(chunk if axis in "yx" else 1 for axis in order)
        group.create_array("full", data=array, chunks=chunks)
        scales = [{"axes": [{"name": axis} for axis in order], "datasets": [{"path": "full"}]}]
        attributes = {"multiscales": scales}
        group.attrs.update(attributes if zarr_format == 2 else {"ome": attributes})
        return path

    return write


WRITERS: dict[str, Write] = {
    "one strip": tiff(),
    "strips": tiff(rowsperstrip=16),
    "big-endian": tiff(byteorder=">"),
    "compressed strips": tiff(rowsperstrip=16, compression="zlib"),
    "tiles": tiff(tile=(16, 32)),
    "compressed tiles": tiff(tile=(32, 16), compression="zlib"),
    "planes": tiff(planarconfig="separate"),
    "compressed planes": tiff(planarconfig="separate", tile=(16, 16), compression="zlib"),
    "a page a channel": channel_stack,
    "OME-Zarr 2": ome_zarr(2),
    "OME-Zarr 3": ome_zarr(3),
    "OME-Zarr, channels last": ome_zarr(3, "yxc"),
    "OME-Zarr, one time, one chunk": ome_zarr(2, "tcyx", 128),
}


@pytest.mark.parametrize("n_channels", [1, 3, 5])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("how", WRITERS)
def test_any_part_of_any_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, dtype: str, n_channels: int
) -> None:
    if "planes" in how and n_channels == 1:
        pytest.skip("one channel has no planes")
    pixels = pixels_of(n_channels, dtype)
    path = WRITERS[how](tmp_path / "a", pixels)
    monkeypatch.setattr(rasters, "is_too_large", lambda _: True)
    monkeypatch.setattr(rasters, "read_image", None)  # nothing is read as a whole
    with open_raster(path) as raster:
        assert (raster.shape, raster.n_channels) == (SHAPE, n_channels)
        for rows, cols in ((slice(0, 70), slice(0, 90)), (slice(13, 50), slice(31, 90))):
            part = raster.read(rows, cols)
            assert part.dtype == dtype
            np.testing.assert_array_equal(part, pixels[rows, cols])


def test_a_part_is_what_reading_the_whole_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pixels_of(4), photometric="rgb", extrasamples=["unassalpha"])
    whole = read_image(path)
    assert whole.shape == (*SHAPE, 3), "alpha is dropped"
    with open_raster(path) as raster:
        np.testing.assert_array_equal(raster.read(slice(5, 60), slice(3, 4)), whole[5:60, 3:4])
    monkeypatch.setattr(rasters, "is_too_large", lambda _: True)
    with open_raster(path) as raster:
        np.testing.assert_array_equal(raster.read(slice(5, 60), slice(3, 4)), whole[5:60, 3:4])


def test_what_is_not_a_tiff_is_read_as_a_whole(tmp_path: Path) -> None:
    pixels = pixels_of(1)
    write_png(tmp_path / "a.png", pixels[..., 0])
    with open_raster(tmp_path / "a.png") as raster:
        np.testing.assert_array_equal(raster.read(slice(2, 9), slice(0, 90)), pixels[2:9])


def cut_short(path: Path) -> Path:
    tifffile.imwrite(path.with_suffix(".tif"), pixels_of(3))
    path.with_suffix(".tif").write_bytes(path.with_suffix(".tif").read_bytes()[:-100])
    return path.with_suffix(".tif")


def odd_axes(path: Path) -> Path:
    tifffile.imwrite(
        path.with_suffix(".tif"), np.zeros((4, 5, 70, 90), np.uint8), metadata={"axes": "RCYX"}
    )
    return path.with_suffix(".tif")


def damaged_tile(path: Path) -> Path:
    path = WRITERS["compressed tiles"](path, pixels_of(3))
    with tifffile.TiffFile(path) as file:
        offset = file.pages[0].dataoffsets[0]
    data = bytearray(path.read_bytes())
    data[offset : offset + 8] = b"nonsense"
    path.write_bytes(data)
    return path


def huge_chunk(path: Path) -> Path:
    return tiff(compression="zlib", rowsperstrip=70)(path, pixels_of(3))


def zarr_without_picture(path: Path) -> Path:
    zarr.open_group(path.with_suffix(".zarr"), mode="w")
    return path.with_suffix(".zarr")


def zarr_without_array(path: Path) -> Path:
    path = zarr_without_picture(path)
    metadata = json.loads((path / "zarr.json").read_text())
    metadata["attributes"] = {"multiscales": [{"datasets": [{"path": "0"}]}]}
    (path / "zarr.json").write_text(json.dumps(metadata))
    return path


def pickled_zarr(path: Path) -> Path:
    path = ome_zarr(2)(path, pixels_of(1))
    metadata = json.loads((path / "full/.zarray").read_text())
    metadata["compressor"] = {"id": "pickle", "protocol": 5}
    (path / "full/.zarray").write_text(json.dumps(metadata))
    return path


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (cut_short, "cut short"),
        (odd_axes, "axes"),
        (damaged_tile, "damaged"),
        (huge_chunk, "smaller tiles"),
        (zarr_without_picture, "no OME-Zarr picture"),
        (zarr_without_array, "damaged"),
        (pickled_zarr, "pickle"),
        (lambda path: path.with_suffix(".png"), "not a file"),
        (lambda path: path.with_suffix(".zarr"), "not a picture"),
    ],
)
def test_what_cannot_be_read_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[Path], Path],
    message: str,
) -> None:
    path = make(tmp_path / "odd")
    monkeypatch.setattr(rasters, "is_too_large", lambda _: True)
    monkeypatch.setattr(rasters, "MAX_CHUNK_BYTES", 10_000)
    with (
        pytest.raises(InputError, match=message) as caught,
        open_raster(path) as raster,
    ):
        raster.read(slice(0, 70), slice(0, 90))
    assert str(path) in str(caught.value)


def test_without_zarr_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = WRITERS["compressed tiles"](tmp_path / "a", pixels_of(3))
    monkeypatch.setattr(rasters, "is_too_large", lambda _: True)
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(InputError, match=r"napari-al\[zarr\]"), open_raster(path):
        pass


def test_errors_of_who_reads_are_not_taken_for_the_files(tmp_path: Path) -> None:
    path = WRITERS["one strip"](tmp_path / "a", pixels_of(3))
    with pytest.raises(KeyError, match="mine"), open_raster(path):
        raise KeyError("mine")


# ---- stacks

STACKS: dict[str, dict[str, object]] = {
    "tif": {"ome": True},
    "compressed tif": {"ome": True, "compression": "zlib"},
    "ImageJ": {"imagej": True},
    "zarr": {},
}


def write_stack(path: Path, how: str, stored: np.ndarray) -> Path:
    """Write a (T, Z, C, H, W) array."""
    if how != "zarr":
        options = {"metadata": {"axes": "TZCYX"}, "photometric": "minisblack", **STACKS[how]}
        tifffile.imwrite(path.with_suffix(".tif"), stored, **options)
        return path.with_suffix(".tif")
    group = zarr.open_group(path.with_suffix(".zarr"), mode="w", zarr_format=2)
    group.create_array("0", data=stored.transpose(0, 2, 1, 3, 4), chunks=(1, 1, 1, 32, 32))
    group.attrs["multiscales"] = [{"datasets": [{"path": "0"}]}]  # axes of NGFF 0.1
    return path.with_suffix(".zarr")


@pytest.mark.parametrize("how", STACKS)
def test_planes_of_a_stack(tmp_path: Path, how: str) -> None:
    stored = np.random.default_rng(0).integers(0, 250, (2, 3, 2, 20, 30)).astype(np.uint16)
    with open_raster(write_stack(tmp_path / "a", how, stored)) as raster:
        assert (raster.shape, raster.n_channels) == ((20, 30), 2)
        assert raster.planes == (("t", 2), ("z", 3))
        part = raster.read(slice(3, 20), slice(5, 9), (1, 2))
    np.testing.assert_array_equal(part, stored[1, 2, :, 3:20, 5:9].transpose(1, 2, 0))


def test_one_of_the_pictures_of_bioformats2raw(tmp_path: Path) -> None:
    path, pixels = tmp_path / "a.zarr", pixels_of(2)
    root = zarr.open_group(path, mode="w", zarr_format=2)
    root.attrs["bioformats2raw.layout"] = 3
    root.create_group("OME")
    ome_zarr(2)(path / "0.zarr", pixels).rename(path / "0")
    with open_raster(path) as raster:
        np.testing.assert_array_equal(raster.read(slice(0, 70), slice(0, 90)), pixels)
    ome_zarr(2)(path / "1.zarr", pixels + 1).rename(path / "1")
    with pytest.raises(InputError, match=r"2 pictures \(0, 1\)"), open_raster(path):
        pass
    (tmp_path / "b.zarr").symlink_to(path / "1")
    for named in (path / "1", tmp_path / "b.zarr"):
        with open_raster(named) as raster:
            np.testing.assert_array_equal(raster.read(slice(0, 70), slice(0, 90)), pixels + 1)


# ---- size of a pixel

OME = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.25}
SIZES: dict[str, tuple[dict[str, object], tuple[float, float, str] | None]] = {
    "OME": ({"ome": True, "metadata": OME}, (0.25, 0.5, "micrometer")),
    "OME in nm": (
        {
            "ome": True,
            "metadata": {**OME, "PhysicalSizeXUnit": "nm", "PhysicalSizeYUnit": "nm"},
        },
        (0.25, 0.5, "nanometer"),
    ),
    "OME without a size": ({"ome": True}, None),
    "ImageJ": (
        {"imagej": True, "resolution": (2, 4), "metadata": {"unit": "um"}},
        (0.25, 0.5, "micrometer"),
    ),
    "ImageJ, not calibrated": ({"imagej": True, "resolution": (1, 1)}, None),
    "for a printer": ({"resolution": (300, 300), "resolutionunit": "INCH"}, None),
}


@pytest.mark.parametrize("name", SIZES)
def test_size_of_a_pixel_of_tiff(name: str, tmp_path: Path) -> None:
    how, expected = SIZES[name]
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((4, 5), np.uint8), **how)
    steps = {}
    if expected is not None:
        steps = {axis: Step(size, expected[2]) for axis, size in zip("yx", expected, strict=False)}
    assert axis_steps(tmp_path / "a.tif") == steps


@pytest.mark.parametrize(
    "how",
    [
        {"ome": True, "metadata": {"axes": "TZYX", "PhysicalSizeZ": 2, "TimeIncrement": 5}},
        {
            "imagej": True,
            "resolution": (1, 1),
            "metadata": {"axes": "TZYX", "spacing": 2, "unit": "um", "finterval": 5},
        },
    ],
    ids=["OME", "ImageJ"],
)
def test_steps_of_a_stack(tmp_path: Path, how: dict[str, object]) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((2, 3, 4, 5), np.uint8), **how)
    steps = axis_steps(tmp_path / "a.tif")
    assert (steps["z"], steps["t"]) == (Step(2, "micrometer"), Step(5, "second"))


def test_size_of_a_pixel_of_zarr(tmp_path: Path) -> None:
    path = ome_zarr(2)(tmp_path / "a", pixels_of(2))
    attributes = json.loads((path / ".zattrs").read_text())
    picture = attributes["multiscales"][0]
    scale = {"type": "scale", "scale": [1, 3, 2]}
    picture["datasets"][0]["coordinateTransformations"] = [scale]
    picture["coordinateTransformations"] = [{"type": "scale", "scale": [1, 0.5, 0.5]}]
    for axis in picture["axes"][1:]:
        axis["unit"] = "micrometer"
    (path / ".zattrs").write_text(json.dumps(attributes))
    assert axis_steps(path) == {"y": Step(1.5, "micrometer"), "x": Step(1, "micrometer")}
    (path / ".zattrs").write_text("{}")
    assert axis_steps(path) == {}
    assert axis_steps(write_png_of(tmp_path)) == {}


def write_png_of(folder: Path) -> Path:
    write_png(folder / "a.png", np.zeros((4, 5), np.uint8))
    return folder / "a.png"
