"""What the steps of a job share: its snapshot, how it reports, images that it left out."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from napari_al.errors import InputError
from napari_al.processors import threads_of_job
from napari_al.session.log.snapshot import Snapshot, open_snapshot
from napari_al.session.rounds.job_function import JobProgress, Stopped
from napari_al.writing import WriteError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from concurrent.futures import Future

    import torch

Result = TypeVar("Result")
Progress = Callable[[JobProgress], None]
ShouldStop = Callable[[], bool]


@dataclass(frozen=True)
class JobContext:
    """What the steps of one running job share.

    Attributes
    ----------
    snapshot : Snapshot
    round : int
    progress, should_stop : see ``job_function.py``
    live : bool
        For a window: scores are published while they are made, and an image that cannot be used is
        left out and named. Otherwise such an image ends the work, so that the figures of a
        benchmark are never of less than they seem to be.
    left_out : dict of str to str
        Images, and why; filled while the work goes on.
    """

    snapshot: Snapshot
    round: int
    progress: Progress = lambda _: None
    should_stop: ShouldStop = lambda: False
    live: bool = False
    left_out: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of_job(
        cls, args: dict[str, Any], progress: Progress, should_stop: ShouldStop
    ) -> JobContext:
        """Open a job's project as of its position of the log."""
        cache = Path(args["cache"]) if "cache" in args else None
        snapshot = open_snapshot(Path(args["project"]), args["log_seq"], cache=cache)
        live = bool(args.get("live", False))
        return cls(snapshot, int(args["round"]), progress, should_stop, live)

    @property
    def n_threads(self) -> int:
        """Threads that this work may use."""
        chosen = self.snapshot.config.training.threads
        return threads_of_job(chosen, beside_window=self.live)

    @cached_property
    def device(self) -> torch.device:
        """What torch computes on; imports torch and sets its threads."""
        import torch

        from napari_al.learning.devices import resolve_device

        torch.set_num_threads(self.n_threads)
        return resolve_device(self.snapshot.config.training.device)

    def check(self) -> None:
        """Raise Stopped if the job has to end."""
        if self.should_stop():
            raise Stopped

    def report(self, stage: str, done: int, total: int, *, published: bool = False) -> None:
        """Report progress; raise Stopped if the job has to end."""
        self.check()
        self.progress(JobProgress(stage, done, total, published=published))

    def turns(self, images: Iterable[str]) -> Iterator[str]:
        """Yield each image once, in order, but the one on screen as soon as possible."""
        waiting = dict.fromkeys(images)
        while waiting:
            looked_at = self.snapshot.project.read_looked_at() if self.live else None
            image = looked_at if looked_at in waiting else next(iter(waiting))
            del waiting[image]
            yield image

    def side_by_side(
        self, images: Iterable[str], do: Callable[[str], Result]
    ) -> Iterator[tuple[str, Callable[[], Result]]]:
        """Do something with each image, several at a time, each in a thread of its own.

        Yields images as ``turns`` does, each with a function that waits for its result.
        """
        n_threads = self.n_threads
        pending: deque[tuple[str, Future[Result]]] = deque()
        threads = ThreadPoolExecutor(n_threads, "images", initializer=_use_one_thread)
        try:
            for image in self.turns(images):
                pending.append((image, threads.submit(do, image)))
                if len(pending) == n_threads:
                    done, future = pending.popleft()
                    yield done, future.result
            for done, future in pending:
                yield done, future.result
        finally:
            threads.shutdown(cancel_futures=True)

    def each(
        self, stage: str, images: Sequence[str], do: Callable[[str], object]
    ) -> tuple[str, ...]:
        """Do something with each image; return those that could be used."""
        done = []
        for n_done, image in enumerate(images, start=1):
            with self.using(image):
                do(image)
                done.append(image)
            self.report(stage, n_done, len(images))
        return tuple(done)

    @contextmanager
    def using(self, image: str) -> Iterator[None]:
        """Leave the image out if what is done with it shows that it cannot be used."""
        try:
            yield
        except WriteError:  # that is no fault of the image's
            raise
        except InputError as error:
            self.leave_out(image, error)

    def leave_out(self, image: str, error: InputError) -> None:
        """Note that an image cannot be used, or raise the error if that has to end the work."""
        if not self.live:
            raise error
        self.left_out[image] = str(error)


def _use_one_thread() -> None:
    """Threads that work side by side must not have threads of their own."""
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(1)
