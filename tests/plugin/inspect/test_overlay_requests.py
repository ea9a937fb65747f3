"""Requests that need something the cache lacks: repeated while a job rebuilds it; no window."""

from __future__ import annotations

from queue import Queue
from types import SimpleNamespace

import pytest

from napari_al.errors import InputError
from napari_al.plugin.inspect.overlay_requests import OverlayRequests
from napari_al.session.rounds.job_function import JobResult


class LacksTables(InputError):
    missing = "tables of round 1"


class Rebuild:
    """Stands for the child process: the test says when it ends."""

    def __init__(self, requests, monkeypatch):
        self.started = []
        self._on_finished = None
        monkeypatch.setattr(requests._rebuild._jobs, "start", self._start)

    def _start(self, function, args, *, on_finished, **_):
        self.started.append(args)
        self._on_finished = on_finished

    def end(self, result):
        self._on_finished(result)


@pytest.fixture
def window(monkeypatch, qtbot):
    calls, seen = Queue(), SimpleNamespace(done=[], missing=[], rebuilt=[])
    requests = OverlayRequests(calls.put)
    requests.rebuilt.connect(seen.rebuilt.append)
    inspection = SimpleNamespace(
        job_args=lambda missing: {"missing": missing},
        config=SimpleNamespace(training=SimpleNamespace(threads=1)),
        data=SimpleNamespace(train=("a", "b")),
    )

    def request(make):
        look = SimpleNamespace(inspection=inspection)
        requests.request("heatmap", look, make, seen.done.append, seen.missing.append)
        calls.get(timeout=10)()

    yield SimpleNamespace(
        requests=requests,
        request=request,
        seen=seen,
        rebuild=Rebuild(requests, monkeypatch),
        run_next_call=lambda: calls.get(timeout=10)(),
    )
    requests.close()


def _fail(_look):
    raise LacksTables("not in the cache")


def test_what_is_there_is_delivered(window):
    window.request(lambda _: "picture")
    assert window.seen.done == ["picture"]
    assert window.rebuild.started == []


def test_what_the_cache_lacks_is_rebuilt_and_requested_again(window):
    there = []
    window.request(lambda look: "picture" if there else _fail(look))
    assert window.seen.missing == ["is being made again…"]
    assert window.rebuild.started == [{"missing": LacksTables.missing}]
    there.append(True)
    window.requests._repeat_waiting()  # what the timer does
    window.run_next_call()
    assert window.seen.done == ["picture"]


def test_it_is_rebuilt_once_and_then_said_to_be_missing(window):
    window.request(_fail)
    window.rebuild.end(JobResult("done"))
    assert window.seen.rebuilt == [""]
    window.request(_fail)
    assert window.seen.missing[-1] == "not in the cache"
    assert len(window.rebuild.started) == 1
    window.requests.reset()  # another round: it may be tried again
    window.request(_fail)
    assert len(window.rebuild.started) == 2


def test_other_errors_are_reported_as_they_are(window):
    def make(_look):
        raise InputError("no such image")

    window.request(make)
    assert window.seen.missing == ["no such image"]
    assert window.rebuild.started == []
