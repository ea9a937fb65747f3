"""Each row of the tables of file kinds in docs/data-folder.md, as a data folder is opened."""

from __future__ import annotations

import json
import re
import struct
import unicodedata
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_al.core import IGNORE
from napari_al.errors import InputError
from napari_al.formats import images as images_module
from napari_al.formats.dataset import DataFolder
from napari_al.formats.exchange.export import WRITERS
from napari_al.formats.image_rules import ImageRules
from napari_al.tools.import_labels import READERS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    Save = Callable[[Path], object]

PAGE = (Path(__file__).parents[2] / "docs" / "data-folder.md").read_text(encoding="utf-8")
RNG = np.random.default_rng(0)
RGB = RNG.integers(1, 255, (12, 17, 3), dtype=np.uint8)
GREY = RGB[..., 0]
GREY16 = RNG.integers(0, 65536, (12, 17), dtype=np.uint16)
RGB16 = RNG.integers(0, 65536, (12, 17, 3), dtype=np.uint16)
FLOATS = RNG.normal(size=(12, 17)).astype(np.float32)
CMYK = np.dstack([RGB, GREY])
OF_CMYK = np.rint((255.0 - RGB) * (255 - GREY[..., None]) / 255).astype(np.uint8)
COLOURS = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8)
IDS = (GREY % 2).astype(np.uint8)
PLANES = np.stack([GREY, 255 - GREY, GREY // 2])
HOLE = np.zeros(GREY.shape, bool)
HOLE[2:5, 3:9] = True


@dataclass(frozen=True)
class Read:
    """A file that is read: as these pixels or ids, with these words in a note."""

    name: str
    save: Save
    expected: NDArray[Any]
    note: str = ""
    rules: ImageRules | None = None
    image: str = "a"


@dataclass(frozen=True)
class Refused:
    """A file that is refused, with these words."""

    name: str
    save: Save
    says: str
    rules: ImageRules | None = None


def pil(pixels: NDArray[Any], mode: str | None = None, **options: Any) -> Save:
    def save(path: Path) -> None:
        picture = Image.fromarray(pixels)
        (picture.convert(mode) if mode else picture).save(path, **options)

    return save


def tif(pixels: NDArray[Any], **options: Any) -> Save:
    return lambda path: tifffile.imwrite(path, pixels, **{"photometric": "minisblack", **options})


def palette(path: Path) -> None:
    picture = Image.fromarray(GREY % 3)
    picture.putpalette(COLOURS.tobytes())
    picture.save(path)


def both(*saves: Save) -> Save:
    return lambda path: [save(path) for save in saves]


def beside(name: str, save: Save) -> Save:
    return lambda path: save(path.with_name(name))


def cut(save: Save, n_bytes: int) -> Save:
    return both(save, lambda path: path.write_bytes(path.read_bytes()[:-n_bytes]))


def orientation(value: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


def nodata(value: str) -> dict[str, Any]:
    return {"extratags": [(42113, "s", 0, value, True)]}


def masked(path: Path) -> None:
    with tifffile.TiffWriter(path) as file:
        file.write(RGB, photometric="rgb", metadata=None)
        file.write(HOLE, photometric="mask", subfiletype=4, metadata=None)


def pages(*pictures: NDArray[Any]) -> Save:
    def save(path: Path) -> None:
        with tifffile.TiffWriter(path) as file:
            for picture in pictures:
                file.write(picture, metadata=None)

    return save


def lacks_pages(path: Path) -> None:
    tifffile.imwrite(path, PLANES, ome=True, metadata={"axes": "ZYX"}, photometric="minisblack")
    content = path.read_bytes().replace(b'SizeZ="3"', b'SizeZ="5"')
    path.write_bytes(content.replace(b'PlaneCount="3"', b'PlaneCount="5"'))


def one_of_several(path: Path) -> None:
    names = (path.name, "b.tif")
    start = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:{}"><Image '
        'ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" SizeX="17" '
        'SizeY="12" SizeC="1" SizeZ="2" SizeT="1"><Channel ID="Channel:0:0"/>'
    )
    planes = "".join(
        f'<TiffData FirstZ="{i}" IFD="0" PlaneCount="1"><UUID FileName="{name}">urn:uuid:{i}</UUID>'
        "</TiffData>"
        for i, name in enumerate(names)
    )
    for i, name in enumerate(names):
        text = start.format(i) + planes + "</Pixels></Image></OME>"
        tifffile.imwrite(path.with_name(name), GREY, description=text, metadata=None)


def ngff(version: str, pixels: NDArray[Any], axes: str) -> Save:
    """Write an OME-Zarr of two resolutions."""

    def save(path: Path) -> None:
        zarr = pytest.importorskip("zarr")
        group = zarr.open_group(path, mode="w", zarr_format=3 if version == "0.5" else 2)
        if version < "0.3":  # no axes are named: always tczyx
            pixels_ = pixels.reshape([1] * (5 - pixels.ndim) + [*pixels.shape])
            picture: dict[str, Any] = {}
        else:
            pixels_ = pixels
            picture = {"axes": list(axes) if version == "0.3" else [{"name": a} for a in axes]}
        group.create_array("0", data=pixels_)
        group.create_array("1", data=pixels_[..., ::2, ::2])
        picture |= {"version": version, "datasets": [{"path": "0"}, {"path": "1"}]}
        found = {"multiscales": [picture]}
        group.attrs.update({"ome": found} if version == "0.5" else found)

    return save


def bioformats2raw(n_pictures: int) -> Save:
    def save(path: Path) -> None:
        zarr = pytest.importorskip("zarr")
        for i in range(n_pictures):
            ngff("0.4", GREY + np.uint8(i), "yx")(path / str(i))
        zarr.open_group(path, mode="a", zarr_format=2).attrs["bioformats2raw.layout"] = 3

    return save


def linked(path: Path) -> None:
    bioformats2raw(2)(path.parents[3] / "slide.zarr")
    path.symlink_to(path.parents[3] / "slide.zarr" / "1")


def png_that_says(width: int, height: int) -> Save:
    def chunk(kind: bytes, body: bytes) -> bytes:
        code = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + code

    start = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    content = b"\x89PNG\r\n\x1a\n" + start + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    return lambda path: path.write_bytes(content)


def grey(pixels: NDArray[Any]) -> NDArray[Any]:
    return pixels[..., None]


DEEP_JP2 = {"codecformat": "jp2", "level": 0}
INFRARED = np.dstack([RGB, GREY])
CHANNELS = ImageRules(pages="channels")
STACK = ImageRules(pages="planes")
SPREAD = "bit values are spread over 0 to 255"
FLOAT = "numbers are read as float32"
VALID = np.where(HOLE, 0, GREY)
FILLED = grey(np.where(HOLE, np.uint8(np.median(GREY[~HOLE])), GREY))

ROWS: dict[str, list[Read | Refused]] = {
    "grey, RGB (PNG, JPEG, TIFF, BMP, WebP; JPEG 2000 where Pillow has the codec)": [
        Read("a.png", pil(GREY), grey(GREY)),
        Read("a.PNG", pil(RGB16[..., 0]), grey(RGB16[..., 0])),
        Read("a b é.tiff", tif(RGB16, photometric="rgb"), RGB16, image="a b é"),
        Read("a.BMP", pil(RGB), RGB),
        Read("a.webp", pil(RGB, lossless=True), RGB),
        Read("a.jp2", pil(GREY16, irreversible=False), grey(GREY16)),
        Read(
            "a.jp2",
            lambda path: path.write_bytes(imagecodecs.jpeg2k_encode(RGB16, **DEEP_JP2)),
            RGB16,
        ),
        Read(
            "a.jp2",
            lambda path: path.write_bytes(
                imagecodecs.jpeg2k_encode(RGB16 // 16, codecformat="j2k", level=0)
            ),
            RGB16 // 16,
        ),
        Read("a.tif", tif(GREY16, byteorder=">"), grey(GREY16)),
    ],
    "orientation tag": [
        Read("a.jpg", pil(RGB * 0, exif=orientation(6)), np.zeros((17, 12, 3), np.uint8)),
        Read("a.png", pil(RGB, exif=orientation(6)), RGB, "the orientation tag is not applied"),
        Read(
            "a.webp",
            pil(RGB, exif=orientation(3), lossless=True),
            RGB,
            "the orientation tag is not applied",
        ),
        Read("a.tif", pil(RGB, tiffinfo={274: 6}), RGB, "the orientation tag is not applied"),
    ],
    "palette": [
        Read("a.png", palette, COLOURS[GREY % 3], "the palette is read as RGB"),
        Read("a.bmp", palette, COLOURS[GREY % 3], "the palette is read as RGB"),
        Read("a.tif", palette, COLOURS[GREY % 3], "the palette is read as RGB"),
    ],
    "CMYK": [
        Read("a.jpg", pil(RGB * 0, "CMYK"), RGB * 0, "CMYK is read as RGB"),
        Read(
            "a.tif",
            tif(CMYK, photometric="separated", planarconfig="contig"),
            OF_CMYK,
            "CMYK is read as RGB",
        ),
        Read(
            "a.tif",
            tif(
                np.dstack([CMYK, GREY]),
                photometric="separated",
                planarconfig="contig",
                extrasamples=["unspecified"],
            ),
            OF_CMYK,
            "inks beside CMYK are dropped",
        ),
        Refused(
            "a.tif",
            tif(CMYK / 255, photometric="separated", planarconfig="contig"),
            "colours of the kind SEPARATED",
        ),
    ],
    'TIFF "white is zero"': [
        Read(
            "a.tif",
            tif(GREY, photometric="miniswhite"),
            grey(255 - GREY),
            "white is zero, which is turned round",
        ),
        Read("a.tif", tif(FLOATS, photometric="miniswhite"), grey(-FLOATS), "turned round"),
        Read(
            "a.tif",
            tif((GREY - 99.0).astype(np.int16), photometric="miniswhite"),
            grey(99 - GREY.astype(np.float32)),
            "turned round",
        ),
    ],
    "grey or RGB with alpha, TIFF with a mask": [
        Read("a.png", pil(np.dstack([GREY, GREY])), grey(GREY), "alpha is dropped"),
        Read("a.png", pil(GREY, transparency=3), grey(GREY), "alpha is dropped"),
        Read("a.webp", pil(CMYK, lossless=True, exact=True), RGB, "alpha is dropped"),
        Read("a.tif", tif(CMYK, photometric="rgb"), RGB, "alpha is dropped"),
        Read("a.tif", masked, RGB, "its mask is not applied"),
    ],
    "TIFF with unspecified extra samples (RGB + near infrared)": [
        Read("a.tif", tif(INFRARED, photometric="rgb", extrasamples=["unspecified"]), INFRARED)
    ],
    "TIFF in planes, tiles, strips; any compression that imagecodecs knows": [
        Read("a.tif", tif(RGB, photometric="rgb", tile=(16, 16), compression="zstd"), RGB),
        Read("a.tif", tif(RGB, photometric="rgb", rowsperstrip=5, compression="lzw"), RGB),
        Read(
            "a.tif",
            tif(np.moveaxis(RGB, 2, 0), photometric="rgb", planarconfig="separate"),
            RGB,
        ),
        Read("a.tif", pil(RGB * 0 + 90, compression="jpeg"), RGB * 0 + 90),
        Read("a.tif", pil(RGB * 0 + 90, "YCbCr", compression="jpeg"), RGB * 0 + 90),
    ],
    "TIFF with a channel axis (OME, ImageJ)": [
        Read("a.tif", tif(PLANES, ome=True, metadata={"axes": "CYX"}), np.moveaxis(PLANES, 0, 2)),
        Read(
            "a.tif", tif(PLANES, imagej=True, metadata={"axes": "CYX"}), np.moveaxis(PLANES, 0, 2)
        ),
    ],
    "TIFF of several pages without a name for them": [
        Refused("a.tif", tif(PLANES), r"3 pages.*images\.pages=channels.*images\.pages=planes"),
        Read("a.tif", tif(PLANES), np.moveaxis(PLANES, 0, 2), rules=CHANNELS),
        Read("a.tif", tif(PLANES), grey(PLANES[2]), rules=STACK, image="a@z2"),
        Refused("a.tif", tif(np.stack([RGB, RGB]), photometric="rgb"), r"2 pages.*pages=planes"),
        Read(
            "a.tif",
            tif(np.stack([255 - RGB, RGB]), photometric="rgb"),
            RGB,
            rules=STACK,
            image="a@z1",
        ),
        Refused(
            "a.tif",
            tif(np.stack([RGB, RGB]), photometric="rgb"),
            "has the axes",
            rules=CHANNELS,
        ),
    ],
    "TIFF that is one of several files of a picture, or lacks pages that it speaks of": [
        Refused("a.tif", one_of_several, "one of several files that hold one picture"),
        Refused(
            "a.tif",
            both(one_of_several, lambda path: path.with_name("b.tif").unlink()),
            "speaks of 2 pages, of which 1 are missing",
        ),
        Refused("a.tif", lacks_pages, "speaks of 5 pages, of which 2 are missing"),
    ],
    "TIFF and OME-Zarr with z or time": [
        Read("a.tif", tif(PLANES, metadata={"axes": "ZYX"}), grey(PLANES[1]), image="a@z1"),
        Read("a.zarr", ngff("0.4", PLANES, "tyx"), grey(PLANES[2]), "1 stack", image="a@t2"),
    ],
    "OME-Zarr 0.1 to 0.5 (a folder `NAME.zarr`; extra `zarr`)": [
        Read("a.zarr", ngff(version, PLANES, "cyx"), np.moveaxis(PLANES, 0, 2))
        for version in ("0.3", "0.4", "0.5")
    ]
    + [
        Read("a.zarr", ngff(version, PLANES[:, None], "czyx"), np.moveaxis(PLANES, 0, 2))
        for version in ("0.1", "0.2")
    ],
    "OME-Zarr of bioformats2raw": [
        Read("a.zarr", bioformats2raw(1), grey(GREY)),
        Read("a.zarr", linked, grey(GREY + 1)),
        Refused("a.zarr", bioformats2raw(2), "holds 2 pictures"),
    ],
    "over 4096 x 4096 pixels, of any size": [
        Read(
            "a.tif",
            tif(np.tile(GREY, (20, 20))),
            grey(np.tile(GREY, (20, 20))[64:128, 128:192]),
            "1 large picture is asked about block by block",
            ImageRules(block_px=64),
            "a@y064x128",
        )
    ],
    "over 8192 x 8192 pixels or 1 GiB": [
        Refused("a.png", png_that_says(9000, 9000), "at most 67,108,864 pixels .* as OME-Zarr"),
        Refused("a.png", png_that_says(30_000, 30_000), "as OME-Zarr"),
    ],
    "TIFF of several pictures": [
        Refused("a.tif", pages(GREY, np.zeros((40, 50), np.uint8)), "holds 2 pictures"),
        Read(
            "a.tif",
            pages(GREY, GREY[:5, :7]),
            grey(GREY),
            "of several pictures in a file the first is read",
        ),
    ],
    "JPEG of several pictures (a preview, a depth map)": [
        Read(
            "a.jpg",
            pil(RGB * 0, format="MPO", save_all=True, append_images=[Image.fromarray(RGB)]),
            RGB * 0,
            "of several pictures in a file the first is read",
        )
    ],
    "TIFF in Lab, YCbCr without JPEG": [
        Refused("a.tif", pil(RGB, "LAB"), "save it as RGB"),
        Refused("a.tif", pil(RGB, "YCbCr"), "save it as RGB"),
        Refused("a.tif", tif(GREY, photometric="cfa"), "save it as RGB"),
    ],
    "1, 2 or 4 bits a pixel": [
        Read("a.png", pil(GREY % 16, bits=4), grey(GREY % 16 * 17), f"4-{SPREAD}"),
        Read("a.tif", tif(GREY % 4, bitspersample=2), grey(GREY % 4 * 85), f"2-{SPREAD}"),
        Read("a.bmp", pil(GREY > 99, "1"), grey((GREY > 99) * np.uint8(255)), f"1-{SPREAD}"),
        Read("a.tif", pil(GREY > 99, "1"), grey((GREY > 99) * np.uint8(255)), f"1-{SPREAD}"),
    ],
    "signed numbers, those of 32 or 64 bits": [
        Read("a.tif", tif(GREY16.astype(np.int32)), grey(GREY16.astype(np.float32)), FLOAT),
        Read("a.tif", tif(FLOATS.astype(np.float64)), grey(FLOATS), f"float64 {FLOAT}"),
        Read("a.tif", tif(GREY.view(np.int8)), grey(GREY.view(np.int8) * np.float32(1)), FLOAT),
        Read(
            "a.tif", tif(FLOATS.astype(np.float16)), grey(FLOATS.astype(np.float16) * np.float32(1))
        ),
        Read(
            "a.zarr",
            ngff("0.4", GREY16.astype(np.int64), "yx"),
            grey(GREY16 * np.float32(1)),
            FLOAT,
        ),
    ],
    "complex numbers": [Refused("a.tif", tif(FLOATS * 1j), "type complex64 cannot be used")],
    "animations (WebP, PNG)": [
        Refused(
            name, pil(RGB, save_all=True, append_images=[Image.fromarray(255 - RGB)]), "2 frames"
        )
        for name in ("a.webp", "a.png")
    ],
    "8-bit among 16-bit images": [
        Refused(
            "a.png",
            both(pil(GREY), beside("b.png", pil(GREY16)), beside("c.tif", tif(GREY16))),
            r"a\.png has 8-bit pixels.*images\.convert=true",
        ),
        Read(
            "a.png",
            both(pil(GREY), beside("b.png", pil(GREY16))),
            grey(GREY.astype(np.uint16) * 257),
            "1 8-bit image is read as 16-bit",
            ImageRules(convert=True),
        ),
    ],
    "grey among RGB images": [
        Refused(
            "a.png",
            both(pil(GREY), beside("b.png", pil(RGB)), beside("c.png", palette)),
            r"a\.png has 1 channel.*images\.convert=true",
        ),
        Read(
            "a.png",
            both(pil(GREY), beside("b.png", pil(RGB))),
            np.dstack([GREY] * 3),
            "1 grey image is read as RGB",
            ImageRules(convert=True),
        ),
    ],
    "floats among whole numbers, other numbers of channels": [
        Refused(
            "a.tif",
            both(tif(FLOATS), *(beside(f"{n}.png", pil(GREY)) for n in "bc")),
            r"a\.tif has float pixels",
            ImageRules(convert=True),
        ),
        Refused(
            "a.tif",
            both(
                tif(INFRARED, planarconfig="contig"), *(beside(f"{n}.png", pil(RGB)) for n in "bc")
            ),
            r"a\.tif has 4 channels",
            ImageRules(convert=True),
        ),
    ],
    "pixels without data (NaN, infinite, GDAL's nodata tag, `--set images.nodata=VALUE`)": [
        Read("a.tif", tif(VALID, **nodata("0")), FILLED),
        Read("a.tif", tif(VALID, **nodata("0 0 0")), FILLED),
        Read("a.png", pil(VALID), FILLED, rules=ImageRules(nodata=0)),
        Read(
            "a.tif", tif(255 - VALID, photometric="miniswhite", **nodata("255")), FILLED, "turned"
        ),
        Read("a.tif", tif(VALID, **nodata("none")), grey(VALID), "nodata tag is not a number"),
        Read("a.tif", tif(VALID, **nodata("nan")), grey(VALID)),
        Read("a.tif", tif(VALID, **nodata("-9999")), grey(VALID)),
        Read(
            "a.tif",
            tif(
                GREY % 3,
                photometric="palette",
                colormap=np.vstack([COLOURS, np.zeros((253, 3))]).T.astype(np.uint16) * 257,
                **nodata("1"),
            ),
            COLOURS[GREY % 3],
            "the nodata tag is not applied",
        ),
    ],
    "an image without any data": [
        Refused("a.png", pil(GREY * 0), "no pixel with data", ImageRules(nodata=0))
    ],
    "damaged, cut short, empty, or another format than its name says": [
        Refused("a.png", cut(pil(RGB), 99), r"a\.png"),
        Refused("a.jpg", cut(pil(RGB), 99), r"a\.jpg"),
        Refused("a.webp", cut(pil(RGB), 99), r"a\.webp"),
        Refused("a.jp2", cut(pil(RGB), 99), r"a\.jp2"),
        Refused("a.bmp", cut(pil(RGB), 99), r"a\.bmp"),
        Refused("a.tif", cut(tif(GREY), 99), r"a\.tif is cut short"),
        Refused("a.png", lambda path: path.touch(), "is an empty file"),
        Refused("a.png", pil(RGB, format="GIF"), "not a picture that can be read"),
        Refused("a.tif", pil(RGB, format="PNG"), "not a picture that can be read"),
        Refused("a.png", lambda path: path.symlink_to("nowhere.png"), "is a link to nothing"),
        Refused("a.zarr", lambda path: path.mkdir(), r"a\.zarr"),
    ],
    "files of other kinds (`.gif`, `.czi`, …)": [
        Read(
            "a.png",
            both(pil(RGB), beside("b.gif", pil(RGB)), beside("c.CZI", lambda path: path.touch())),
            RGB,
            "1 .czi, 1 .gif files are not read",
        ),
    ],
    "names that a project cannot keep (line breaks, backslashes, over 243 bytes), two images of "
    "one name": [
        Refused("a\n.png", pil(RGB), "letters in its name that cannot be kept"),
        Refused("a\\b.png", pil(RGB), "letters in its name that cannot be kept"),
        Refused("é" * 122 + ".png", pil(RGB), "name of over 243 bytes"),
        Read("é" * 121 + ".png", pil(RGB), RGB, image="é" * 121),
        Refused("a.png", both(pil(RGB), beside("a.bmp", pil(RGB))), "have the same name"),
    ],
}
MEANT = ImageRules(label_ids={255: 1})
HUNDREDS = ImageRules(label_ids={100: 1})
SPARSE = np.where(np.arange(IDS.size).reshape(IDS.shape) % 3, IDS, 2).astype(np.uint8)
LABELLED = np.where(SPARSE == 2, IGNORE, SPARSE).astype(np.uint8)
LABEL_ROWS: dict[str, list[Read | Refused]] = {
    "PNG, TIFF, BMP, OME-Zarr of one channel, palette indices": [
        Read("a.png", pil(IDS), IDS),
        Read("a.TIF", tif(IDS.astype(np.int32)), IDS),
        Read("a.bmp", pil(IDS > 0, "1"), IDS),
        Read("a.png", pil(IDS, bits=1), IDS),
        Read("a.tif", tif(IDS, bitspersample=1, photometric="miniswhite"), IDS),
        Read("a.png", both(palette, lambda p: p.unlink(), pil(IDS, "P")), IDS),
        Read(
            "a.tif",
            both(palette),
            np.where(GREY % 3 == 2, 0, GREY % 3).astype(np.uint8),
            rules=ImageRules(label_ids={2: 0}),
        ),
        Read("a.zarr", ngff("0.4", IDS.astype(np.uint16), "yx"), IDS),
    ],
    "only 0 and 255 where there is a class 1": [
        Refused("a.png", pil(IDS * 255), r"only 0 and 255.*stands for 'land'.*label_ids"),
        Read("a.png", pil(IDS * 255), IDS, rules=MEANT),
        Read("a.png", pil(IDS * 255), IDS * 255, rules=ImageRules(label_ids={255: 255})),
    ],
    "other values for classes": [
        Read(
            "a.tif",
            tif(np.where(IDS, -1, 40_000)),
            IDS,
            rules=ImageRules(label_ids={-1: 1, 40_000: 0}),
        ),
    ],
    "GDAL's nodata tag of a TIFF": [
        Read("a.tif", tif(SPARSE, **nodata("2")), LABELLED, "1 image: 2, the nodata value of its"),
        Read("a.tif", tif(SPARSE * 100, **nodata("200")), LABELLED, rules=HUNDREDS),
        Read("a.tif", tif(SPARSE, **nodata("2")), SPARSE % 2, rules=ImageRules(label_ids={2: 0})),
        Read("a.tif", tif(LABELLED, **nodata("255")), LABELLED),
        Read("a.tif", tif(IDS, **nodata("7")), IDS),
        Read("a.tif", tif(IDS, **nodata("nan")), IDS),
        Read("a.tif", tif(IDS, **nodata("-9999")), IDS),
        Read("a.tif", tif(IDS, **nodata("3.4028234663852886e+38")), IDS),
    ],
    "JPEG, WebP": [
        Read("a.jpg", pil(IDS), np.full_like(IDS, IGNORE), "1 .jpg file is not read in"),
        Read("a.webp", pil(RGB), np.full_like(IDS, IGNORE), "1 .webp file is not read in"),
    ],
    "colour pictures, alpha, animations, floats": [
        Refused("a.png", pil(RGB), "is a colour picture, or has alpha"),
        Refused("a.png", pil(np.dstack([IDS, IDS])), "is a colour picture, or has alpha"),
        Refused("a.png", pil(IDS, format="JPEG"), "is a JPEG, which changes ids"),
        Refused("a.tif", tif(IDS.astype(np.float32)), "float32 numbers; expected whole numbers"),
        Refused(
            "a.png", pil(IDS, save_all=True, append_images=[Image.fromarray(1 - IDS)]), "2 frames"
        ),
    ],
    "a value that is no class, another size than the image": [
        Refused("a.png", pil(IDS * 7), r"class id 7; .*label_ids=\{\"7\": 0\}"),
        Refused("a.tif", tif(IDS * np.uint16(65535)), "class id 65535"),
        Refused("a.png", pil(IDS.T.copy()), "is 12 x 17 pixels and its image is 17 x 12"),
        Refused("a.tif", tif(PLANES % 2, metadata={"axes": "ZYX"}), "is a stack"),
    ],
    "files that are named like no image, folders named `Labels`": [
        Read("a.png", both(pil(IDS), beside("b.png", pil(IDS))), IDS, "1 file has no image of the"),
        Refused("a_mask.png", pil(IDS), "'a_mask' is there, and an image is called 'a'"),
        Refused("a.png.png", pil(IDS), r"'a\.png' is there, and an image is called 'a'"),
        Read(
            "a.png",
            lambda path: path.parent.rename(path.parents[1] / "Labels"),
            np.full_like(IDS, IGNORE),
            "Labels is not read; its name has to be 'labels'",
        ),
    ],
}


def table(heading: str) -> list[str]:
    """First cells of the rows of a table of the page."""
    rows = PAGE.split(f"| {heading} |")[1].split("\n\n")[0].splitlines()[2:]
    return [re.split(r" \| ", row)[0].removeprefix("| ") for row in rows]


def cases(rows: Mapping[str, list[Read | Refused]]) -> list[Any]:
    return [
        pytest.param(case, id=f"{row} {number}")
        for row, of_row in rows.items()
        for number, case in enumerate(of_row, start=1)
    ]


def folder(path: Path) -> Path:
    for kind in ("images", "labels"):
        (path / "train" / kind).mkdir(parents=True)
    classes = [{"id": 0, "name": "sea"}, {"id": 1, "name": "land"}]
    (path / "classes.json").write_text(json.dumps(classes))
    return path


@pytest.mark.parametrize(
    ("heading", "rows"),
    [("file | what becomes of it", ROWS), ("labels | what becomes of them", LABEL_ROWS)],
)
def test_every_row_has_cases(heading: str, rows: Mapping[str, object]) -> None:
    assert table(heading) == list(rows)


def test_every_format_has_a_row() -> None:
    named = {row.split()[0].strip("`") for row in table("format | import | export")}
    assert named == set(READERS)
    assert {name.replace("png", "index") for name in WRITERS} <= named


@pytest.mark.parametrize("case", cases(ROWS))
def test_images(case: Read | Refused, tmp_path: Path) -> None:
    path = folder(tmp_path / "data")
    case.save(path / "train" / "images" / case.name)
    if isinstance(case, Refused):
        with pytest.raises(InputError, match=case.says):
            DataFolder.open(path, rules=case.rules).image("a")
        return
    data = DataFolder.open(path, rules=case.rules)
    pixels = data.image(case.image)
    np.testing.assert_array_equal(pixels, case.expected)
    assert pixels.dtype == case.expected.dtype
    notes = [
        note for note in data.notes if "one by one" not in note and "plane by plane" not in note
    ]
    assert case.note in " ".join(data.notes)
    assert case.note or not notes, "nothing is said where nothing is worth it"


@pytest.mark.parametrize("case", cases(LABEL_ROWS))
def test_labels(case: Read | Refused, tmp_path: Path) -> None:
    path = folder(tmp_path / "data")
    pil(RGB)(path / "train" / "images" / "a.png")
    case.save(path / "train" / "labels" / case.name)
    if isinstance(case, Refused):
        with pytest.raises(InputError, match=case.says):
            DataFolder.open(path, rules=case.rules)
        return
    data = DataFolder.open(path, rules=case.rules)
    labels = data.labels("a")
    np.testing.assert_array_equal(
        np.full_like(IDS, IGNORE) if labels is None else labels, case.expected
    )
    assert case.note in " ".join(data.notes)


def test_a_large_tiff_is_read_by_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("zarr")
    monkeypatch.setattr(images_module, "MAX_PIXELS", 10_000)
    path, picture = folder(tmp_path / "data"), np.tile(GREY, (20, 20))
    tif(picture, tile=(16, 16), compression="zlib")(path / "train" / "images" / "a.tif")
    data = DataFolder.open(path, rules=ImageRules(block_px=64))
    np.testing.assert_array_equal(data.image("a@y064x128")[..., 0], picture[64:128, 128:192])
    pil(picture)(path / "train" / "images" / "b.png")
    with pytest.raises(InputError, match=r"b\.png .* at most 10,000 pixels"):
        DataFolder.open(path)


def test_what_other_programs_leave_there_is_not_looked_at(tmp_path: Path) -> None:
    path = folder(tmp_path / "data")
    images = path / "train" / "images"
    pil(RGB)(images / "a.png")
    for name in ("Thumbs.db", "thumbs.db", "desktop.ini", ".DS_Store", "._a.png", ".hidden.png"):
        (images / name).touch()
    for name in ("@eaDir", "__MACOSX", ".thumbnails"):
        (images / name).mkdir()
        pil(RGB)(images / name / "SYNOPHOTO_THUMB.jpg")
    data = DataFolder.open(path)
    assert (data.train, data.notes) == (("a",), ())


def test_accents_are_the_same_however_they_are_stored(tmp_path: Path) -> None:
    path, name = folder(tmp_path / "data"), "Übersicht é"
    pil(RGB)(path / "train" / "images" / f"{name}.png")
    apart = unicodedata.normalize("NFD", name)
    pil(IDS)(path / "train" / "labels" / f"{apart}.png")
    data = DataFolder.open(path)
    assert (data.train, data.without("labels"), data.notes) == ((name,), (), ())


def test_initial_labels_of_0_and_255_are_doubted(tmp_path: Path) -> None:
    path = folder(tmp_path / "data")
    pil(RGB)(path / "train" / "images" / "a.png")
    (path / "train" / "initial_labels").mkdir()
    pil(IDS * 255)(path / "train" / "initial_labels" / "a.png")
    (note,) = DataFolder.open(path).notes
    assert note.startswith(f"The initial labels of {path} hold only 0 and 255")
    assert "--map 255='land' --as initial_labels" in note
