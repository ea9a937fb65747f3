"""Work off the window's thread: per slot only the latest request is delivered."""

from __future__ import annotations

import threading
from queue import Queue

import pytest

from napari_al.errors import InputError
from napari_al.plugin.widgets.background import Background


class Slow:
    """Work that ends when it is told to."""

    def __init__(self, result):
        self.result, self.begun, self.go_on = result, threading.Event(), threading.Event()

    def __call__(self):
        self.begun.set()
        assert self.go_on.wait(30)
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


class Window:
    """Who asks; its thread's calls are run by ``run_next_call``."""

    def __init__(self) -> None:
        self._calls: Queue = Queue()
        self.background = Background(self._calls.put)
        self.delivered: list[object] = []
        self.dropped: Queue = Queue()

    def ask(self, work, slot="slot"):
        self.background.request(
            slot, work, self.delivered.append, self.delivered.append, self.dropped.put
        )

    def begin(self, result):
        """Ask for something that is under way when this returns."""
        work = Slow(result)
        self.ask(work)
        assert work.begun.wait(30)
        return work

    def run_next_call(self):
        self._calls.get(timeout=30)()


@pytest.fixture
def window():
    window = Window()
    yield window
    window.background.close()


@pytest.mark.parametrize("result", ["found", InputError("no"), OSError("disk")])
def test_the_result_of_a_request_is_delivered(window, result):
    work = window.begin(result)
    assert window.background.is_busy
    work.go_on.set()
    window.run_next_call()
    assert window.delivered == [result]
    assert not window.background.is_busy
    assert window.dropped.empty()


@pytest.mark.parametrize("drop", ["superseded", "drop", "drop_all", "close"])
@pytest.mark.parametrize("when", ["under way", "done", "handed over"])
def test_a_dropped_result_is_not_delivered_and_is_released_once(window, drop, when):
    work = window.begin("old")
    if when != "under way":
        work.go_on.set()
        call = window._calls.get(timeout=30)
    match drop:
        case "superseded":
            newer = window.begin("new")
        case "drop":
            window.background.drop("slot")
        case "drop_all":
            window.background.drop_all()
        case "close":
            window.background.close()
    if when == "under way":
        assert window.dropped.empty()
        work.go_on.set()
    assert window.dropped.get(timeout=30) == "old"
    if when == "handed over":
        call()
    if drop == "superseded":
        newer.go_on.set()
        while not window.delivered:
            window.run_next_call()
        assert window.delivered == ["new"]
    assert window.delivered == (["new"] if drop == "superseded" else [])
    assert window.dropped.empty()


def test_a_dropped_failure_has_nothing_to_release(window):
    work = window.begin(InputError("no"))
    window.background.drop("slot")
    work.go_on.set()
    window.run_next_call()
    assert window.delivered == []
    assert window.dropped.empty()


def test_a_superseded_request_is_not_started(window):
    blockers = [Slow(n) for n in range(2)]
    for n, blocker in enumerate(blockers):
        window.ask(blocker, slot=f"slot {n}")
        assert blocker.begun.wait(30)
    old = Slow("old")
    window.ask(old)
    window.ask(lambda: "new")
    for blocker in blockers:
        blocker.go_on.set()
    while len(window.delivered) < 3:
        window.run_next_call()
    assert set(window.delivered) == {0, 1, "new"}
    assert not old.begun.is_set()
    assert window.dropped.empty()


def test_a_request_after_closing_is_ignored(window):
    window.background.close()
    begun = threading.Event()
    window.ask(begun.set)
    assert not window.background.is_busy
    assert not begun.wait(0.2)
