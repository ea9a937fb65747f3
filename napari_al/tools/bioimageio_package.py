"""A trained model as a package of the BioImage Model Zoo: ``model.bioimageio.zip``.

The model inside is the ONNX graph, which takes images in the units of their files. The package is
validated by the specification's own library while it is made, without the network.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import imageio.v3 as iio
import numpy as np

from napari_al.errors import InputError
from napari_al.formats.classes import palette_of
from napari_al.session.log.snapshot import open_data
from napari_al.session.project.folder import Project

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_al.tools.trained_model import Model

FILE_NAME: Final = "model.bioimageio.zip"
_SIDE_PX: Final = 256
_MIN_SIDE_PX: Final = 32
_ARXIV: Final = {
    "Kim et al., ICCV 2023": "10.48550/arXiv.2303.16817",
    "Hwang et al., NeurIPS 2023": "10.48550/arXiv.2309.09319",
    "Kim et al., ICML 2024": "10.48550/arXiv.2403.10820",
    "Jeon et al., AAAI 2026": "10.48550/arXiv.2506.11599",
}
"""DOIs of the methods' papers."""


_README: Final = """\
# {name}

It gives each pixel of a 2D image a class. It was trained by active learning with napari-al.

## Classes

{classes}

## Training

{trained}

## Validation

model_miou, where it is given above, is the mean intersection over union on the validation images of
that data folder. Check the model on images of your own before you rely on it.

## Input

Images in the units of their files, RGB where there are three channels. Normalisation, upsampling
and softmax are inside.
"""


@dataclass(frozen=True, slots=True)
class Publication:
    """What only its author can say about a model.

    Attributes
    ----------
    licence : str
        SPDX identifier, e.g. ``CC-BY-4.0``.
    authors : sequence of str
    name : str
    """

    licence: str
    authors: Sequence[str]
    name: str = "Segmentation model of napari-al"


def write_package(out: Path, onnx_file: Path, model: Model, publication: Publication) -> None:
    """Write the package.

    Parameters
    ----------
    out : Path
        The zip file.
    onnx_file : Path
        Of ``write_onnx``.
    model : Model
    publication : Publication

    Raises
    ------
    InputError
        Without the packages for it, or if the library finds the description invalid, e.g. for an
        unknown licence.
    """
    try:
        import onnx
        import onnxruntime
        from bioimageio.spec import ValidationContext, save_bioimageio_package
        from bioimageio.spec.model import v0_5
    except ImportError as error:
        raise InputError(
            f"a bioimage.io package needs {error.name}: pip install 'napari-al[bioimageio,onnx]'"
        ) from error
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        image = _example_image(model)
        tensor = np.ascontiguousarray(image.transpose(2, 0, 1)[None], dtype=np.float32)
        session = onnxruntime.InferenceSession(onnx_file, providers=["CPUExecutionProvider"])
        class_ids, probs = session.run(None, {"image": tensor})
        arrays = {"image": tensor, "class_ids": class_ids, "probabilities": probs}
        for key, array in arrays.items():
            np.save(folder / f"{key}.npy", array)
        iio.imwrite(folder / "cover.png", _cover(image, class_ids[0], model))
        (folder / "README.md").write_text(_documentation(model, publication), encoding="utf-8")
        opsets = {entry.domain: entry.version for entry in onnx.load(onnx_file).opset_import}
        fields = _description(model, publication, folder, onnx_file, opsets[""])
        try:
            with ValidationContext(root=folder, disable_cache=True, log_warnings=False):
                description = v0_5.ModelDescr.model_validate(fields)
            save_bioimageio_package(description, output_path=out, local_files_only=True)
        except ValueError as error:
            raise InputError(f"the description of the package is not valid: {error}") from error


def _description(
    model: Model, publication: Publication, folder: Path, onnx_file: Path, opset: int
) -> dict[str, Any]:
    """Return the fields of the specification, version 0.5."""
    names = [c.name for c in model.classes]
    n_channels = model.segmenter.n_channels
    colours = ["red", "green", "blue"]
    channels = colours if n_channels == 3 else [f"channel{i}" for i in range(n_channels)]
    any_size = {"min": _MIN_SIDE_PX, "step": 1}
    space = [
        {"type": "space", "id": axis, "size": {"tensor_id": "image", "axis_id": axis}}
        for axis in "yx"
    ]

    def tensor(id_: str, axes: list[dict[str, Any]], data: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": id_,
            "axes": [{"type": "batch"}, *axes],
            "data": data,
            "test_tensor": {"source": folder / f"{id_}.npy"},
        }

    summary = training_summary(model)
    paper = str(summary.get("paper"))
    papers = [{"text": paper, "doi": _ARXIV[paper]}] if paper in _ARXIV else []
    return {
        "format_version": "0.5.14",
        "type": "model",
        "name": publication.name,
        "description": f"Semantic segmentation into {', '.join(names)}"[:1000],
        "authors": [{"name": author} for author in publication.authors],
        "license": publication.licence,
        "cite": papers,
        "tags": ["semantic-segmentation", "active-learning", "napari-al", "2d"],
        "documentation": {"source": folder / "README.md"},
        "covers": [{"source": folder / "cover.png"}],
        "inputs": [
            tensor(
                "image",
                [
                    {"type": "channel", "channel_names": channels},
                    *({"type": "space", "id": axis, "size": any_size} for axis in "yx"),
                ],
                {"type": "float32"},
            )
        ],
        "outputs": [
            tensor("class_ids", space, {"type": "uint8", "values": list(range(len(names)))}),
            tensor(
                "probabilities",
                [{"type": "channel", "channel_names": _identifiers(names)}, *space],
                {"type": "float32", "range": (0, 1)},
            ),
        ],
        "weights": {"onnx": {"source": onnx_file, "opset_version": opset}},
        "config": {"napari_al": {"classes": names, "training": summary}},
    }


def training_summary(model: Model) -> dict[str, Any]:
    """Return what a model was trained on, as far as its project says; empty without one."""
    project = Project(model.file.parent.parent, read_only=True)
    if not project.config_file.is_file():
        return {}
    config, rows = project.read_config(), project.read_rounds()
    newest = rows[-1] if rows else {}
    return {
        "data": Path(config.data).name,
        "method": config.method.name,
        "paper": config.method.paper,
        "seed": config.seed,
        **{name: newest[name] for name in ("round", "clicks", "model_miou") if newest.get(name)},
    }


def _documentation(model: Model, publication: Publication) -> str:
    summary = training_summary(model)
    lines = [f"- {name}: {value}" for name, value in summary.items() if value]
    trained = "\n".join(lines) or "- not known: the model came without its project"
    classes = "\n".join(f"- {c.id}: {c.name}" for c in model.classes)
    return _README.format(name=publication.name, classes=classes, trained=trained)


def _example_image(model: Model) -> NDArray[Any]:
    """(H, W, C) part of a training image of its project, or noise where there is none."""
    project = Project(model.file.parent.parent, read_only=True)
    if project.config_file.is_file():
        try:
            data = open_data(project, project.read_config())
            image = data.image(data.train[0])
            return image.reshape(*image.shape[:2], -1)[:_SIDE_PX, :_SIDE_PX]
        except (InputError, OSError):  # the data folder has gone
            pass
    shape = (_SIDE_PX, _SIDE_PX, model.segmenter.n_channels)
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def _cover(image: NDArray[Any], class_ids: NDArray[np.uint8], model: Model) -> NDArray[np.uint8]:
    """(H, 2 W, 3): the image beside its classes in their colours."""
    low, high = float(image.min()), float(image.max())
    grey = (image - low) / max(high - low, 1e-12) * 255
    shown = np.repeat(grey[..., :1], 3, axis=-1) if grey.shape[-1] < 3 else grey[..., :3]
    coloured = palette_of(model.classes)[class_ids]
    return np.concatenate([shown.astype(np.uint8), coloured.astype(np.uint8)], axis=1)


def _identifiers(names: Sequence[str]) -> list[str]:
    """Return names that are Python identifiers and differ, as the specification wants them."""
    made: list[str] = []
    for index, name in enumerate(names):
        plain = "".join(c if c.isascii() and c.isalnum() else "_" for c in name).strip("_").lower()
        plain = plain if plain.isidentifier() else f"class{index}"
        made.append(plain if plain not in made else f"{plain}_{index}")
    return made
