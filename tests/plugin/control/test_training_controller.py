"""When training starts and what comes before it, told by a session that proposes corrections."""

from queue import Queue
from types import SimpleNamespace

import pytest

from napari_al.errors import InputError
from napari_al.plugin.control.events import WorkbenchEvents
from napari_al.plugin.control.training_controller import Trainer


class Proposing:
    """As much of a session as a trainer asks for; ``can_write``: whether its log does."""

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


@pytest.fixture
def trainer():
    waiting = Queue()
    made = Trainer(WorkbenchEvents(), SimpleNamespace(), waiting.put, [].append, [].append)
    made.hear = lambda: waiting.get(timeout=10)()  # what a thread has to say
    made.went_on = made._go_on.__self__
    yield made
    made.close()


def test_a_project_opened_meanwhile_gets_corrections_of_its_own(trainer):
    first, second = Proposing(), Proposing()
    for session in (first, second):
        trainer.open(session)
        assert trainer.train() == "proposing"
    trainer.hear()
    assert (first.n_trainings, second.n_trainings) == (0, 0)
    trainer.hear()
    assert (first.n_trainings, second.n_trainings) == (0, 1)
    assert trainer.went_on == [""]


def test_no_training_without_corrections_that_could_not_be_written(trainer):
    session = Proposing(can_write=False)
    trainer.open(session)
    trainer.decide((), ())
    assert session.n_trainings == 0
    assert trainer.went_on == ["failed"]
