"""What commands show on a terminal: tables, and how far something is.

Bars move on a terminal; elsewhere there is a line for each stage or run, or nothing.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from napari_al.session.rounds.job_function import JobProgress, JobResult
    from napari_al.simulate.sweep_plan import PlannedRun


def echo_table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows with their columns aligned."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo("  ".join(cells).rstrip())


@contextmanager
def progress_bar(unit: str) -> Iterator[Callable[[int, int], None]]:
    """Show on a terminal how many of how many are done."""
    from tqdm import tqdm

    with tqdm(unit=unit, disable=None, leave=False, dynamic_ncols=True) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show


class RunProgress:
    """A run's progress: a moving bar on a terminal, else a line for each stage; rows on stdout."""

    def __init__(self, n_rounds: int) -> None:
        from tqdm import tqdm

        self._n_rounds = n_rounds
        self._stage = ""
        self._bar = tqdm(total=0, disable=None, leave=False, dynamic_ncols=True)

    def __enter__(self) -> RunProgress:
        return self

    def __exit__(self, *exc: object) -> None:
        self._bar.close()

    def show(self, round_number: int, progress: JobProgress) -> None:
        """Show how far a round is."""
        stage = f"round {round_number}/{self._n_rounds} {progress.stage}"
        if stage != self._stage:
            self._stage = stage
            if self._bar.disable:
                typer.echo(stage, err=True)
            else:
                self._bar.reset(total=progress.total)
                self._bar.set_description(stage)
        if progress.loss is not None:
            self._bar.set_postfix(loss=f"{progress.loss:.3f}", refresh=False)
        self._bar.total = max(progress.total, progress.done)
        self._bar.update(progress.done - self._bar.n)

    def show_round(self, row: dict[str, str]) -> None:
        """Print a round's figures."""
        self._bar.clear()
        typer.echo(
            f"round {row['round']}/{self._n_rounds}: {row['clicks']} clicks, "
            f"model mIoU {row['model_miou'] or '-'}, data mIoU {row['data_miou'] or '-'}, "
            f"trained {float(row['train_s']):.0f} s"
            + (", but nothing was learnt: no label" if row.get("train_steps") == "0" else "")
        )


class SweepProgress:
    """A sweep's progress: one bar over all rounds on a terminal, and a line for each run."""

    def __init__(self, runs: Sequence[PlannedRun]) -> None:
        from tqdm import tqdm

        self.n_failed = 0
        self._n_finished, self._n_runs = 0, len(runs)
        self._n_trained = dict.fromkeys((run.name for run in runs), 0)
        total = sum(run.n_trainings for run in runs)
        self._bar = tqdm(total=total, disable=None, unit="round", dynamic_ncols=True)

    def __enter__(self) -> SweepProgress:
        return self

    def __exit__(self, *exc: object) -> None:
        self._bar.close()

    def show(self, run: PlannedRun, progress: JobProgress) -> None:
        """Show how far a run is."""
        if progress.stage == "round":
            self._set_trained(run, progress.done)
        else:
            self._bar.set_description(f"{run.name} {progress.stage}")

    def show_finished(self, run: PlannedRun, result: JobResult) -> None:
        """Print how a run ended."""
        self._n_finished += 1
        self._set_trained(run, run.n_trainings)
        self.n_failed += result.status != "done"
        text = f"[{self._n_finished}/{self._n_runs}] {run.name}: {result.status}"
        if result.reason:
            text += f", {result.reason}"
        elif result.value:
            text += f", model mIoU {result.value['model_miou'] or '-'}"
        self._bar.clear()
        typer.echo(text, err=result.status != "done")

    def _set_trained(self, run: PlannedRun, n_trained: int) -> None:
        self._bar.update(n_trained - self._n_trained[run.name])
        self._n_trained[run.name] = n_trained
