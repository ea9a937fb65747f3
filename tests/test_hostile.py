"""Files from elsewhere: whatever is in them, a parser returns what it promises or refuses it.

Refusing is an ``InputError`` (or None, or a shorter list, where a file counts as missing then).
Anything else would be a crash, and what a crash is to an annotator is lost work.

    FUZZ_EXAMPLES=2000 pytest tests/test_hostile.py      the long form
"""

from __future__ import annotations

import io
import json
import os
import tempfile
import tracemalloc
import zlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scenes import project_config, write_data
from tiny_backbones import write_backbone

from napari_al.core.clicks import Clicks
from napari_al.core.geometry.masks import Mask
from napari_al.core.regions import region_table
from napari_al.core.sieving import ConfidenceCurve
from napari_al.errors import InputError
from napari_al.formats.classes import read_classes
from napari_al.formats.images import read_header, read_ids, read_image
from napari_al.formats.polygons import read_polygons
from napari_al.formats.sample import sample_data_path
from napari_al.learning.segmenter import build_segmenter
from napari_al.learning.weights import load_segmenter, save_segmenter
from napari_al.methods.queries import Answer, Query, Region
from napari_al.session.log.unwritten_answers import read_rescue, write_rescue
from napari_al.session.pool.scores import PoolScores
from napari_al.session.project import cache_files
from napari_al.session.project.folder import Project
from napari_al.session.project.settings import read_settings
from napari_al.session.rounds.region_tables import (
    read_curves,
    read_table,
    write_curves,
    write_table,
)
from napari_al.session.session import Session
from napari_al.simulate.oracle import Oracle
from napari_al.simulate.sweep_plan import read_sweep

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_BYTES = 300 * 2**20
"""Of memory, for files of a few bytes."""


@dataclass(frozen=True)
class Parser:
    """A file as it should be, where it lies in a project folder, and who reads it."""

    file: str
    valid: Callable[[], bytes]
    read: Callable[[Path], Any]


def picture(suffix: str, pixels: np.ndarray) -> Callable[[], bytes]:
    return lambda: iio.imwrite("<bytes>", pixels, extension=suffix)


def in_project(read: Callable[[Project], Any]) -> Callable[[Path], Any]:
    def read_file(path: Path) -> Any:
        root = path.parent.parent if path.parent.name == "models" else path.parent
        return read(Project(root))

    return read_file


@cache
def config() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return project_config(write_data(Path(folder) / "data")).model_dump_json().encode()


@cache
def model() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        segmenter = build_segmenter("compact", 3, 2, mean=[0.0] * 3, std=[1.0] * 3, seed=0)
        save_segmenter(Path(folder) / "model", segmenter, {})
        return (Path(folder) / "model").read_bytes()


@cache
def model_of_transformers() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        backbone = write_backbone("dinov2-small", Path(folder) / "backbone")
        segmenter = build_segmenter(
            "dinov2-small", 3, 2, mean=[0.0] * 3, std=[1.0] * 3, seed=0, backbone=backbone
        )
        save_segmenter(Path(folder) / "model", segmenter, {})
        return (Path(folder) / "model").read_bytes()


@cache
def scores() -> bytes:
    held = PoolScores(
        ("a", "b"),
        np.int32([[4, 5], [6, 7]]),
        np.int32([0, 0, 1]),
        np.int32([0, 2, 1]),
        np.float64([0.5, 0.25, -np.inf]),
        pixel=np.int32([19, 0, 41]),
        features=np.float32([[0.5, 0.5]] * 3),
        base_group=np.int32([0, 0, 2, 1, 1]),
        base_offset=np.int64([0, 3, 5]),
    )
    with tempfile.TemporaryDirectory() as folder:
        held.save(Path(folder) / "scores")
        return (Path(folder) / "scores").read_bytes()


@cache
def ids(highest: int) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ids.png"
        cache_files.write_ids(path, np.arange(20, dtype=np.int32).reshape(4, 5) * (highest // 20))
        return path.read_bytes()


@cache
def rescued() -> bytes:
    query = Query(Region("a/b", (3,), Mask((0, 0, 2, 3), (1, 5))), "dominant", 0.5, 1, 0)
    answers = [Answer(query, (n,), Clicks(1), seconds=1.5) for n in range(3)]
    with tempfile.TemporaryDirectory() as folder:
        return write_rescue(Path(folder), [tuple(answers[:2]), tuple(answers[2:])]).read_bytes()


@cache
def table() -> bytes:
    probs = torch.rand(2, 4, 5, generator=torch.Generator().manual_seed(0))
    ids = np.arange(20, dtype=np.int32).reshape(4, 5) // 5
    with tempfile.TemporaryDirectory() as folder:
        write_table(Path(folder) / "table", region_table(probs / probs.sum(0), ids, 4))
        return (Path(folder) / "table").read_bytes()


@cache
def curves() -> bytes:
    held = {"a": ConfidenceCurve(np.float64([0.9, 0.5]), 1), "b": ConfidenceCurve(np.ones(3), None)}
    with tempfile.TemporaryDirectory() as folder:
        write_curves(Path(folder) / "curves", held)
        return (Path(folder) / "curves").read_bytes()


RGB = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
GREY = np.arange(20, dtype=np.uint8).reshape(4, 5)
CLASSES = b'[{"id": 0, "name": "sky", "color": "#808080"}, {"id": 1, "name": "sea"}]'
CITYSCAPES = b'{"imgWidth": 5, "objects": [{"label": "sky", "polygon": [[0, 0], [4, 0], [4, 3]]}]}'
LABELME = (
    b'{"version": "5", "shapes": [{"label": "sky", "points": [[0, 0], [4, 3]], '
    b'"shape_type": "rectangle", "flags": {}}], "imageData": null}'
)
SETTINGS = b'budget = 300\n[method]\nname = "mine"\nmerging = "adaptive"\n[training]\nsteps = 9\n'
SWEEP = (
    b'rounds = 2\nmethods = ["random"]\n[grid]\n"acquisition.epsilon" = [0.1]\n'
    b"[data.a]\npath = %s\n"
)
ROUNDS = b"round,queries,clicks,model_miou\n1,10,10,0.5\n2,20,21,\n"
ROUND = b'{"log_seq": 4, "row": {"round": 1, "model_miou": 0.5}, "model_iou": [null, 0.5]}'
LINES = b'{"round": 1, "step": 1, "loss": 0.5}\n{"round": 1, "step": 2, "loss": null}\n'

PARSERS = {
    "config.json": Parser("config.json", config, in_project(Project.read_config)),
    "classes.json": Parser("classes.json", lambda: CLASSES, read_classes),
    "Cityscapes polygons": Parser("polygons.json", lambda: CITYSCAPES, read_polygons),
    "labelme polygons": Parser("polygons.json", lambda: LABELME, read_polygons),
    "settings.toml": Parser("settings.toml", lambda: SETTINGS, read_settings),
    "settings.json": Parser("settings.json", lambda: b'{"budget": 300}', read_settings),
    "rounds.csv": Parser("rounds.csv", lambda: ROUNDS, in_project(Project.read_rounds)),
    "round_NN.json": Parser(
        "models/round_01.json", lambda: ROUND, in_project(lambda project: project.read_round(1))
    ),
    "training.jsonl": Parser("training.jsonl", lambda: LINES, in_project(Project.read_training)),
    "unsaved answers": Parser("unsaved-1.json", rescued, read_rescue),
    "looked_at": Parser(
        "cache/looked_at",
        lambda: b"a/b",
        lambda path: Project(path.parent.parent).read_looked_at(),
    ),
    "model": Parser("model.safetensors", model, load_segmenter),
    "model of transformers": Parser("model.safetensors", model_of_transformers, load_segmenter),
    "scores": Parser("scores.safetensors", scores, PoolScores.load),
    "table": Parser("table.safetensors", table, read_table),
    "curves": Parser("curves.safetensors", curves, read_curves),
    "sweep": Parser(
        "sweep.toml", lambda: SWEEP % json.dumps(str(sample_data_path())).encode(), read_sweep
    ),
    "region map": Parser("ids.png", lambda: ids(2000), cache_files.read_ids),
    "region map, many": Parser("ids.png", lambda: ids(2 * 10**6), cache_files.read_ids),
    "class map": Parser("map.png", picture(".png", GREY), cache_files.read_class_map),
    "header": Parser("image.png", picture(".png", RGB), read_header),
    "png": Parser("image.png", picture(".png", RGB), read_image),
    "jpeg": Parser("image.jpg", picture(".jpg", RGB), read_image),
    "tiff": Parser("image.tif", picture(".tif", RGB), read_image),
    "bmp": Parser("image.bmp", picture(".bmp", RGB), read_image),
    "label png": Parser("ids.png", picture(".png", GREY), read_ids),
    "mask tiff": Parser("ids.tif", picture(".tif", GREY), read_ids),
}
JSON_PARSERS = [name for name, parser in PARSERS.items() if parser.file.endswith(".json")]


def read(parser: Parser, content: bytes) -> Any:
    """Have it read from a fresh folder; None where it is refused."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / parser.file
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        try:
            return parser.read(path)
        except InputError:
            return None


@pytest.mark.parametrize("name", PARSERS)
def test_files_as_they_should_be_are_read(name: str) -> None:
    assert read(PARSERS[name], PARSERS[name].valid()) is not None


fuzz = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "20")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)


@st.composite
def damaged(draw: st.DrawFn, valid: bytes) -> bytes:
    """Cut it short, change bytes, put bytes in, double a part."""
    content = bytearray(valid)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(len(content) - 1, 0)))
        match draw(st.sampled_from(["cut", "byte", "insert", "double"])):
            case "cut":
                del content[place:]
            case "byte" if content:
                content[place] = draw(st.integers(0, 255))
            case "insert":
                content[place:place] = draw(st.binary(max_size=8))
            case "double":
                content[place:place] = content[place : place + draw(st.integers(1, 40))]
    return bytes(content)


@pytest.mark.parametrize("name", PARSERS)
@fuzz
@given(data=st.data())
def test_damaged_files(name: str, data: st.DataObject) -> None:
    parser = PARSERS[name]
    read(parser, data.draw(damaged(parser.valid()) | st.binary(max_size=200)))


@pytest.mark.parametrize(
    "name",
    ["scores", "region map", "region map, many", "class map", "unsaved answers", "round_NN.json"],
)
def test_half_a_file_does_not_pass_for_a_whole(name: str) -> None:
    """As a power loss may leave a file: cut short, or with zeros where data should have come."""
    parser = PARSERS[name]
    whole = parser.valid()
    expected = repr(read(parser, whole))
    for n_bytes in np.linspace(0, len(whole) - 2, 40).astype(int):
        rest = bytes(len(whole) - n_bytes)
        for torn in (whole[:n_bytes], whole[:n_bytes] + rest):
            assert repr(read(parser, torn)) in ("None", expected)


@pytest.mark.parametrize("name", [*JSON_PARSERS, "training.jsonl"])
@fuzz
@given(data=st.data())
def test_json_of_another_kind(name: str, data: st.DataObject) -> None:
    """Something else in the place of some part; numbers that no one expects."""
    parser = PARSERS[name]
    whole = json.loads(parser.valid().splitlines()[0])
    parts = list(places(whole))
    other = data.draw(
        st.recursive(
            st.none()
            | st.booleans()
            | st.sampled_from([-1, 0, 10**9, 2**63, 10**400, 1e308, float("nan"), "..", "a" * 9999])
            | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner),
            max_leaves=5,
        )
    )
    place = data.draw(st.sampled_from([None, *parts]))
    if place is None:
        whole = other
    else:
        holder, key = place
        holder[key] = other
    read(parser, json.dumps(whole).encode())


def places(node: Any) -> Any:
    """Every part of a JSON document, as what holds it and under which key."""
    keys = node if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    for key in keys:
        yield node, key
        yield from places(node[key])


# ---- small files that claim to be large


def zeros_png(height: int, width: int) -> bytes:
    """A PNG of that size, as small as it gets."""
    content = io.BytesIO()
    rows = zlib.compressobj(9)
    body = b"".join(rows.compress(b"\0" * (width + 1)) for _ in range(height)) + rows.flush()
    for kind, data in (
        (b"IHDR", np.array([width, height], ">u4").tobytes() + b"\x08\0\0\0\0"),
        (b"IDAT", body),
        (b"IEND", b""),
    ):
        content.write(len(data).to_bytes(4, "big") + kind + data)
        content.write(zlib.crc32(kind + data).to_bytes(4, "big"))
    return b"\x89PNG\r\n\x1a\n" + content.getvalue()


@pytest.mark.parametrize("name", ["header", "png", "label png", "region map", "class map"])
def test_pictures_larger_than_what_fits_are_refused(name: str) -> None:
    assert peak_bytes(PARSERS[name], zeros_png(9000, 9000)) < MAX_BYTES


@pytest.mark.parametrize("name", ["scores", "model", "model of transformers", "table", "curves"])
@pytest.mark.parametrize("shape", [[10**9], [10**12], [2**62, 4]])
def test_arrays_that_are_not_there_are_refused(name: str, shape: list[int]) -> None:
    valid = PARSERS[name].valid()
    n_header = int.from_bytes(valid[:8], "little")
    header = json.loads(valid[8 : 8 + n_header])
    tensor = next(key for key in header if key != "__metadata__")
    header[tensor]["shape"] = shape
    text = json.dumps(header).encode()
    forged = len(text).to_bytes(8, "little") + text + valid[8 + n_header :]
    assert peak_bytes(PARSERS[name], forged) < MAX_BYTES


@pytest.mark.parametrize("field", ["n_channels", "n_classes"])
@pytest.mark.parametrize("number", ["-1", "0", "10000000", "1000000000000", "x"])
def test_networks_that_are_not_there_are_refused(field: str, number: str) -> None:
    valid = model()
    n_header = int.from_bytes(valid[:8], "little")
    header = json.loads(valid[8 : 8 + n_header])
    header["__metadata__"][field] = number
    text = json.dumps(header).encode()
    forged = len(text).to_bytes(8, "little") + text + valid[8 + n_header :]
    assert peak_bytes(PARSERS["model"], forged) < MAX_BYTES


@pytest.mark.parametrize(
    "name", [*JSON_PARSERS, "training.jsonl", "settings.toml", "rounds.csv", "looked_at"]
)
def test_deep_and_long_texts_are_refused(name: str) -> None:
    for content in (b"[" * 200_000, b'{"a":' * 100_000, b"9" * 10**6, b"a = " + b"[" * 50_000):
        assert peak_bytes(PARSERS[name], content) < MAX_BYTES


def peak_bytes(parser: Parser, content: bytes) -> int:
    """Have it refused; return the most memory that took."""
    tracemalloc.start()
    try:
        found = read(parser, content)
        assert found is None or parser.file in ("training.jsonl", "rounds.csv", "cache/looked_at")
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


# ---- no file outside the project


@pytest.mark.parametrize(
    "image", ["../../out", "/etc/passwd", "a/../../b", "..", "C:/x", "a\\b", ""]
)
def test_image_names_do_not_lead_out_of_the_cache(image: str, tmp_path: Path) -> None:
    project = Project(tmp_path)
    with pytest.raises(InputError):
        project.cache_file("regions", image, ".png")
    with pytest.raises(InputError):
        project.prediction_file(1, image)


def test_links_do_not_lead_out_of_the_cache(tmp_path: Path) -> None:
    (tmp_path / "p" / "cache" / "regions").mkdir(parents=True)
    (tmp_path / "p" / "cache" / "regions" / "a").symlink_to(tmp_path)
    with pytest.raises(InputError, match="links"):
        Project(tmp_path / "p").cache_file("regions", "a/secret", ".png")


@pytest.mark.parametrize("method", ["classbal", "adaptive-superpixel"])
@pytest.mark.parametrize(
    ("highest", "message"),
    [(3, "do not belong together"), (400, "do not belong together"), (2 * 10**9, None), (-7, None)],
)
def test_a_cache_of_something_else_is_refused_or_made_anew(
    method: str, highest: int, message: str | None, tmp_path: Path
) -> None:
    config = project_config(write_data(tmp_path / "data"), method)
    with Session.create(tmp_path / "p", config) as session:
        session.prepare()
        while session.query() is not None:
            session.submit(Oracle(session.data).answer(session.query()))
        session.train()
        session.prepare()
    ids = np.full((48, 64), highest, np.int32)
    ids.flat[: min(abs(highest), 1000)] = np.arange(min(abs(highest), 1000))
    for path in (tmp_path / "p" / "cache" / "regions").iterdir():
        cache_files.write_ids(path, ids)
    with Session.open(tmp_path / "p") as session:
        image = session.answers()[0].query.region.image
        refused = []
        for look in (
            lambda: session.upcoming(200),
            lambda: session.score_map(image),
            lambda: session.asked_map(image),
        ):
            tracemalloc.start()
            try:
                assert look() is not None
            except InputError as error:
                refused.append(str(error))
            finally:
                assert tracemalloc.get_traced_memory()[1] < MAX_BYTES
                tracemalloc.stop()
        assert all(message in words for words in refused) if message else not refused
