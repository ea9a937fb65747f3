"""Keys of classes and actions."""

import pytest

from napari_al.plugin.control import keys


@pytest.mark.parametrize("n", [2, 10, 11, 24, 25, 47, 48, 255])
def test_class_keys_never_collide(n):
    given = keys.class_keys(n)
    taken = {key for action in keys.ACTIONS.values() for key in action.keys}
    assert len(given) == len(set(given)) == n
    assert {len(key) for key in given} <= {1, 2}
    assert not {char for key in given for char in key} & taken
    begin = {key[0] for key in given if len(key) == 2}
    assert not begin & set(given), "a key that begins a pair names no class"
    assert given[:10] == tuple("1234567890")[:n]


def test_no_key_does_two_things():
    every = [key for action in keys.ACTIONS.values() for key in action.keys]
    assert len(every) == len(set(every))


@pytest.mark.parametrize(
    ("key", "text"), [("Control-Shift-Z", "Ctrl+Shift+Z"), ("Space", "Space"), ("/", "/")]
)
def test_shown(key, text):
    assert keys.shown(key) == text
