"""Context shared by the steps of a job: snapshot, progress reports, images that were left out."""

from __future__ import annotations

import importlib
import json
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from napari_al.errors import InputError
from napari_al.processors import threads_of_job
from napari_al.session.log.snapshot import Snapshot, open_snapshot
from napari_al.session.rounds.cluster import connected
from napari_al.session.rounds.job_function import JobProgress, Stopped
from napari_al.writing import WriteError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future

    import torch

Result = TypeVar("Result")
Progress = Callable[[JobProgress], None]
ShouldStop = Callable[[], bool]
Results = Iterable[tuple[str, Callable[[], Result]]]
"""Images, each with a function that waits for its result."""
Step = Callable[["JobContext"], Callable[[Iterable[str]], Results[Result]]]
"""A top-level function: what it returns does something with each image of a work."""

N_IMAGES_A_BLOCK = 8
"""Of a cluster, at most: work for seconds, so that sending it does not count."""
_PREPARING = threading.Lock()


@dataclass(frozen=True)
class JobContext:
    """Context shared by the steps of one running job.

    Attributes
    ----------
    snapshot : Snapshot
    round : int
    progress, should_stop : see ``job_function.py``
    live : bool
        For a window: scores are published while they are computed, and an image that cannot be used
        is left out and reported. Otherwise such an image ends the job, so that a benchmark's
        figures always cover all images.
    left_out : dict of str to str
        Images and reasons; filled while the job runs.
    cluster : str
        Address of the cluster that does what is done with each image (``cluster.py``); "" = here.
    log_seq : int
        Position of the log that the snapshot is of.
    """

    snapshot: Snapshot
    round: int
    progress: Progress = lambda _: None
    should_stop: ShouldStop = lambda: False
    live: bool = False
    left_out: dict[str, str] = field(default_factory=dict)
    cluster: str = ""
    log_seq: int = 0

    @classmethod
    def of_job(
        cls, args: dict[str, Any], progress: Progress, should_stop: ShouldStop
    ) -> JobContext:
        """Open a job's project as of its position of the log."""
        cache = Path(args["cache"]) if "cache" in args else None
        log_seq, live = int(args["log_seq"]), bool(args.get("live", False))
        snapshot = open_snapshot(
            Path(args["project"]), log_seq, cache=cache, elsewhere=bool(args.get("elsewhere"))
        )
        cluster = str(args.get("cluster", ""))
        return cls(snapshot, int(args["round"]), progress, should_stop, live, {}, cluster, log_seq)

    @property
    def args_elsewhere(self) -> dict[str, Any]:
        """Arguments of a job that does a part of this one on another machine."""
        return {
            "project": str(self.snapshot.project.path.absolute()),
            "round": self.round,
            "log_seq": self.log_seq,
            "live": self.live,
            "elsewhere": True,
            "device": self.snapshot.config.training.device,
        }

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
        """Yield each image once, in order, but the one on screen as early as possible."""
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

    def each_image(self, step: Step[Result], images: Iterable[str]) -> Results[Result]:
        """Do a step with each image, here or in blocks on the workers of the cluster."""
        if not self.cluster:
            return step(self)(images)
        return self._on_cluster(f"{step.__module__}:{step.__name__}", images)

    def _on_cluster(self, step: str, images: Iterable[str]) -> Iterator[Any]:
        cluster, turns = connected(self.cluster), self.turns(images)
        cluster.check_sees(self.snapshot.project.path.absolute())
        model = self.snapshot.project.model_file(self.round)
        made_ns = model.stat().st_mtime_ns if model.exists() else 0  # of a round trained again
        args = {**self.args_elsewhere, "step": step, "made_ns": made_ns}
        n_images = len(self.snapshot.data.train)
        size = min(N_IMAGES_A_BLOCK, 1 + n_images // max(1, 2 * cluster.n_slots))
        blocks = iter(lambda: list(islice(turns, size)), [])
        tasks = ({**args, "images": block} for block in blocks)
        for _, results in cluster.results(f"{__name__}:do_block", tasks, check=self.check):
            for image, value in results():
                yield image, partial(_value, value)

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
        """Context: an error about the image leaves it out."""
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
    """Restrict torch to one thread, in each of several threads that run side by side."""
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(1)


# ---- on a worker of a cluster


def do_block(args: dict[str, Any], progress: Progress, should_stop: ShouldStop) -> list[Any]:
    """Do a step with a block of images (``JobContext.each_image``).

    Returns
    -------
    list of (str, result or InputError)
    """
    images = args["images"]
    key = json.dumps({name: value for name, value in args.items() if name != "images"})
    with _PREPARING:  # once, for all threads
        step = _prepared(key)
    done: list[Any] = []
    for image, result in step(images):
        if should_stop():
            raise Stopped
        try:
            done.append((image, result()))
        except WriteError:  # that is no fault of the image's
            raise
        except InputError as error:
            done.append((image, InputError(str(error))))
    return done


@lru_cache(maxsize=2)
def _prepared(key: str) -> Callable[[Iterable[str]], Results[Any]]:
    """Return a step with what it reads: the project as of then, a model."""
    args = json.loads(key)
    module, _, name = args["step"].partition(":")
    step: Step[Any] = getattr(importlib.import_module(module), name)
    return step(JobContext.of_job(args, lambda _: None, lambda: False))


def _value(value: Result | InputError) -> Result:
    if isinstance(value, InputError):
        raise value
    return value
