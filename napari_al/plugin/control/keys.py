"""What each key does: one table for bindings, button labels and the help page.

Keys are written as napari writes them (``Space``, ``Control-Z``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ActionName = Literal[
    "accept",
    "skip",
    "unsure",
    "ignore",
    "undo",
    "redo",
    "go_back",
    "find_class",
    "edit_classes",
    "focus",
    "whole_image",
    "borders",
    "prediction",
    "heatmap",
    "answers",
    "rest",
    "split",
    "brighten",
    "fold",
    "help",
]


@dataclass(frozen=True, slots=True)
class Action:
    """Something a key does, in words for the help page.

    ``keys`` are alternatives; the first one is shown on the button.
    """

    name: ActionName
    keys: tuple[str, ...]
    text: str
    group: Literal["Answer", "Look"] = "Answer"


ACTIONS: dict[ActionName, Action] = {
    action.name: action
    for action in (
        Action("accept", ("Space", "Enter"), "the label is right · done choosing or drawing"),
        Action("skip", ("S",), "skip: ask again in a later round"),
        Action("unsure", ("U",), "unsure: leave it without a label"),
        Action("ignore", ("I", "X"), "ignore: nothing of the classes; train on nothing here"),
        Action("undo", ("Control-Z", "Backspace"), "take the last answer back"),
        Action("redo", ("Control-Shift-Z", "Control-Y"), "put it back"),
        Action("go_back", ("Escape",), "leave a picked region as it is · ask in all images again"),
        Action("find_class", ("/",), "find a class by typing its name"),
        Action("rest", ("R",), "drawing: the rest of the rectangle is this class"),
        Action("split", ("D",), "divide: cut the region in two and answer both parts"),
        Action("edit_classes", ("F2",), "add, rename, recolour, merge or delete classes"),
        Action("focus", ("F",), "bring the region back into view", "Look"),
        Action("whole_image", ("W",), "see the whole image", "Look"),
        Action("borders", ("B",), "borders of all regions", "Look"),
        Action("prediction", ("P",), "what the model predicts", "Look"),
        Action("heatmap", ("H",), "what is most worth asking", "Look"),
        Action("answers", ("L",), "labels so far", "Look"),
        Action("brighten", ("F3",), "brighten a dark picture, or show it as it was", "Look"),
        Action("fold", ("F4",), "fold napari's own panels, or bring them back", "Look"),
        Action("help", ("?", "Shift-/", "F1"), "show or hide this page", "Look"),
    )
}

_TAKEN = frozenset(key for action in ACTIONS.values() for key in action.keys)
CLASS_KEYS = (*"1234567890", *(c for c in "QWERTYUIOPASDFGHJKLZXCVBNM" if c not in _TAKEN))
"""Keys for classes in the order in which they are given out."""


def class_keys(n_classes: int, preferred: str = "") -> tuple[str, ...]:
    """Return what to type for each class: a key, or two where there are more classes than keys.

    First the free ones of ``preferred`` (one character a key), then digits, then letters in
    keyboard order, except those of actions. With many classes the last of these keys are only
    prefixes of pairs: ``M1``, ``M2``, ...

    Examples
    --------
    >>> class_keys(3, "ya")
    ('Y', 'A', '1')
    >>> class_keys(26)[22:]
    ('V', 'N', 'M1', 'M2')
    """
    preferred_keys = [key for key in preferred.upper() if key in CLASS_KEYS]
    order = list(dict.fromkeys((*preferred_keys, *CLASS_KEYS)))
    n_keys = len(order)
    n_prefixes = max(0, -(-(n_classes - n_keys) // (n_keys - 1)))
    pairs = [prefix + key for prefix in order[n_keys - n_prefixes :] for key in order]
    return (*order[: n_keys - n_prefixes], *pairs)[:n_classes]


_SHOWN = {
    "Control": "Ctrl",
    "Backspace": "⌫",
    "Enter": "Enter",
    "Escape": "Esc",
    "Shift-/": "?",
}


def shown(key: str) -> str:
    """Return a key as shown to the user: ``Control-Shift-Z`` → ``Ctrl+Shift+Z``."""
    if key in _SHOWN:
        return _SHOWN[key]
    return "+".join(_SHOWN.get(part, part) for part in key.split("-") if part)


def hint(name: ActionName) -> str:
    """Return an action's first key, as shown on a button."""
    return shown(ACTIONS[name].keys[0])
