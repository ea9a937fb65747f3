"""From the start page to an open session: folders are read in a thread, images previewed."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_al.errors import BrokenDataError, InputError, MissingDataError
from napari_al.plugin.control.deferred_updates import N_AHEAD
from napari_al.plugin.layers.layer_kinds import load_layers, load_units
from napari_al.plugin.layers.placement import Placements
from napari_al.plugin.layers.placement_file import read_placements
from napari_al.plugin.layers.planes_file import read_planes
from napari_al.plugin.recent_projects import forget
from napari_al.plugin.start.recent_list import list_recent
from napari_al.plugin.start.region_preview import PreviewedImage, RegionPreview
from napari_al.plugin.widgets.background import Background
from napari_al.plugin.widgets.main_thread import timer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_al.plugin.control.workbench import Workbench
    from napari_al.plugin.layers.plane_slider import Plane
    from napari_al.plugin.start.existing_labels import ExistingLabels
    from napari_al.plugin.start.new_session import FolderContents, StartChoice
    from napari_al.plugin.start.start_page import StartPage
    from napari_al.plugin.start.viewer_images import ViewerImages
    from napari_al.session.session import Session

N_PROBLEMS = 4
"""Of a project, that are told one by one when it is opened."""
IDLE_MS = 300
"""After the dock has opened, while the user still chooses a folder."""


@dataclass(frozen=True)
class _Opened:
    """A session whose first queries are loaded, and problems found in it."""

    session: Session
    problems: tuple[str, ...]

    @classmethod
    def of(cls, session: Session, notes: tuple[str, ...] = ()) -> _Opened:
        """Load, in a thread, what the window would wait for."""
        with suppress(InputError, OSError):  # reported when the image is shown
            session.upcoming(N_AHEAD)
        return cls(session, (*notes, *session.problems))


class SessionOpener:
    """Reads folders and opens sessions for the start page.

    Parameters
    ----------
    bench : Workbench
    page : StartPage
    """

    locked = Signal(object)
    """Path of a project that another process writes to: it can be inspected only."""

    def __init__(self, bench: Workbench, page: StartPage) -> None:
        self._bench, self._page = bench, page
        self.preview = RegionPreview(bench.layers, bench.dispatch)
        self._background = Background(bench.dispatch, n_threads=1)  # opening locks a project
        self._idle = timer(IDLE_MS, self._load_ahead)
        self._idle.start()
        self._opened_image = timer(IDLE_MS, self._preselect)
        self._opened_image.start()
        bench.viewer.layers.events.inserted.connect(self._on_inserted)
        self._found: FolderContents | None = None
        self._placements = Placements()  # of its images

    def close(self) -> None:
        """End the thread; a session that it still opens is closed."""
        self._idle.stop()
        self._opened_image.stop()
        self._bench.viewer.layers.events.inserted.disconnect(self._on_inserted)
        self.preview.close()
        self._background.close()

    def open(
        self, path: Path, *, project: Path | None, method: str | None, settings: dict[str, Any]
    ) -> None:
        """Open a project, or a data folder; with a method named, ask at once if possible.

        Otherwise the start page shows the settings.
        """
        from napari_al.plugin.start.new_session import StartChoice, read_folder, suggest_project
        from napari_al.session.project.settings import image_rules, make_config, merged

        is_named = method is not None or "method" in settings

        def then(found: FolderContents) -> None:
            self._on_found(found)
            if found.data is None:
                return
            config = make_config(
                found.data, settings, method if is_named else self._page.question.method
            )
            if is_named and found.classes_known and (project is not None or not found.projects):
                place = project or suggest_project(found.path, config.method.name)
                chosen = merged(self._bench.preferences.settings(config.method), settings)
                self.begin(StartChoice(found.path, found.data.classes, method, place, chosen))
            else:
                self._page.preset(project, config, settings)

        skip_broken = bool(settings.get("skip_broken"))
        work = partial(read_folder, path, skip_broken=skip_broken, rules=image_rules(settings))
        self._in_background(work, then)

    def show_recent(self) -> None:
        """List the recent projects on the start page."""
        self._background.request(
            "recent", list_recent, self._page.recent.show_projects, self._on_error
        )

    def forget(self, path: str) -> None:
        """Take a project out of the list of recent ones."""
        self._background.request(
            "forget", lambda: forget(path), lambda _: self.show_recent(), self._on_error
        )

    def look(self, path: Path) -> None:
        """Show a data folder; open it if it is a project."""
        from napari_al.plugin.start.new_session import read_folder

        self._in_background(lambda: read_folder(path), self._on_found)

    def _on_found(self, found: FolderContents) -> None:
        if found.is_project:
            self.open_project(found.path)
            return
        self._found, self._placements = found, Placements()
        if found.data is not None:
            with suppress(InputError):  # what is wrong with the file is told with the session
                self._placements = read_placements(found.data.path)
        self._page.show_found(found)

    def open_project(self, path: Path) -> None:
        """Open an existing project; one that is locked is inspected instead."""
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

    def relocate(self, project: Path, folder: Path) -> None:
        """Tell a project where its data folder is, and open it."""
        from napari_al.tools.relocate import relocate

        self._in_background(lambda: relocate(project, folder), lambda _: self.open_project(project))

    def use_sample(self) -> None:
        """Show the sample data."""
        from napari_al.formats.sample import sample_data_path

        self._attempt(lambda: self.look(sample_data_path()))

    def use_viewer_images(self) -> None:
        """Use the images that are open in the viewer, and preview the plane on screen."""
        from napari_al.plugin.start.viewer_images import images_of

        self._attempt(lambda: self._use(images_of(self._bench.viewer)))

    def _use(self, images: ViewerImages) -> None:
        from napari_al.plugin.start.viewer_images import position_at

        self._page.regions.image_index = position_at(images, self._bench.viewer.dims.point)
        self._page.show_viewer_images(images)

    def _preselect(self) -> None:
        """Use images that are open already, where nothing else is chosen.

        Of images that are chosen already, what the user has entered and any message stay.
        """
        from napari_al.plugin.start.viewer_images import images_of

        source = self._page.source
        if self._bench.opened is not None or isinstance(source, Path):
            return
        with suppress(InputError):  # none, or such as cannot be used: the button says why
            images = images_of(self._bench.viewer)
            if source is None or images.layers != source.layers:
                self._use(images)
            else:
                labels = images.label_layers
                self._page.sources.source = replace(source, label_layers=labels)

    def _on_inserted(self, event: Any) -> None:
        if "napari_al" not in event.value.metadata:
            self._opened_image.start()

    def read_labels(self, folder: Path) -> None:
        """Use the classes of a folder of label images."""
        from napari_al.plugin.start.new_session import classes_of_labels

        self._in_background(lambda: classes_of_labels(folder), self._page.class_list.set_classes)

    def read_existing(self, labels: ExistingLabels | None) -> None:
        """Use the classes of labels (None: the viewer's), where the user has named none."""
        from napari_al.plugin.start.existing_labels import classes_of_layers

        class_list, source = self._page.class_list, self._page.source
        if class_list.n_classes:
            return
        if labels is not None:
            self._in_background(labels.classes, class_list.set_classes)
        elif source is not None and not isinstance(source, Path):
            self._in_background(partial(classes_of_layers, source), class_list.set_classes)

    def begin(self, choice: StartChoice) -> None:
        """Create a project and open it."""
        from napari_al.plugin.start.new_session import create
        from napari_al.plugin.start.viewer_images import planes_of

        self.preview.stop()  # the session shows its own layers
        dispatch = self._bench.dispatch
        self._in_background(
            lambda: _Opened.of(*create(choice, dispatch)),
            lambda opened: self._on_opened(
                opened, () if isinstance(choice.source, Path) else planes_of(choice.source)
            ),
        )

    def _on_opened(self, opened: _Opened, planes: Sequence[Plane] = ()) -> None:
        placements, problems, folder = Placements(), opened.problems, opened.session.data.path
        try:
            placements = read_placements(folder)
        except InputError as error:
            problems = (str(error), *problems)
        try:
            planes = planes or read_planes(folder, self._bench.viewer.layers)
        except InputError as error:
            problems = (str(error), *problems)
        self._bench.open(opened.session, placements, planes)
        if problems:
            self._bench.events.told.emit(problems_text(problems))

    # ---- preview

    def show_preview(self) -> None:
        """Show an image and the regions it would be cut into."""
        if self._bench.opened is not None:
            return
        source = self._page.source
        if isinstance(source, Path):
            self._preview_folder(source)
        elif source is not None:
            self._preview_viewer(source)

    def _preview_folder(self, source: Path) -> None:
        data = self._found.data if self._found is not None else None
        if data is not None:
            name = data.train[self._page.regions.image_index % len(data.train)]
            self._preview(PreviewedImage.of_folder(data, name, self._placements))

    def _preview_viewer(self, source: ViewerImages) -> None:
        from napari_al.plugin.start.viewer_images import placement_at, plane_at

        place = self._page.regions.image_index % source.n_planes
        read = partial(plane_at, source, place)
        self._preview(PreviewedImage((id(source), place), read, placement_at(source, place)))

    def _preview(self, image: PreviewedImage) -> None:
        regions = self._page.regions
        self.preview.show(image, regions.regions, regions.n_per_image)

    # ---- inside

    def _load_ahead(self) -> None:
        """Import what the first image on screen would have to wait for."""
        request, raise_ = self._background.request, self._on_error

        def then(adopt_units: Callable[[], None]) -> None:
            adopt_units()
            request("modules", _load_modules, lambda _: None, raise_)

        request("units", load_units, then, raise_)

    def _in_background(self, work: Callable[[], Any], then: Callable[[Any], None]) -> None:
        """Run ``work`` in the thread, instead of what it was last asked for, then ``then``."""

        def on_done(result: Any) -> None:
            self._page.show_busy(False)
            self._attempt(lambda: then(result))

        self._page.show_message("")
        self._page.show_busy(True)
        self._background.request("open", work, on_done, self._on_error, _close_session)

    def _on_error(self, error: InputError | OSError) -> None:
        self._page.show_busy(False)
        if isinstance(error, BrokenDataError):
            words = "start `napari-al label` with --skip-broken"
            error = BrokenDataError(error.fault, words)
        if isinstance(error, MissingDataError):
            self._page.show_missing_data(error.project, str(error))
        else:
            self._page.show_message(str(error))

    def _attempt(self, action: Callable[[], object]) -> None:
        try:
            action()
        except (InputError, OSError) as error:
            self._page.show_message(str(error))


def problems_text(problems: Sequence[str]) -> str:
    """Return problems a line each: the first ones, and how many there are besides."""
    lines = list(problems[:N_PROBLEMS])
    if len(problems) > N_PROBLEMS:
        lines.append(f"And {len(problems) - N_PROBLEMS} more like these.")
    return "\n".join(lines)


def _load_modules() -> None:
    """Import, in the thread, what the first image and the button that starts would wait for."""
    load_layers()
    from napari_al.plugin.start import existing_labels, new_session  # noqa: F401


def _close_session(result: Any) -> None:
    if isinstance(result, _Opened):
        result.session.close()
