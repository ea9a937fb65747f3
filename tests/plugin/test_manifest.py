"""What the manifest promises napari."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from npe2 import PluginManifest
from npe2.manifest.utils import import_python_name

import napari_al
from napari_al.errors import InputError
from napari_al.plugin import preferences, reader, writer
from napari_al.plugin.control.workbench import Workbench
from napari_al.plugin.sample import sample_images

MANIFEST = Path(napari_al.__file__).parent / "napari.yaml"


def test_every_command_can_be_imported():
    manifest = PluginManifest.from_file(MANIFEST)
    for command in manifest.contributions.commands:
        assert callable(import_python_name(command.python_name))


def test_importing_the_plugin_loads_neither_torch_nor_cv2():
    code = (
        "import sys, napari_al.plugin.dock, napari_al.plugin.reader;"
        "assert not {'torch', 'cv2', 'skimage', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=120)


def test_preferences_are_the_manifests(plugin_settings, npe2pm):
    assert preferences.load() == preferences.Preferences()  # not installed as a plugin
    npe2pm.register(PluginManifest.from_file(MANIFEST))
    assert preferences.load() == preferences.Preferences()
    from napari.settings import get_plugin_settings

    get_plugin_settings("napari-al").view.class_keys = "QWER"
    assert preferences.load().class_keys == "QWER"


def test_keys_are_kept_in_the_users_preferences(plugin_settings, npe2pm, make_napari_viewer):
    viewer = make_napari_viewer()
    unkept = Workbench(viewer)
    told = []
    unkept.events.told.connect(told.append)
    unkept.keys.assign("skip", "J")
    assert "hold until it ends" in told[0]  # not installed as a plugin

    npe2pm.register(PluginManifest.from_file(MANIFEST))
    bench = Workbench(viewer)
    bench.keys.assign("skip", "J")
    bench.keys.prefer("QE")
    again = Workbench(viewer).keys
    assert again.of("skip") == ("J",)
    assert again.class_keys(3) == ("Q", "E", "1")
    for one in (unkept, bench):
        one.end()


def test_the_sample_is_one_stack():
    ((stack, meta, kind),) = sample_images()
    assert (stack.ndim, kind) == (4, "image")
    assert meta["rgb"]


def test_the_reader_takes_projects_and_data_folders_alone(tmp_path, data_path):
    assert reader.get_reader(str(data_path)) is not None
    assert reader.get_reader(str(tmp_path)) is None
    assert reader.get_reader([str(data_path), str(tmp_path)]) is None


def test_the_writer_writes_class_ids(tmp_path):
    labels = np.array([[0, 3], [255, 1]])
    assert writer.write_labels(str(tmp_path / "a.png"), labels, {}) == [str(tmp_path / "a.png")]
    assert np.array_equal(iio.imread(tmp_path / "a.png"), labels)
    writer.write_labels(str(tmp_path / "b.png"), labels * 2, {})  # in 16 bits
    assert np.array_equal(iio.imread(tmp_path / "b.png"), labels * 2)
    with pytest.raises(InputError, match="TIFF"):
        writer.write_labels(str(tmp_path / "c.png"), labels * 1000, {})
