"""A project whose data folder has moved, opened in the window."""

from scenes import project_config, write_data

from napari_al.session.session import Session


def test_the_window_offers_to_locate_missing_data(desk, tmp_path):
    data = write_data(tmp_path / "data")
    Session.create(tmp_path / "project", project_config(data)).close()
    new = data.rename(tmp_path / "elsewhere")
    start = desk.dock.start
    start.folder_wanted.emit(tmp_path / "project")
    desk.until(lambda: start._locate.isVisibleTo(start))
    assert "napari-al relocate" in start._message.text()
    start.data_located.emit(tmp_path / "project", new)
    desk.until(lambda: desk.dock.bench.session is not None)
    assert desk.session.data.path == new
    assert not start._locate.isVisibleTo(start)
