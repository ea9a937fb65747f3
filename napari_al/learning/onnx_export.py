"""Export segmenters as ONNX, from pixels to class ids, for programs without torch."""

from __future__ import annotations

import json
import logging
import warnings
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from napari_al.errors import InputError
from napari_al.learning.networks.resampling import upsample

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_al.learning.segmenter import Segmenter

INPUT = "image"
OUTPUTS = ("class_ids", "probabilities")


class _Whole(nn.Module):
    """A segmenter with upsampling, softmax and argmax."""

    def __init__(self, segmenter: Segmenter) -> None:
        super().__init__()
        self.segmenter = segmenter

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, H, W) in the units of files to (N, H, W) uint8 and (N, K, H, W) float32."""
        size = (image.shape[2], image.shape[3])
        logits = upsample(self.segmenter(image), self.segmenter.stride, size)
        probs = self.segmenter.probabilities(logits)
        return probs.argmax(dim=1).to(torch.uint8), probs


def write_onnx(path: Path, segmenter: Segmenter, class_names: Sequence[str]) -> None:
    """Write a segmenter as an ONNX graph.

    Its input ``image`` is (batch, C, height, width) float32 in the units of files, of any size; its
    outputs are ``class_ids`` (batch, height, width) uint8 and ``probabilities`` (batch, K, height,
    width) float32. Normalisation, padding, upsampling and softmax are inside. The graph's metadata
    hold ``classes``, a JSON list of their names.

    Parameters
    ----------
    path : Path
    segmenter : Segmenter
        On the CPU.
    class_names : sequence of str

    Raises
    ------
    InputError
        Without the packages for it.
    """
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise InputError(
            f"writing ONNX needs {error.name}: pip install 'napari-al[onnx]'"
        ) from error
    whole = _Whole(segmenter).eval()
    side = 2 * segmenter.trunk.multiple + 1  # any image; the graph accepts other sizes
    example = torch.zeros(2, segmenter.n_channels, side, side + 1)
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)  # it warns of packages that are not needed
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program: Any = torch.onnx.export(
                whole,
                (example,),
                dynamo=True,
                verbose=False,
                input_names=[INPUT],
                output_names=list(OUTPUTS),
                dynamic_shapes=({0: "batch", 2: "height", 3: "width"},),
            )
    finally:
        logger.setLevel(level)
    program.model.metadata_props["classes"] = json.dumps(list(class_names))
    program.save(path)
