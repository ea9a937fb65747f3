"""How many threads the processes of a project use: together never more than there are cores.

Threads of torch wait for each other by spinning; one more than there are cores makes all slower.
"""

from __future__ import annotations

import os


def n_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads_of_job(chosen: int, *, beside_window: bool) -> int:
    """Threads of a process that trains or scores.

    Parameters
    ----------
    chosen : int
        ``training.threads``; 0 for what ``OMP_NUM_THREADS`` says, or as many as there are cores.
    beside_window : bool
        Whether a window needs a core for itself.
    """
    given = os.environ.get("OMP_NUM_THREADS", "")
    if not chosen and given.isdecimal():
        chosen = int(given)
    return chosen or max(1, n_cores() - beside_window)
