"""The upper end of a learning curve: the same network trained on all labels of a data folder.

    python benchmarks/supervised.py DATA --steps 750 --every 150

prints the validation mIoU after each ``--every`` steps. With ``--every`` equal to the steps of a
round and fresh schedules (as rounds have), the figures stand beside those of ``rounds.csv``.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from napari_al.core.metrics import confusion_matrix, mean_iou
from napari_al.formats.dataset import DataFolder
from napari_al.learning.batches import Sample
from napari_al.learning.devices import resolve_device
from napari_al.learning.inference import predict_probs
from napari_al.learning.segmenter import build_segmenter
from napari_al.learning.training import TrainSettings, train
from napari_al.learning.weights import input_statistics
from napari_al.session.config import TrainingSettings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--steps", type=int, default=750)
    parser.add_argument("--every", type=int, default=TrainingSettings().steps)
    parser.add_argument("--crop-px", type=int, default=TrainingSettings().crop_px)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    data, defaults = DataFolder.open(options.data), TrainingSettings()
    device = resolve_device("auto")
    mean, std = input_statistics(data.image(name) for name in data.train[::6])
    segmenter = build_segmenter(
        defaults.segmenter,
        data.n_channels,
        data.n_classes,
        mean=mean.tolist(),
        std=std.tolist(),
        seed=options.seed,
    )
    settings = TrainSettings(
        steps=options.every,
        batch_size=defaults.batch_size,
        crop_px=options.crop_px,
        learning_rate=defaults.learning_rate,
        weight_decay=defaults.weight_decay,
    )
    for part in range(options.steps // options.every):
        started = time.perf_counter()
        train(
            segmenter,
            len(data.train),
            lambda i: Sample(data.image(data.train[i]), data.labels(data.train[i])),
            settings,
            seed=options.seed * 1000 + part,
            device=device,
            on_step=lambda _: None,
            should_stop=lambda: False,
        )
        seconds = time.perf_counter() - started
        confusion = np.zeros((data.n_classes, data.n_classes), np.int64)
        for name in data.val:
            prediction = predict_probs(segmenter, data.image(name, "val"), device).argmax(0)
            confusion += confusion_matrix(
                prediction.cpu().numpy(), data.labels(name, "val"), data.n_classes
            )
        steps = (part + 1) * options.every
        print(f"{steps} steps, {seconds:.0f} s: mIoU {mean_iou(confusion):.3f}", flush=True)


if __name__ == "__main__":
    main()
