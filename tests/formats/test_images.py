from __future__ import annotations

import contextlib
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from napari_al.core.opencv import cv2
from napari_al.errors import InputError
from napari_al.formats.images import IMAGE_SUFFIXES, read_header, read_ids, read_image, write_png

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (12, 17, 3), dtype=np.uint8)
GREY = RGB[..., 0]
GREY16 = RNG.integers(0, 65536, (12, 17), dtype=np.uint16)
RGB16 = RNG.integers(0, 65536, (12, 17, 3), dtype=np.uint16)
FLOATS = RNG.random((12, 17, 5), dtype=np.float32)
ALPHA = np.full((12, 17, 1), 7, np.uint8)


def _pil(array: NDArray[Any], mode: str | None = None, **options: Any) -> Callable[[Path], None]:
    def save(path: Path) -> None:
        picture = Image.fromarray(array)
        (picture.convert(mode) if mode else picture).save(path, **options)

    return save


def _tif(array: NDArray[Any], **options: Any) -> Callable[[Path], None]:
    return lambda path: tifffile.imwrite(path, array, **options)


def _cv2(array: NDArray[Any], *options: int) -> Callable[[Path], None]:
    def save(path: Path) -> None:
        bgr = array[..., ::-1] if array.ndim == 3 else array
        assert cv2.imwrite(str(path), bgr, options)

    return save


def _palette(path: Path) -> None:
    picture = Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4) % 3)
    picture.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    picture.save(path)


def _grey_alpha_16(path: Path) -> None:
    """Write what Pillow and OpenCV cannot: 16-bit grey with alpha."""
    rows = np.stack([GREY16, np.full_like(GREY16, 9)], 2).astype(">u2")
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    path.write_bytes(_png(rows.shape[1], rows.shape[0], 16, 4, raw))


def _png(width: int, height: int, bits: int, colours: int, raw: bytes) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    start = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colours, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + start + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")


PALETTE_IDS = (np.arange(12).reshape(3, 4) % 3).astype(np.uint8)
COLORMAP = np.zeros((3, 256), np.uint16)
COLORMAP[:, :3] = np.eye(3, dtype=np.uint16) * 65535
CMYK = np.array([[[0, 0, 0, 0], [255, 0, 0, 0], [0, 0, 0, 127], [9, 9, 9, 255]]], np.uint8)
PALETTE = np.eye(3, dtype=np.uint8)[np.arange(12).reshape(3, 4) % 3] * 255
CHANNELS_FIRST = np.moveaxis(FLOATS, -1, 0)

# What is stored, and what must come back.
EXACT: dict[str, tuple[str, Callable[[Path], None], NDArray[Any]]] = {
    "grey png": ("a.png", _pil(GREY), GREY[..., None]),
    "rgb png": ("a.png", _pil(RGB), RGB),
    "rgba png": ("a.png", _pil(np.concatenate([RGB, ALPHA], 2)), RGB),
    "grey alpha png": ("a.png", _pil(np.stack([GREY, ALPHA[..., 0]], 2)), GREY[..., None]),
    "palette png": ("a.png", _palette, PALETTE),
    "1 bit png": (
        "a.png",
        _pil(GREY > 99, "1"),
        ((GREY > 99) * np.uint8(255))[..., None].astype(np.uint8),
    ),
    "16 bit grey png": ("a.png", _pil(GREY16), GREY16[..., None]),
    "16 bit rgb png": ("a.png", _cv2(RGB16), RGB16),
    "suffix in capitals": ("a.PNG", _pil(RGB), RGB),
    "bmp": ("a.bmp", _pil(RGB), RGB),
    "grey bmp": ("a.bmp", _pil(GREY), GREY[..., None]),
    "grey tif": ("a.tif", _tif(GREY), GREY[..., None]),
    "rgb tif": ("a.tiff", _tif(RGB, photometric="rgb"), RGB),
    "rgba tif": ("a.tif", _tif(np.concatenate([RGB, ALPHA], 2), photometric="rgb"), RGB),
    "planar rgb tif": (
        "a.tif",
        _tif(np.moveaxis(RGB, -1, 0), photometric="rgb", planarconfig="separate"),
        RGB,
    ),
    "16 bit tif": ("a.tif", _tif(GREY16), GREY16[..., None]),
    "16 bit rgb tif": ("a.tif", _tif(RGB16, photometric="rgb"), RGB16),
    "float tif": ("a.tif", _tif(FLOATS[..., 0]), FLOATS[..., :1]),
    "double tif": ("a.tif", _tif(FLOATS[..., 0].astype(np.float64)), FLOATS[..., :1]),
    "signed tif": (
        "a.tif",
        _tif(GREY.astype(np.int16) - 99),
        (GREY.astype(np.float32) - 99)[..., None],
    ),
    "5 samples": (
        "a.tif",
        _tif(FLOATS, photometric="minisblack", planarconfig="contig"),
        FLOATS,
    ),
    "channels by name": (
        "a.tif",
        _tif(CHANNELS_FIRST, photometric="minisblack", metadata={"axes": "CYX"}),
        FLOATS,
    ),
    "palette tif": (
        "a.tif",
        _tif(PALETTE_IDS, photometric="palette", colormap=COLORMAP),
        PALETTE,
    ),
    "cmyk tif": (
        "a.tif",
        _tif(CMYK, photometric="separated", planarconfig="contig"),
        np.array([[[255, 255, 255], [0, 255, 255], [128, 128, 128], [0, 0, 0]]], np.uint8),
    ),
    "white is zero": ("a.tif", _tif(GREY, photometric="miniswhite"), 255 - GREY[..., None]),
    "white is zero, 16 bit": (
        "a.tif",
        _tif(GREY16, photometric="miniswhite"),
        65535 - GREY16[..., None],
    ),
    "grey alpha tif": (
        "a.tif",
        _tif(
            np.stack([GREY, ALPHA[..., 0]], 2),
            photometric="minisblack",
            planarconfig="contig",
            extrasamples=["unassalpha"],
        ),
        GREY[..., None],
    ),
    "rgb and near infrared": (
        "a.tif",
        _tif(np.concatenate([RGB, ALPHA], 2), photometric="rgb", extrasamples=["unspecified"]),
        np.concatenate([RGB, ALPHA], 2),
    ),
    "4 bit grey png": ("a.png", _pil(GREY % 16, bits=4), (GREY % 16 * 17)[..., None]),
    "lossless webp": ("a.webp", _pil(RGB, lossless=True), RGB),
    "16 bit grey alpha png": ("a.png", _grey_alpha_16, GREY16[..., None]),
    "imagej channels": (
        "a.tif",
        _tif(CHANNELS_FIRST, imagej=True, metadata={"axes": "CYX"}),
        FLOATS,
    ),
    "deflate": ("a.tif", _tif(GREY, compression="zlib"), GREY[..., None]),
    "lzw": ("a.tif", _pil(RGB, compression="tiff_lzw"), RGB),
    "lzw 16 bit": ("a.tif", _cv2(RGB16, 259, 5), RGB16),
    "one pixel": ("a.png", _pil(GREY[:1, :1]), GREY[:1, :1, None]),
    "one row": ("a.tif", _tif(GREY[:1]), GREY[:1, :, None]),
}


@pytest.mark.parametrize(("name", "save", "expected"), EXACT.values(), ids=EXACT.keys())
def test_pixels_come_as_stored(
    tmp_path: Path, name: str, save: Callable[[Path], None], expected: NDArray[Any]
) -> None:
    path = tmp_path / name
    save(path)
    pixels = read_image(path)
    np.testing.assert_array_equal(pixels, expected)
    assert pixels.dtype == expected.dtype
    header = read_header(path)
    assert (*header.shape, header.n_channels) == pixels.shape
    assert header.dtype == pixels.dtype.name


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK", "YCbCr"])
def test_jpeg_is_grey_or_rgb(tmp_path: Path, mode: str) -> None:
    smooth = np.linspace(0, 255, 64 * 48).reshape(48, 64).astype(np.uint8)
    path = tmp_path / "a.jpg"
    Image.fromarray(np.stack([smooth] * 3, 2)).convert(mode).save(path, quality=95)
    pixels = read_image(path)
    assert pixels.shape == (48, 64, 1 if mode == "L" else 3)
    assert np.abs(pixels.astype(int) - smooth[..., None]).max() < 12
    assert read_header(path).n_channels == pixels.shape[2]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_jpeg_is_turned_upright(tmp_path: Path, orientation: int) -> None:
    picture = Image.fromarray(np.kron([[0, 80], [160, 240]], np.ones((16, 24))).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "a.jpg"
    picture.save(path, quality=95, exif=exif)
    pixels = read_image(path)[..., 0]
    stored = np.asarray(picture)
    upright = {
        1: stored, 2: stored[:, ::-1], 3: stored[::-1, ::-1], 4: stored[::-1],
        5: stored.T, 6: stored.T[:, ::-1], 7: stored[::-1, ::-1].T, 8: stored.T[::-1],
    }[orientation]  # fmt: skip
    assert read_header(path).shape == pixels.shape == upright.shape
    assert np.abs(pixels.astype(int) - upright).max() < 12


def _png_that_says(width: int, height: int) -> bytes:
    return _png(width, height, 8, 2, b"")


def _tif_that_says(path: Path, width: int, height: int) -> None:
    tifffile.imwrite(path, np.zeros((4, 4), np.uint8))
    with tifffile.TiffFile(path, mode="r+b") as file:
        file.pages.first.tags["ImageWidth"].overwrite(width)
        file.pages.first.tags["ImageLength"].overwrite(height)


@pytest.mark.parametrize("size", [(9000, 9000), (20_000, 20_000), (2**31 - 1, 2**31 - 1)])
@pytest.mark.parametrize("read", [read_header, read_image, read_ids])
def test_a_bomb_is_refused_before_it_is_decoded(
    tmp_path: Path, size: tuple[int, int], read: Callable[[Path], object]
) -> None:
    png, tif = tmp_path / "a.png", tmp_path / "a.tif"
    png.write_bytes(_png_that_says(*size))
    _tif_that_says(tif, *size)
    for path in (png, tif):
        with pytest.raises(InputError, match=path.name):
            read(path)


def test_a_refusal_states_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(_png_that_says(9000, 9000))
    with pytest.raises(InputError, match=r"9000 x 9000.*67,108,864 pixels.*OME-Zarr"):
        read_header(path)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".bmp"])
def test_a_file_that_is_cut_short_is_noticed_from_its_header(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    save = _tif(RGB, photometric="rgb") if suffix == ".tif" else _pil(RGB)
    save(path)
    path.write_bytes(path.read_bytes()[:-120])
    with pytest.raises(InputError, match=path.name):
        read_header(path)
    with pytest.raises(InputError, match=path.name):
        read_image(path)


def test_bytes_after_the_end_do_no_harm(tmp_path: Path) -> None:
    for suffix in (".png", ".jpg", ".tif"):
        path = tmp_path / f"a{suffix}"
        Image.fromarray(RGB).save(path)
        path.write_bytes(path.read_bytes() + b"appended by a phone")
        assert read_header(path).shape == RGB.shape[:2]


UNREADABLE: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "empty": ("a.png", lambda p: p.touch(), "empty"),
    "text": ("a.jpg", lambda p: p.write_text("hello"), "not a picture"),
    "text as tif": ("a.tif", lambda p: p.write_text("hello"), "not a picture"),
    "animation": (
        "a.webp",
        lambda p: Image.fromarray(RGB).save(
            p, save_all=True, append_images=[Image.fromarray(255 - RGB)]
        ),
        "2 frames",
    ),
    "Lab": ("a.tif", lambda p: Image.fromarray(RGB).convert("LAB").save(p), "save it as RGB"),
    "another format": ("a.png", lambda p: Image.fromarray(RGB).save(p, format="GIF"), "not a pict"),
    "a folder": ("a.png", lambda p: p.mkdir(), "is not a file"),
    "dangling link": ("a.png", lambda p: p.symlink_to("nowhere"), "link to nothing"),
    "missing": ("a.png", lambda p: None, "is not a file"),
    "complex": ("a.tif", lambda p: tifffile.imwrite(p, np.zeros((4, 4), np.complex64)), "complex"),
    "stack": (
        "a.tif",
        lambda p: tifffile.imwrite(p, np.zeros((3, 8, 9), np.uint8), metadata={"axes": "ZYX"},
                                   photometric="minisblack"),
        "stack",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("name", "make", "says"), UNREADABLE.values(), ids=UNREADABLE.keys())
def test_what_is_no_picture_is_refused(
    tmp_path: Path, name: str, make: Callable[[Path], object], says: str
) -> None:
    path = tmp_path / name
    make(path)
    for read in (read_header, read_image):
        with pytest.raises(InputError, match=says):
            read(path)


def test_pages_that_do_not_say_what_they_are(tmp_path: Path) -> None:
    for array in (CHANNELS_FIRST, FLOATS):  # (5, H, W), and (H, W, 5) as H pages
        path = tmp_path / "a.tif"
        tifffile.imwrite(path, array, photometric="minisblack")
        for read in (read_header, read_image):
            with pytest.raises(InputError, match=r"pages and does not say.*images\.pages=channels"):
                read(path)
        np.testing.assert_array_equal(read_image(path, "channels"), FLOATS)
        assert read_header(path, "channels").n_channels == 5


def test_what_is_dropped_is_noted(tmp_path: Path) -> None:
    _pil(np.concatenate([RGB, ALPHA], 2))(tmp_path / "a.png")
    assert read_header(tmp_path / "a.png").notes == ("alpha is dropped",)
    _tif(RGB, photometric="rgb")(tmp_path / "b.tif")
    assert read_header(tmp_path / "b.tif").notes == ()


def test_nodata_of_a_georeferenced_file(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, GREY16, extratags=[(42113, "s", 0, "-9999", True)])
    assert read_header(path).nodata == -9999


def test_several_pictures_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as file:
        file.write(GREY, metadata=None)
        file.write(np.zeros((40, 50), np.uint8), metadata=None)
    with pytest.raises(InputError, match="2 pictures"):
        read_image(path)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_ids_of_few_bits_are_not_spread(bits: int, tmp_path: Path) -> None:
    ids = GREY % 2**bits
    _pil(ids, bits=bits)(tmp_path / "a.png")
    np.testing.assert_array_equal(read_ids(tmp_path / "a.png"), ids)


IDS: dict[str, tuple[str, Callable[[Path], None], NDArray[Any]]] = {
    "grey": ("a.png", _pil(GREY), GREY),
    "16 bit": ("a.png", _pil(GREY16), GREY16),
    "palette": ("a.png", _palette, np.arange(12).reshape(3, 4) % 3),
    "1 bit": ("a.png", _pil(GREY > 99, "1"), GREY > 99),
    "tif": ("a.tif", _tif(GREY16), GREY16),
    "32 bit tif": ("a.tif", _tif(GREY16.astype(np.int32) * 9), GREY16.astype(np.int32) * 9),
}


@pytest.mark.parametrize(("name", "save", "expected"), IDS.values(), ids=IDS.keys())
def test_ids_come_as_stored(
    tmp_path: Path, name: str, save: Callable[[Path], None], expected: NDArray[Any]
) -> None:
    path = tmp_path / name
    save(path)
    np.testing.assert_array_equal(read_ids(path), expected)


@pytest.mark.parametrize(
    ("name", "array", "says"),
    [
        ("a.png", RGB, "colour picture"),
        ("a.jpg", GREY, "JPEG"),
        ("a.tif", FLOATS[..., 0], "whole numbers"),
    ],
)
def test_a_picture_without_ids_is_refused(
    tmp_path: Path, name: str, array: NDArray[Any], says: str
) -> None:
    path = tmp_path / name
    if path.suffix == ".tif":
        tifffile.imwrite(path, array)
    else:
        Image.fromarray(array).save(path)
    with pytest.raises(InputError, match=says):
        read_ids(path)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_written_ids_are_read_back(tmp_path: Path, dtype: type) -> None:
    ids = np.arange(12, dtype=dtype).reshape(3, 4)
    write_png(tmp_path / "a.png", ids)
    np.testing.assert_array_equal(read_ids(tmp_path / "a.png"), ids)
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write_png(path, GREY)
    with pytest.raises(TypeError):
        write_png(path, np.zeros((2, 2), np.complex128))  # type: ignore[arg-type]
    np.testing.assert_array_equal(read_ids(path), GREY)
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_damage_gives_pixels_or_an_input_error_and_nothing_else(
    tmp_path: Path, data: st.DataObject
) -> None:
    suffix = data.draw(st.sampled_from(IMAGE_SUFFIXES))
    path = tmp_path / f"a{suffix}"
    (_tif(RGB, photometric="rgb") if "tif" in suffix else _pil(RGB))(path)
    content = bytearray(path.read_bytes())
    places = st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255))
    for at, value in data.draw(st.lists(places, min_size=1, max_size=8)):
        content[at] = value
    path.write_bytes(content)
    for read in (read_header, read_image, read_ids):
        with contextlib.suppress(InputError):
            read(path)
