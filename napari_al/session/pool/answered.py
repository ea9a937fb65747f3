"""What the answers in force add up to, an answer at a time: clicks, and what may still be asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_al.core.clicks import Clicks
from napari_al.session.log.class_edits import as_counted

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from napari_al.session.log.records import Answer
    from napari_al.session.rounds.snapshot import Snapshot

NOTHING: frozenset[int] = frozenset()


class Standing:
    """Where an open project stands.

    Parameters
    ----------
    now : Snapshot
        The project without answers; gets them.
    answers : iterable of Answer
        Those in force, oldest first.
    earlier : container of str
        Ids of answers that belong to earlier rounds.

    Attributes
    ----------
    now : Snapshot
        The project with the answers in force.
    answers : list of Answer
        Those in force, oldest first, in terms of the classes in force.
    clicks : Clicks
        All that were spent.
    clicks_in_round : int
        Those of the round being answered.
    """

    def __init__(
        self, now: Snapshot, answers: Iterable[Answer] = (), earlier: Container[str] = ()
    ) -> None:
        self.now = now
        self.answers: list[Answer] = []
        self.clicks, self.clicks_in_round = Clicks(), 0
        self._earlier = earlier
        self._settled: dict[str, set[int]] = {}
        self._put_off: dict[str, set[int]] = {}
        for answer in answers:
            self.add(answer)

    def add(self, answer: Answer) -> None:
        """Take one more answer into account."""
        region = answer.query.region
        counted = as_counted([answer], self.now.config.classes)
        self.answers.extend(counted)
        self.now.answers.setdefault(region.image, []).extend(counted)
        self.clicks += answer.clicks
        if self._is_of_round(answer):
            self.clicks_in_round += answer.clicks.total
        if answer.outcome != "skipped":
            self._settled.setdefault(region.image, set()).update(region.ids)
        elif self._is_of_round(answer):
            self._put_off.setdefault(region.image, set()).update(region.ids)

    def take_back(self) -> Answer:
        """Forget the newest answer, and return it."""
        answer = self.answers.pop()
        image = answer.query.region.image
        left = self.now.answers[image]
        left.pop()
        self.clicks -= answer.clicks
        if self._is_of_round(answer):
            self.clicks_in_round -= answer.clicks.total
        self._settled[image] = self.now.answered_ids(image)
        put_off = (a for a in left if a.outcome == "skipped" and self._is_of_round(a))
        self._put_off[image] = {region_id for a in put_off for region_id in a.query.region.ids}
        if not left:
            del self.now.answers[image]
        return answer

    def is_open(self, image: str, ids: tuple[int, ...]) -> bool:
        """Whether base regions hold one not answered, and none put off in this round.

        Merged regions may hold superpixels that were answered before: they are asked again with
        the rest, and the new answer counts where both say something.
        """
        settled, put_off = self._settled.get(image, NOTHING), self._put_off.get(image, NOTHING)
        return not settled.issuperset(ids) and put_off.isdisjoint(ids)

    def _is_of_round(self, answer: Answer) -> bool:
        return answer.id not in self._earlier
