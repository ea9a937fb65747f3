"""From the start page to an open session: slow things in a thread, the preview meanwhile."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_al.errors import BrokenDataError, InputError
from napari_al.plugin.control.deferred_updates import N_AHEAD
from napari_al.plugin.layers.layer_kinds import load_layers, load_units
from napari_al.plugin.start.placement_file import read_placement
from napari_al.plugin.start.region_preview import Preview
from napari_al.plugin.widgets.main_thread import timer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari.layers import Layer

    from napari_al.plugin.control.workbench import Workbench
    from napari_al.plugin.start.new_session import Found, StartChoice
    from napari_al.plugin.start.start_page import StartPage
    from napari_al.plugin.start.viewer_images import ViewerImages
    from napari_al.session.session import Session

IDLE_MS = 300
"""After the dock has opened: napari has shown its window, and a folder is still to be chosen."""


@dataclass(frozen=True)
class _Opened:
    """A session with its first questions read ahead, and what of it cannot be used."""

    session: Session
    problems: tuple[str, ...]

    @classmethod
    def of(cls, session: Session) -> _Opened:
        """Read, in a thread, what the window would wait for."""
        with suppress(InputError, OSError):  # whoever asks about the image will say so
            session.upcoming(N_AHEAD)
        return cls(session, session.problems)


class Opening:
    """Does what the start page asks for.

    Parameters
    ----------
    bench : Workbench
    page : StartPage
    """

    locked = Signal(object)
    """Path of a project that another process writes to: it can be looked at only."""

    def __init__(self, bench: Workbench, page: StartPage) -> None:
        self._bench, self._page = bench, page
        self.regions = Preview(bench.stage.layers, bench.dispatch)
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="opening")
        self._idle = timer(IDLE_MS, self._load_ahead)
        self._idle.start()
        self._found: Found | None = None
        self._closed = False

    def close(self, *_: object) -> None:
        """End the thread; what it still gives is dropped."""
        self._closed = True
        self._idle.stop()
        self.regions.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def open(
        self, path: Path, *, project: Path | None, method: str | None, settings: dict[str, Any]
    ) -> None:
        """Open a project, or a data folder; with a method named, ask at once if possible.

        Else the start page begins with the settings.
        """
        from napari_al.plugin.start.new_session import SEGMENTER, StartChoice, look, suggest_project
        from napari_al.session.project.settings import image_rules, make_config, merged

        chosen = merged({"training": {"segmenter": SEGMENTER}}, settings)
        is_named = method is not None or "method" in settings

        def then(found: Found) -> None:
            self._on_found(found)
            if found.data is None:
                return
            config = make_config(
                found.data, chosen, method if is_named else self._page.question.method
            )
            if is_named and found.classes_known:
                place = project or suggest_project(found.path, config.method.name)
                self.begin(StartChoice(found.path, found.data.classes, method, place, chosen))
            else:
                self._page.preset(project, config, settings)

        skip_broken = bool(settings.get("skip_broken"))
        rules = image_rules(settings)
        self._in_background(lambda: look(path, skip_broken=skip_broken, rules=rules), then)

    def look(self, path: Path) -> None:
        """Find out what a folder is; open it if it is a project."""
        from napari_al.plugin.start.new_session import look

        self._in_background(lambda: look(path), self._on_found)

    def _on_found(self, found: Found) -> None:
        if found.is_project:
            self.open_project(found.path)
            return
        self._found = found
        self._page.show_found(found)

    def open_project(self, path: Path) -> None:
        """Open a project that is there; one that cannot be written to is only looked at."""
        from napari_al.session.project.lock import LockedError
        from napari_al.session.session import Session

        def work() -> _Opened | LockedError:
            try:
                return _Opened.of(Session.open(path, dispatch=self._bench.dispatch))
            except LockedError as error:
                return error

        def then(opened: _Opened | LockedError) -> None:
            if isinstance(opened, _Opened):
                self._on_opened(opened)
                return
            self._page.show_message(f"{opened}. Its rounds are shown meanwhile.")
            self.locked.emit(path)

        self._in_background(work, then)

    def use_sample(self) -> None:
        """Take the sample data."""
        from napari_al.formats.sample import sample_data_path

        self._attempt(lambda: self.look(sample_data_path()))

    def use_viewer_images(self) -> None:
        """Take the images that are open in the viewer."""
        from napari_al.plugin.start.viewer_images import images_of

        self._attempt(lambda: self._page.show_viewer_images(images_of(self._bench.viewer)))

    def read_labels(self, folder: Path) -> None:
        """Take the classes of a folder of label images."""
        from napari_al.plugin.start.new_session import classes_of_labels

        self._in_background(lambda: classes_of_labels(folder), self._page.class_list.set_classes)

    def begin(self, choice: StartChoice) -> None:
        """Make a project and open it."""
        from napari_al.plugin.start.new_session import create

        dispatch = self._bench.dispatch
        self._in_background(
            lambda: _Opened.of(create(choice, dispatch)),
            lambda opened: self._on_opened(
                opened, () if isinstance(choice.source, Path) else choice.source.layers
            ),
        )

    def _on_opened(self, opened: _Opened, sources: Sequence[Layer] = ()) -> None:
        placement, problems = None, opened.problems
        try:
            placement = read_placement(opened.session.data.path)
        except InputError as error:
            problems = (str(error), *problems)
        self._bench.open(opened.session, placement, sources)
        for problem in problems[:1]:
            self._bench.events.told.emit(problem)

    # ---- preview

    def preview(self) -> None:
        """Show an image and the regions it would be cut into."""
        if self._bench.session is not None:
            return
        source = self._page.source
        if isinstance(source, Path):
            self._preview_folder(source)
        elif source is not None:
            self._preview_viewer(source)

    def _preview_folder(self, source: Path) -> None:
        data = self._found.data if self._found is not None else None
        if data is not None:
            regions = self._page.question.method.regions
            name = data.train[self._page.regions.image_index % len(data.train)]
            n_regions = self._page.regions.n_per_image
            self.regions.show((source, name), lambda: data.image(name), regions, n_regions)

    def _preview_viewer(self, source: ViewerImages) -> None:
        from napari_al.plugin.start.viewer_images import plane_at

        place = self._page.regions.image_index % source.n_planes
        self.regions.show(
            (id(source), place),
            lambda: plane_at(source, place),
            self._page.question.method.regions,
            self._page.regions.n_per_image,
            source.placement,
        )

    # ---- inside

    def _load_ahead(self) -> None:
        """Load what the first image on screen would have to wait for."""

        def then(done: Future[Callable[[], None]]) -> None:
            done.result()()
            self._pool.submit(load_layers)

        self._hand_back(self._pool.submit(load_units), then)

    def _in_background(self, work: Callable[[], Any], then: Callable[[Any], None]) -> None:
        self._page.show_message("")
        self._page.show_busy(True)
        self._hand_back(self._pool.submit(work), lambda done: self._on_done(done, then))

    def _hand_back(self, future: Future[Any], then: Callable[[Future[Any]], object]) -> None:
        """Go on with what a thread has done, on the window's thread."""

        def go_on() -> None:
            if not self._closed:
                then(future)
            elif (
                not future.cancelled()
                and future.exception() is None
                and isinstance(future.result(), _Opened)
            ):
                future.result().session.close()  # or nobody would

        future.add_done_callback(lambda _: self._bench.dispatch(go_on))

    def _on_done(self, done: Future[Any], then: Callable[[Any], None]) -> None:
        self._page.show_busy(False)
        error = done.exception()
        if isinstance(error, BrokenDataError):
            words = "start `napari-al label` with --skip-broken"
            self._page.show_message(str(BrokenDataError(error.fault, words)))
        elif isinstance(error, InputError | OSError):
            self._page.show_message(str(error))
        elif error is not None:
            raise error
        else:
            self._attempt(lambda: then(done.result()))

    def _attempt(self, action: Callable[[], object]) -> None:
        try:
            action()
        except (InputError, OSError) as error:
            self._page.show_message(str(error))
