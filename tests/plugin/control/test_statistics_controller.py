"""Statistics that a thread works out while answering goes on."""

import queue

from scenes import project_config

from napari_al.core.clicks import Clicks
from napari_al.plugin.control import coverage_statistics
from napari_al.plugin.control.events import WorkbenchEvents
from napari_al.plugin.control.statistics_controller import Figures
from napari_al.session.log.records import Answer
from napari_al.session.session import Session


def test_a_ledger_follows_what_happened_while_it_was_made(data_path, tmp_path):
    waiting, ledgers, events = queue.Queue(), [], WorkbenchEvents()
    figures = Figures(events, waiting.put)
    events.balanced.connect(ledgers.append)
    config = project_config(data_path)
    with Session.create(tmp_path / "project", config) as session:
        session.prepare()
        coming = session.upcoming(2)
        figures.open(session)
        session.submit(Answer(coming[0], (0,), Clicks(1)))
        figures.count()
        ended = waiting.get(timeout=10)
        session.undo()
        session.submit(Answer(coming[1], (1,), Clicks(1)))
        figures.count()
        ended()
        waiting.get(timeout=10)()
        assert ledgers[-1] == coverage_statistics.Bookkeeper().balance(session.answers())
    figures.close()
