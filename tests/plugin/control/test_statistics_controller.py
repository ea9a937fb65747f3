"""Coverage statistics, computed in a thread while answering goes on."""

import queue

from scenes import project_config

from napari_al.core.clicks import Clicks
from napari_al.methods.queries import Answer
from napari_al.plugin.control.answer_statistics import CoverageAccumulator
from napari_al.plugin.control.events import WorkbenchEvents
from napari_al.plugin.control.statistics_controller import StatisticsController
from napari_al.session.session import Session


def test_coverage_follows_what_happened_while_it_was_computed(data_path, tmp_path):
    waiting, coverages, events = queue.Queue(), [], WorkbenchEvents()
    events.coverage_changed.connect(coverages.append)
    config = project_config(data_path)
    with Session.create(tmp_path / "project", config) as session:
        session.prepare()
        coming = session.upcoming(2)
        statistics = StatisticsController(session, events, waiting.put)
        session.submit(Answer(coming[0], (0,), Clicks(1)))
        statistics.update()
        ended = waiting.get(timeout=10)
        session.undo()
        session.submit(Answer(coming[1], (1,), Clicks(1)))
        statistics.update()
        ended()
        waiting.get(timeout=10)()
        assert coverages[-1] == CoverageAccumulator().update(session.answers())
    statistics.close()
