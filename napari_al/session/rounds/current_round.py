"""The current round: where in the log the rounds before it end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_al.methods.prequential import prequential_accuracy

if TYPE_CHECKING:
    from napari_al.session.log.log import AnnotationLog
    from napari_al.session.pool.queue import AnsweredState
    from napari_al.session.project.config import ProjectConfig
    from napari_al.session.project.folder import Project


@dataclass(frozen=True)
class _Boundary:
    """The end of a round whose training is done or under way."""

    number: int
    log_seq: int


class CurrentRound:
    """The round being answered, and those that are done.

    Parameters
    ----------
    project : Project
    log : AnnotationLog
    starts_from_labels : bool
        There is a round 0, without answers: the training on initial labels.

    Attributes
    ----------
    is_under_way : bool
        The round before this one is being trained.
    """

    def __init__(self, project: Project, log: AnnotationLog, *, starts_from_labels: bool) -> None:
        self._project, self._log = project, log
        self._first = 0 if starts_from_labels else 1
        self._boundary = self._before = self._last_done()
        self.is_under_way = False

    @property
    def number(self) -> int:
        """The round being answered."""
        return self._first if self._boundary is None else self._boundary.number + 1

    @property
    def model_round(self) -> int | None:
        """Round of the newest model; None before the first."""
        done = self._project.rounds_done()
        return done[-1] if done else None

    def earlier(self) -> frozenset[str]:
        """Return the ids of answers that belong to the rounds before."""
        log_seq = 0 if self._boundary is None else self._boundary.log_seq
        return frozenset(answer.id for answer in self._log.active(log_seq))

    def begin_training(self) -> None:
        """Close the round at the log's last entry; the next round begins."""
        self._before = self._boundary
        self._boundary = _Boundary(self.number, self._log.last_seq)
        self.is_under_way = True

    def end_training(self) -> bool:
        """Return whether the round was trained; if not, it is the current round again."""
        self.is_under_way = False
        is_done = self._boundary == self._last_done()
        if not is_done:
            self._boundary = self._before
        return is_done

    def write_rows(self) -> None:
        """Add missing rows of finished rounds to rounds.csv (after a crash).

        Raises
        ------
        WriteError
        """
        written = {row["round"] for row in self._project.read_rounds()}
        for number in self._project.rounds_done():
            if str(number) not in written:
                self._project.append_round(self._project.read_round(number)["row"])

    def _last_done(self) -> _Boundary | None:
        number = self.model_round
        if number is None:
            return None
        return _Boundary(number, int(self._project.read_round(number)["log_seq"]))


def row_of_round(
    round_number: int, config: ProjectConfig, answered: AnsweredState
) -> dict[str, object]:
    """Return the columns of rounds.csv that are known before a round is trained."""
    return {
        "round": round_number,
        "queries": len(answered.answers),
        "clicks": answered.clicks.total,
        "class_clicks": answered.clicks.class_clicks,
        "polygon_clicks": answered.clicks.polygon_clicks,
        "intersection_clicks": answered.clicks.intersection_clicks,
        **prequential_columns(answered),
        "seed": config.seed,
        "method": config.method.name,
    }


def prequential_columns(answered: AnsweredState) -> dict[str, float]:
    """Return the share of answers that the models that asked predicted, if it is known.

    Of the round's answers, and of the newest of the random share with its 95 % interval.
    """
    columns: dict[str, float] = {}
    of_round = prequential_accuracy(answered.answers_of_round(), newest=None).newest
    if of_round.value is not None:
        columns["prequential_accuracy"] = of_round.value
    drawn = prequential_accuracy(answered.answers).random
    if drawn.value is not None:
        columns["random_share_accuracy"] = drawn.value
        columns["random_share_low"], columns["random_share_high"] = drawn.interval
    return {name: round(value, 6) for name, value in columns.items()}
