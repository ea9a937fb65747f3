"""Job functions: progress, results, and how to call one in this process.

A job function is a top-level function ``f(args, progress, should_stop) -> dict`` whose arguments
and result are what JSON can hold. ``simulate`` calls it directly, a window through ``Job``.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from napari_al.errors import InputError

Stage = Literal[
    "superpixels",
    "encoding",
    "targets",
    "training",
    "validation",
    "pseudo-labels",
    "scoring",
    "labels",
]
Status = Literal["done", "stopped", "failed"]

MIN_BETWEEN_S: Final = 0.25
"""Between two progress messages of a stage: each has a window paint something."""
_OUT_OF_MEMORY: Final = ("out of memory", "can't allocate memory", "cannot allocate memory")


@dataclass(frozen=True, slots=True)
class JobProgress:
    """How far a job is.

    Attributes
    ----------
    stage : str
        ``superpixels``, ``targets``, ``training``, ``validation``, ``scoring``, ...
    done, total : int
        Steps, images.
    loss : float or None
        Of the last training step.
    eta_s : float or None
        Seconds until the stage ends, as far as one can tell.
    published : bool
        What has been done so far may be read.
    """

    stage: str
    done: int
    total: int
    loss: float | None = None
    eta_s: float | None = None
    published: bool = False


@dataclass(frozen=True, slots=True)
class JobResult:
    """How a job ended.

    Attributes
    ----------
    status : str
        ``done``; ``stopped``, because that was asked for; ``failed``.
    reason : str
        One or two sentences for the person at the screen; empty when done.
    value : dict
        What the function returned; empty unless done.
    out_of_memory : bool
        It failed, certainly or probably, for want of memory: a smaller batch may work.
    details : str
        Traceback or last output of a failed job.
    """

    status: Status
    reason: str = ""
    value: dict[str, Any] = field(default_factory=dict)
    out_of_memory: bool = False
    details: str = ""


class Stopped(Exception):
    """Raised by a job function that ends early because ``should_stop`` said so."""


class ProgressFilter:
    """``filter(progress)`` says whether to pass it on: not more often than anybody looks."""

    def __init__(self) -> None:
        self._last: tuple[str, float] = ("", 0.0)

    def __call__(self, progress: JobProgress) -> bool:
        """Whether it is the first of its stage, the last, published, or some time has passed."""
        (stage, passed_s), now_s = self._last, time.monotonic()
        urgent = progress.done >= progress.total or progress.published
        if progress.stage == stage and now_s - passed_s < MIN_BETWEEN_S and not urgent:
            return False
        self._last = (progress.stage, now_s)
        return True


JobFunction = Callable[[dict[str, Any], Callable[[JobProgress], None], Callable[[], bool]], Any]


def perform(
    function: JobFunction,
    args: dict[str, Any],
    progress: Callable[[JobProgress], None],
    should_stop: Callable[[], bool],
) -> JobResult:
    """Call a job function; errors become a result, too."""
    try:
        return JobResult("done", value=function(args, progress, should_stop))
    except Stopped:
        return JobResult("stopped", "stopped as asked")
    except InputError as error:
        return JobResult("failed", str(error))
    except Exception as error:  # noqa: BLE001 - a job ends here, and it reports
        details = traceback.format_exc()
        text = str(error).lower()
        if isinstance(error, MemoryError) or any(words in text for words in _OUT_OF_MEMORY):
            reason = f"out of memory ({error}); smaller batches or crops need less"
            return JobResult("failed", reason, out_of_memory=True, details=details)
        return JobResult("failed", f"{type(error).__name__}: {error}", details=details)
