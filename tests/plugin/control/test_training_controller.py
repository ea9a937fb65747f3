"""When training starts and what comes before it, told by a session that proposes corrections."""

from queue import Queue
from types import SimpleNamespace

import pytest

from napari_al.errors import InputError
from napari_al.plugin.control.events import WorkbenchEvents
from napari_al.plugin.control.training_controller import TrainingController
from napari_al.plugin.preferences import Preferences


class Proposing:
    """As much of a session as a controller needs; ``can_write``: whether its log does."""

    round = 1
    is_training = False
    config = SimpleNamespace(method=SimpleNamespace(correction="automatic"))

    def __init__(self, *, can_write=True):
        self.can_write, self.n_trainings = can_write, 0

    def propose_corrections(self):
        return ()

    def decide_corrections(self, accepted, refused):
        if not self.can_write:
            raise InputError("the disk is full")

    def start_training(self):
        self.n_trainings += 1


class Window:
    """Makes controllers; runs what their threads have to report."""

    def __init__(self):
        self._calls, self._made, self.advanced = Queue(), [], []

    def controller(self, session):
        made = TrainingController(
            session, WorkbenchEvents(), SimpleNamespace(), Preferences(), self._calls.put
        )
        made.advanced.connect(self.advanced.append)
        self._made.append(made)
        return made

    def run_next_call(self):
        self._calls.get(timeout=10)()

    def close(self):
        for made in self._made:
            made.close()


@pytest.fixture
def window():
    window = Window()
    yield window
    window.close()


def test_a_project_opened_meanwhile_gets_corrections_of_its_own(window):
    first, second = Proposing(), Proposing()
    earlier = window.controller(first)
    assert earlier.train() == "proposing"
    window._calls.put(window._calls.get(timeout=10))  # proposed, not reported yet
    earlier.close()
    assert window.controller(second).train() == "proposing"
    window.run_next_call()
    assert (first.n_trainings, second.n_trainings) == (0, 0)
    window.run_next_call()
    assert (first.n_trainings, second.n_trainings) == (0, 1)
    assert window.advanced == [""]


def test_no_training_without_corrections_that_could_not_be_written(window):
    session = Proposing(can_write=False)
    window.controller(session).decide((), ())
    assert session.n_trainings == 0
    assert window.advanced == ["failed"]


def test_no_training_if_an_undo_left_clicks_while_corrections_were_computed(window):
    session = Proposing()
    session.budget_is_spent = True
    made = window.controller(session)
    assert made.prepare_query() == "proposing"
    session.budget_is_spent = False
    window.run_next_call()
    assert (session.n_trainings, window.advanced) == (0, [""])
    session.budget_is_spent = True
    assert made.prepare_query() == "proposing"
    window.run_next_call()
    assert (session.n_trainings, window.advanced) == (1, ["", ""])


def test_training_that_was_asked_for_does_not_wait_for_the_budget(window):
    session = Proposing()
    session.budget_is_spent = False
    assert window.controller(session).train() == "proposing"
    window.run_next_call()
    assert session.n_trainings == 1


def test_what_the_next_query_waits_for():
    session = SimpleNamespace(
        round=1, budget_is_spent=True, is_training=False, scores_are_complete=True, is_busy=True
    )
    preferences = Preferences(train_when_spent=False)
    made = TrainingController(session, WorkbenchEvents(), SimpleNamespace(), preferences, print)
    assert made.prepare_query() == "spent"
    session.is_training = True
    assert made.prepare_query() == "training"
    session.budget_is_spent = False
    assert made.prepare_query() == "done"
    session.scores_are_complete = False
    assert made.prepare_query() == "scoring"
    made.close()
