"""A training step and scoring of 1024x2048 images, beside what the device could do at best.

    python benchmarks/gpu.py --device cuda --segmenters compact deeplabv3plus-resnet50 segformer-b2

The best is a large matrix product in the same precision, measured here; floating-point operations
are counted by torch, those of convolutions, matrix products and attention alone. Weights are
random.
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from napari_al.learning.batches import Sample
from napari_al.learning.devices import resolve_device
from napari_al.learning.inference import predict_probs
from napari_al.learning.precision import half_dtype
from napari_al.learning.segmenter import build_segmenter
from napari_al.learning.training import StepReport, TrainSettings, train
from napari_al.methods.loss import loss_function

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_al.learning.segmenter import Segmenter

N_CLASSES = 19


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--segmenters", nargs="+", default=["compact", "filters"])
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--crop-px", type=int, default=768)
    parser.add_argument("--size", type=int, nargs=2, default=[1024, 2048])
    parser.add_argument("--repeats", type=int, default=20)
    options = parser.parse_args()
    device = resolve_device(options.device)
    best = matmul_flops(device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    dtype = half_dtype(device) or torch.float32
    print(f"{name}, {dtype}: a matrix product reaches {best / 1e12:.2f} TFLOP/s\n")
    print("| segmenter | step s | of the best | images/s scored | at best | of the best |")
    print("|-|-|-|-|-|-|")
    for name in options.segmenters:
        statistics = {"mean": [128.0] * 3, "std": [64.0] * 3}
        segmenter = build_segmenter(name, 3, N_CLASSES, seed=0, **statistics)
        step_s, step_flops = measure_step(segmenter, options, device)
        score_s, score_flops = measure_scoring(segmenter, options, device)
        print(
            f"| {name} | {step_s:.3f} | {share(step_flops, step_s, best)} | {1 / score_s:.2f} "
            f"| {best / score_flops:.1f} | {share(score_flops, score_s, best)} |",
            flush=True,
        )


def share(flops: float, seconds: float, best: float) -> str:
    return f"{100 * flops / seconds / best:.0f} %"


def matmul_flops(device: torch.device) -> float:
    """Operations a second of a large product in the precision that networks are run in."""
    n = 8192 if device.type == "cuda" else 2048
    a, b = (torch.randn(n, n, device=device, dtype=half_dtype(device)) for _ in range(2))
    return 2 * n**3 / seconds_of(lambda: a @ b, device, 10)


def seconds_of(run: Callable[[], object], device: torch.device, repeats: int) -> float:
    """Median time of a call, after two to warm up."""
    taken = []
    for _ in range(repeats + 2):
        started = time.perf_counter()
        run()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        taken.append(time.perf_counter() - started)
    return float(np.median(taken[2:]))


def measure_step(
    segmenter: Segmenter, options: argparse.Namespace, device: torch.device
) -> tuple[float, float]:
    """Seconds between two steps of the real training loop, and the operations of one."""
    rng = np.random.default_rng(0)
    height, width = options.size
    image = rng.integers(0, 255, (height, width, 3), np.uint8)
    sample = Sample(image, rng.integers(0, N_CLASSES, (height, width), np.uint8))
    reports: list[StepReport] = []

    def run(steps: int) -> None:
        settings = TrainSettings(
            steps, options.batch_size, options.crop_px, 1e-4, 0.0, loss_function("cross-entropy")
        )
        train(
            segmenter,
            8,
            lambda _: sample,
            settings,
            seed=0,
            device=device,
            on_step=reports.append,
            should_stop=lambda: False,
        )

    with FlopCounterMode(display=False) as counter:
        run(1)
    reports.clear()
    run(options.repeats + 2)
    times = np.diff([report.seconds for report in reports])
    return float(np.median(times[1:])), float(counter.get_total_flops())


def measure_scoring(
    segmenter: Segmenter, options: argparse.Namespace, device: torch.device
) -> tuple[float, float]:
    """Seconds to the class probabilities of an image on the device, and the operations."""
    height, width = options.size
    image = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
    with FlopCounterMode(display=False) as counter:
        predict_probs(segmenter, image, device)
    seconds = seconds_of(lambda: predict_probs(segmenter, image, device), device, options.repeats)
    return seconds, float(counter.get_total_flops())


if __name__ == "__main__":
    main()
