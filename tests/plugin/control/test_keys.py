"""Keys of classes and actions, and those that the user chooses instead."""

import pytest

from napari_al.errors import InputError
from napari_al.plugin.control.keys import ACTIONS, UserKeys, shown


@pytest.mark.parametrize("own", ["", '{"skip": ["Q"], "unsure": ["S"]}'])
@pytest.mark.parametrize("n", [2, 10, 11, 24, 25, 47, 48, 255])
def test_class_keys_never_collide(n, own):
    keys = UserKeys(own)
    given = keys.class_keys(n)
    taken = {key for name in ACTIONS for key in keys.of(name)}
    assert len(given) == len(set(given)) == n
    assert {len(key) for key in given} <= {1, 2}
    assert not {char for key in given for char in key} & taken
    begin = {key[0] for key in given if len(key) == 2}
    assert not begin & set(given), "a key that begins a pair names no class"
    assert given[:10] == tuple("1234567890")[:n]


def test_no_key_does_two_things():
    every = [key for action in ACTIONS.values() for key in action.keys]
    assert len(every) == len(set(every))


@pytest.mark.parametrize(
    ("key", "text"), [("Control-Shift-Z", "Ctrl+Shift+Z"), ("Space", "Space"), ("/", "/")]
)
def test_shown(key, text):
    assert shown(key) == text


def test_keys_are_changed_kept_and_reset():
    keys, seen = UserKeys(), []
    keys.changed.connect(lambda: seen.append(keys.hint("skip")))
    keys.assign("skip", "J")
    keys.assign("skip", "Control-J", add=True)
    keys.assign("ignore", "S")  # free now
    assert seen == ["J", "J", "J"]
    again = UserKeys(keys.to_text())
    assert again.problem == ""
    assert [again.of(name) for name in ("skip", "ignore", "unsure")] == [
        ("J", "Control-J"),
        ("S",),
        ("U",),
    ]
    with pytest.raises(InputError, match="S already is the key of “ignore"):
        keys.reset("skip")
    keys.reset("ignore")
    keys.reset("skip")
    assert keys.to_text() == ""


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("U", "U already is the key of “unsure.*give that another one first"),
        ("3", "3 is a key of classes"),
        ("Enter", "Enter is napari's, to close a polygon"),
        ("Tab", "Tab is the window's"),
        ("é", "é cannot be used: napari does not tell it from other keys"),
        ("Control-é", "cannot be used"),
        ("", "cannot be used"),
        ("Shift", "cannot be used"),
    ],
)
def test_keys_that_cannot_be_given_are_refused(key, words):
    keys = UserKeys()
    with pytest.raises(InputError, match=words):
        keys.assign("skip", key)
    assert keys.of("skip") == ("S",)


@pytest.mark.parametrize(
    "text",
    ["S", "[]", '{"skip": []}', '{"skip": "S"}', '{"no such action": ["S"]}',
     '{"skip": ["U"]}', '{"skip": ["1"]}', '{"skip": ["J"], "unsure": ["J"]}'],
)  # fmt: skip
def test_keys_that_cannot_be_read_are_named_and_the_defaults_hold(text):
    keys = UserKeys(text)
    assert keys.problem.startswith("Your own keys cannot be used; the default ones are.")
    assert all(keys.of(name) == action.keys for name, action in ACTIONS.items())


def test_keys_of_classes_that_cannot_be_are_named():
    keys = UserKeys(preferred="qs!")
    assert keys.class_keys(2) == ("Q", "1")
    taken, unknown = keys.conflicts()
    assert taken.startswith("S is no key of a class: it is “skip")
    assert unknown == "! is no key of a class: digits and letters are."
