"""Work off the window's thread: of each slot only the newest wish is heard."""

from __future__ import annotations

import threading
from queue import Queue

import pytest

from napari_al.errors import InputError
from napari_al.plugin.widgets.background import Latest


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
    """Who asks; its thread's calls are run by ``hear``."""

    def __init__(self) -> None:
        self._calls: Queue = Queue()
        self.latest = Latest(self._calls.put)
        self.heard: list[object] = []
        self.unheard: Queue = Queue()

    def ask(self, work, slot="slot"):
        self.latest.ask(slot, work, self.heard.append, self.heard.append, self.unheard.put)

    def begin(self, result):
        """Ask for something that is under way when this returns."""
        work = Slow(result)
        self.ask(work)
        assert work.begun.wait(30)
        return work

    def hear(self):
        self._calls.get(timeout=30)()


@pytest.fixture
def window():
    window = Window()
    yield window
    window.latest.close()


@pytest.mark.parametrize("result", ["found", InputError("no"), OSError("disk")])
def test_what_comes_of_a_wish_is_heard(window, result):
    work = window.begin(result)
    assert window.latest.is_busy
    work.go_on.set()
    window.hear()
    assert window.heard == [result]
    assert not window.latest.is_busy
    assert window.unheard.empty()


@pytest.mark.parametrize("drop", ["overtaken", "drop", "drop_all", "close"])
@pytest.mark.parametrize("when", ["under way", "done", "handed over"])
def test_a_dropped_result_is_not_heard_and_let_go_of_once(window, drop, when):
    work = window.begin("old")
    if when != "under way":
        work.go_on.set()
        hear = window._calls.get(timeout=30)
    match drop:
        case "overtaken":
            newer = window.begin("new")
        case "drop":
            window.latest.drop("slot")
        case "drop_all":
            window.latest.drop_all()
        case "close":
            window.latest.close()
    if when == "under way":
        assert window.unheard.empty()
        work.go_on.set()
    assert window.unheard.get(timeout=30) == "old"
    if when == "handed over":
        hear()
    if drop == "overtaken":
        newer.go_on.set()
        while not window.heard:
            window.hear()
        assert window.heard == ["new"]
    assert window.heard == (["new"] if drop == "overtaken" else [])
    assert window.unheard.empty()


def test_what_fails_unheard_is_nothing_to_let_go_of(window):
    work = window.begin(InputError("no"))
    window.latest.drop("slot")
    work.go_on.set()
    window.hear()
    assert window.heard == []
    assert window.unheard.empty()


def test_a_wish_that_was_overtaken_is_not_begun(window):
    blockers = [Slow(n) for n in range(2)]
    for n, blocker in enumerate(blockers):
        window.ask(blocker, slot=f"slot {n}")
        assert blocker.begun.wait(30)
    old = Slow("old")
    window.ask(old)
    window.ask(lambda: "new")
    for blocker in blockers:
        blocker.go_on.set()
    while len(window.heard) < 3:
        window.hear()
    assert set(window.heard) == {0, 1, "new"}
    assert not old.begun.is_set()
    assert window.unheard.empty()
