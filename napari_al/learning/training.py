"""The training loop.

All randomness comes from ``seed``. On the CPU of one machine the same arguments and number of
threads (``torch.set_num_threads``) give the same weights, bit for bit. On CUDA they do not: the
gradients of bilinear upsampling and of the loss are summed in no fixed order.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from napari_al.errors import InputError
from napari_al.learning.batches import Batch, BatchLoader, Sample, random_crop
from napari_al.learning.inference import encode as encode_image
from napari_al.learning.labelled_pixels import PixelLoader
from napari_al.learning.networks.frozen import N_HIDDEN, Head
from napari_al.learning.networks.resampling import upsample
from napari_al.learning.precision import half_dtype, in_half, network_to

if TYPE_CHECKING:
    from torch import Tensor

    from napari_al.learning.labelled_pixels import Encode
    from napari_al.learning.segmenter import Segmenter

__all__ = ["Sample", "StepReport", "TrainSettings", "TrainingOutcome", "train"]

BatchLoss = Callable[["Tensor", Batch], "Tensor"]
WARM_UP = 0.05
"""Share of the steps over which the learning rate rises from nothing."""
POLY_POWER = 0.9
FEW_REGIONS = 400
MAX_LABEL_FACTOR = 10.0
SCALE_DROPOUT = 0.6
MAX_GRADIENT_NORM = 5.0


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """How to train.

    Attributes
    ----------
    steps, batch_size, crop_px : int
        Optimiser steps; crops a step; side of a crop in pixels. A frozen segmenter takes more steps
        with many labels (``label_factor``), and 96 labelled pixels stand for a crop.
    learning_rate, weight_decay : float
        Of AdamW; the rate is the highest one, after warming up.
    loss : callable
        (N, C, H, W) logits and their batch to a scalar.
    """

    steps: int
    batch_size: int
    crop_px: int
    learning_rate: float
    weight_decay: float
    loss: BatchLoss


@dataclass(frozen=True, slots=True)
class StepReport:
    """One step, after it was taken.

    Attributes
    ----------
    step, n_steps : int
        ``step`` counts from 1.
    loss : float
        NaN where the batch had no labelled pixel, or did not fit the memory: no step was taken.
    learning_rate : float
    batch_size : int
        Halved whenever a batch does not fit the memory.
    seconds, eta_seconds : float
        Since the start, and expected until the end.
    """

    step: int
    n_steps: int
    loss: float
    learning_rate: float
    batch_size: int
    seconds: float
    eta_seconds: float


@dataclass(frozen=True, slots=True)
class TrainingOutcome:
    """How a training ended.

    Attributes
    ----------
    finished : bool
        False if it was stopped.
    n_steps, n_skipped : int
        Steps gone through, and those among them without a labelled pixel or without memory.
    loss : float
        Mean over the last tenth of the steps; NaN if there was none.
    batch_size : int
        As it was at the end.
    seconds : float
    """

    finished: bool
    n_steps: int
    n_skipped: int
    loss: float
    batch_size: int
    seconds: float

    @property
    def n_taken(self) -> int:
        """Steps in which the weights changed."""
        return self.n_steps - self.n_skipped

    @property
    def has_learnt(self) -> bool:
        """Whether there was any such step."""
        return self.n_taken > 0


def train(
    segmenter: Segmenter,
    n_samples: int,
    get_sample: Callable[[int], Sample],
    settings: TrainSettings,
    *,
    seed: int,
    device: torch.device,
    on_step: Callable[[StepReport], None],
    should_stop: Callable[[], bool],
    encode: Encode | None = None,
) -> TrainingOutcome:
    """Train a segmenter in place, from the weights that it has.

    Of a frozen one only the head learns, from pixels of the encoder's maps instead of crops.

    Parameters
    ----------
    segmenter : Segmenter
        Is moved to ``device`` and left there.
    n_samples : int
        Images to train on; best those with labels only.
    get_sample : callable
        Sample by index in ``range(n_samples)``; called from several threads, in no fixed order.
    settings : TrainSettings
    seed : int
        Of crops and augmentation.
    device : torch.device
    on_step : callable
        Gets a report after each step.
    should_stop : callable
        Asked before each step.
    encode : callable, optional
        What a frozen segmenter's encoder makes of a sample, by index and sample; called from
        several threads. By default it is computed.

    Raises
    ------
    InputError
        If there are no samples, a single crop does not fit the memory, or the loss is no longer
        a number.
    """
    if n_samples < 1:
        raise InputError("training needs at least one image with labels, got none")
    network_to(segmenter, device)
    segmenter.train()
    model: Segmenter | Head = segmenter
    loader: BatchLoader | PixelLoader
    if segmenter.frozen is None:
        loader = BatchLoader(
            n_samples,
            get_sample,
            partial(random_crop, settings.crop_px),
            batch_size=settings.batch_size,
            seed=seed,
        )
    else:
        model = segmenter.head()
        encode = encode or (lambda _, sample: encode_image(segmenter, sample.image, device))
        loader = PixelLoader(
            n_samples,
            get_sample,
            encode,
            segmenter.frozen.strides,
            batch_size=settings.batch_size,
            seed=seed,
        )
    n_steps = settings.steps
    if segmenter.frozen is not None and isinstance(loader, PixelLoader):
        factor = label_factor(loader.n_regions)
        n_steps = round(settings.steps * factor)
        segmenter.frozen.scale_dropout = scale_dropout(factor)
    optimizer = torch.optim.AdamW(_groups(segmenter), weight_decay=settings.weight_decay)
    # float16 has too small a range for gradients; with other types this has no effect
    scaler = torch.amp.GradScaler(device.type, enabled=half_dtype(device) == torch.float16)
    recorded: list[float] = []
    started = time.monotonic()
    torch.manual_seed(seed)
    with loader:
        while len(recorded) < n_steps and not should_stop():
            batch = loader.get(len(recorded))
            learning_rate = _learning_rate(len(recorded), n_steps, settings.learning_rate)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * group["rate"]
            try:
                loss = _step(model, batch.to(device), optimizer, scaler, settings)
            except RuntimeError as error:
                if not _is_out_of_memory(error):
                    raise
                if loader.batch_size == 1:
                    raise InputError(
                        f"not even one crop of {settings.crop_px} pixels fits the memory of "
                        f"{device}; train with a smaller crop_px or on the CPU"
                    ) from error
                loader.halve()
                optimizer.zero_grad()
                torch.cuda.empty_cache()
                loss = math.nan
            recorded.append(loss)
            seconds = time.monotonic() - started
            on_step(
                StepReport(
                    step=len(recorded),
                    n_steps=n_steps,
                    loss=loss,
                    learning_rate=learning_rate,
                    batch_size=loader.batch_size,
                    seconds=seconds,
                    eta_seconds=seconds / len(recorded) * (n_steps - len(recorded)),
                )
            )
    taken = [loss for loss in recorded[-max(1, n_steps // 10) :] if not math.isnan(loss)]
    return TrainingOutcome(
        finished=len(recorded) == n_steps,
        n_steps=len(recorded),
        n_skipped=sum(math.isnan(loss) for loss in recorded),
        loss=sum(taken) / len(taken) if taken else math.nan,
        batch_size=loader.batch_size,
        seconds=time.monotonic() - started,
    )


def label_factor(n_regions: int) -> float:
    """Factor by which the steps of a frozen segmenter grow with the number of labels.

    With few answers more steps overfit; with many, few steps would not see most of them.

    Parameters
    ----------
    n_regions : int
        Labelled regions.

    Returns
    -------
    float
        1 up to ``FEW_REGIONS``, then the square root of their multiple, ``MAX_LABEL_FACTOR`` at
        most.
    """
    return min(max(math.sqrt(n_regions / FEW_REGIONS), 1.0), MAX_LABEL_FACTOR)


def scale_dropout(factor: float) -> float:
    """Scale dropout of a frozen segmenter: the fewer labels, the higher.

    Parameters
    ----------
    factor : float
        What ``label_factor`` gives.

    Returns
    -------
    float
        ``SCALE_DROPOUT`` at 1, falling with the logarithm of the factor to 0 at its maximum.
    """
    return SCALE_DROPOUT * (1 - math.log(factor) / math.log(MAX_LABEL_FACTOR))


def hidden_units(n_regions: int) -> int:
    """Hidden units of a frozen segmenter's networks: the more labels, the more can be learnt.

    Parameters
    ----------
    n_regions : int
        Labelled regions.

    Returns
    -------
    int
        ``N_HIDDEN``, twice as many from some 4,000 regions on and three times from 40,000 on.
    """
    return N_HIDDEN * (1 + int(2 * math.log10(label_factor(n_regions))))


def _groups(segmenter: Segmenter) -> list[dict[str, Any]]:
    """Parameter groups, with the factor of the learning rate of each."""
    learning = [part for part in segmenter.parameters() if part.requires_grad]
    backbone = set() if segmenter.backbone is None else set(segmenter.backbone.parameters())
    slow = [part for part in learning if part in backbone]
    rest = [part for part in learning if part not in backbone]
    rate = 1.0 if segmenter.backbone is None else segmenter.backbone.rate
    return [{"params": rest, "rate": 1.0}, *([{"params": slow, "rate": rate}] if slow else [])]


def _step(
    model: Segmenter | Head,
    batch: Batch,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    settings: TrainSettings,
) -> float:
    """Take one step and return its loss; NaN, and no step, without a labelled pixel."""
    if not batch.has_labels:
        return math.nan
    logits = in_half(model, batch.images)
    size = (batch.images.shape[2], batch.images.shape[3])
    # each member of a frozen segmenter's ensemble has its own loss
    n_members = model.n_members if isinstance(model, Head) else 1
    parts = upsample(logits, model.stride, size).chunk(n_members)
    loss = torch.stack([settings.loss(part, batch) for part in parts]).mean()
    value = float(loss.detach())
    if not math.isfinite(value):
        raise InputError(
            f"training broke down: the loss is {value}. Lower the learning rate (now "
            f"{settings.learning_rate:g}), or start from fresh weights"
        )
    optimizer.zero_grad()
    torch.autograd.backward(scaler.scale(loss))
    scaler.unscale_(optimizer)
    torch.nn.utils.clip_grad_norm_(model.parameters(), MAX_GRADIENT_NORM)
    scaler.step(optimizer)
    scaler.update()
    return value


def _is_out_of_memory(error: RuntimeError) -> bool:
    """Whether an error means that GPU or CPU memory ran out (the latter has no type of its own)."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def _learning_rate(step: int, n_steps: int, highest: float) -> float:
    """Linear warm-up, then polynomial decay to nothing at the end."""
    warm_up = max(1, round(WARM_UP * n_steps))
    rise = min(1.0, (step + 1) / warm_up)
    left: float = (1 - step / n_steps) ** POLY_POWER
    return highest * rise * left
