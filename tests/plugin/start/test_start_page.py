"""Which settings the start page begins with."""

import pytest

from napari_al.formats.dataset import DataFolder
from napari_al.plugin.preferences import Preferences
from napari_al.session.project.settings import make_config


@pytest.mark.parametrize(
    ("given", "budget", "first_training"),
    [({}, 70, 20), ({"budget": 9, "first_training": 4}, 9, 4)],
)
def test_preferences_hold_where_no_setting_is_given(desk, data_path, given, budget, first_training):
    page = desk.dock.start
    page.set_preferences(Preferences(budget=70, first_training=20))
    page.preset(None, make_config(DataFolder.open(data_path), given, "bvsb"), given)
    assert page.budget.value() == budget
    assert page.first_training == first_training
