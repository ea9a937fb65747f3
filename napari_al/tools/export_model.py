"""A trained model as a folder that other programs can use: ``napari-al export-model``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_al.formats.exchange.export import export_folder
from napari_al.tools.trained_model import CONFIG, MODEL_FORMAT, WEIGHTS, open_model

if TYPE_CHECKING:
    from napari_al.tools.bioimageio_package import Publication
    from napari_al.tools.trained_model import Model

ONNX = "model.onnx"

_README = """\
# A segmentation model of napari-al

Classes: {classes}.

    napari-al predict THIS_FOLDER IMAGES... --out DIR

`model.safetensors` holds the weights and what rebuilds the network
(`napari_al.open_model("THIS_FOLDER")`), `config.json` the classes with their colours and what the
network expects: images of {n_channels} channel(s) in the units of their files (RGB where there are
three), of any size; it normalises them itself.
"""
_README_ONNX = """
`model.onnx` needs neither napari-al nor torch:

    import numpy as np, onnxruntime
    session = onnxruntime.InferenceSession("model.onnx")
    image = pixels.transpose(2, 0, 1)[None].astype(np.float32)    # (1, {n_channels}, height, width)
    class_ids, probabilities = session.run(None, {{"image": image}})

`class_ids` is (1, height, width) uint8, `probabilities` (1, {n_classes}, height, width) float32;
normalisation, upsampling and softmax are inside. Batches of images of one size work, too.
"""


def export_model(
    model: Model, out: Path, *, onnx: bool = False, publication: Publication | None = None
) -> None:
    """Write a model as ``model.safetensors``, ``config.json``, ``README.md``; perhaps ONNX.

    Parameters
    ----------
    model : Model
    out : Path
        A folder; files in it that no export wrote stay.
    onnx : bool
        Also write ``model.onnx``.
    publication : Publication, optional
        Also write it, and ``model.bioimageio.zip``, a package of the BioImage Model Zoo.

    Raises
    ------
    InputError
        If the folder is in use or cannot be written, or without the packages for ONNX.
    """
    from napari_al.learning.weights import save_segmenter

    with export_folder(out, "model", overwrite=True) as folder:
        save_segmenter(folder / WEIGHTS, model.segmenter, {})
        words = {
            "classes": ", ".join(c.name for c in model.classes),
            "n_channels": model.segmenter.n_channels,
            "n_classes": model.segmenter.n_classes,
        }
        readme = _README.format(**words)
        if onnx or publication is not None:
            from napari_al.learning.onnx_export import write_onnx

            write_onnx(folder / ONNX, model.segmenter, [c.name for c in model.classes])
            readme += _README_ONNX.format(**words)
        if publication is not None:
            from napari_al.tools import bioimageio_package

            package = folder / bioimageio_package.FILE_NAME
            bioimageio_package.write_package(package, folder / ONNX, model, publication)
        config = json.dumps(_config(model), indent=1, ensure_ascii=False)
        (folder / CONFIG).write_text(config + "\n", encoding="utf-8")
        (folder / "README.md").write_text(readme, encoding="utf-8")


def export_newest_model(args: dict[str, Any], *_: object) -> dict[str, Any]:
    """Write a project's newest model; a job (see ``job_function.py``).

    Parameters
    ----------
    args : dict
        ``project`` and ``out``, paths; ``onnx``, bool.

    Returns
    -------
    dict
        ``model``: the name of its file.
    """
    model = open_model(Path(args["project"]))
    export_model(model, Path(args["out"]), onnx=args["onnx"])
    return {"model": model.file.stem}


def _config(model: Model) -> dict[str, Any]:
    segmenter = model.segmenter
    return {
        "format": MODEL_FORMAT,
        "version": 1,
        "classes": [c.model_dump() for c in model.classes],
        "segmenter": segmenter.name,
        "classifier": segmenter.classifier_name,
        "n_channels": segmenter.n_channels,
        "images": model.rules.model_dump(mode="json", exclude={"left_out", "label_ids"}),
        "mean": segmenter.mean.flatten().tolist(),
        "std": segmenter.std.flatten().tolist(),
        "stride": segmenter.stride,
        "multiple": segmenter.trunk.multiple,
    }
