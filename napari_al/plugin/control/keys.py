"""What each key does: one table for bindings, button labels and the help page; the user's own keys.

Keys are written as napari writes them (``Space``, ``Control-Z``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Literal

from psygnal import Signal
from pydantic import Field, TypeAdapter, ValidationError

from napari_al.errors import InputError

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

    ``keys`` are alternatives, unless the user has others (`UserKeys`).
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
        Action("help", ("?", "Shift-/", "F1"), "show or hide all keys", "Look"),
    )
}

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


_DIGITS = "1234567890"
_LETTERS = "QWERTYUIOPASDFGHJKLZXCVBNM"
_MODIFIERS = ("Control", "Alt", "Shift", "Meta")
RESERVED: dict[str, str] = {
    **dict.fromkeys(_DIGITS, "a key of classes"),
    "Enter": "napari's, to close a polygon",
    "Backspace": "napari's, to delete a corner",
    "Delete": "napari's, to delete what is selected",
    "Escape": "napari's, to end a drawing",
    "Tab": "the window's, to go from field to field",
}
"""Keys that no action may be given unless it has them by default, and whose they are."""


_KEYS = TypeAdapter(dict[ActionName, Annotated[tuple[str, ...], Field(min_length=1)]])


class UserKeys:
    """The keys in force: those of the table, unless the user has chosen others.

    One for all viewers that are open; views show its keys, and again when ``changed``. No key ever
    does two things.

    Parameters
    ----------
    text : str
        What `to_text` has returned; "" = the defaults. If it cannot be used, ``problem`` says so.
    preferred : str
        Keys of classes in their order, one character a key; "" = digits, then letters.
    """

    changed = Signal()

    def __init__(self, text: str = "", preferred: str = "") -> None:
        self._own: dict[ActionName, tuple[str, ...]] = {}
        self.preferred = preferred
        self.problem = self._read(text) if text.strip() else ""

    # ---- what is in force

    def of(self, name: ActionName) -> tuple[str, ...]:
        """Return the keys of an action; the first one is shown on its button."""
        return self._own.get(name, ACTIONS[name].keys)

    def hint(self, name: ActionName) -> str:
        """Return an action's first key, as shown on a button."""
        return shown(self.of(name)[0])

    def owner(self, key: str) -> ActionName | None:
        """Return the action that a key does."""
        return next((name for name in ACTIONS if key in self.of(name)), None)

    def is_default(self, name: ActionName) -> bool:
        """Whether an action has the keys of the table."""
        return name not in self._own

    @property
    def free(self) -> tuple[str, ...]:
        """Keys for classes in the order in which they are given out."""
        taken = {key for name in ACTIONS for key in self.of(name)}
        free = [key for key in (*_DIGITS, *_LETTERS) if key not in taken]
        preferred = [key for key in self.preferred.upper() if key in free]
        return tuple(dict.fromkeys((*preferred, *free)))

    def class_keys(self, n_classes: int) -> tuple[str, ...]:
        """Return what to type for each class: a key, or two where there are more than keys.

        First those that are preferred, then digits, then letters in keyboard order, except those
        of actions. With many classes the last of these keys are only prefixes of pairs: ``M1``,
        ``M2``, ...

        Examples
        --------
        >>> UserKeys(preferred="ya").class_keys(3)
        ('Y', 'A', '1')
        >>> UserKeys().class_keys(26)[22:]
        ('V', 'N', 'M1', 'M2')
        """
        order = self.free
        n_keys = len(order)
        n_prefixes = max(0, -(-(n_classes - n_keys) // (n_keys - 1)))
        pairs = [prefix + key for prefix in order[n_keys - n_prefixes :] for key in order]
        return (*order[: n_keys - n_prefixes], *pairs)[:n_classes]

    def conflicts(self) -> tuple[str, ...]:
        """Return which of the preferred keys of classes cannot be used, and why."""
        usable = (*_DIGITS, *_LETTERS)
        out = []
        for key in dict.fromkeys(self.preferred.upper()):
            name = self.owner(key)
            if name is not None:
                out.append(f"{key} is no key of a class: it is “{ACTIONS[name].text}”.")
            elif key not in usable:
                out.append(f"{key} is no key of a class: digits and letters are.")
        return tuple(out)

    # ---- changes

    def assign(self, name: ActionName, key: str, *, add: bool = False) -> None:
        """Give an action a key instead of those it has; ``add``: beside them.

        Raises
        ------
        InputError
            If the key is another action's, is reserved, or does not arrive in the window.
        """
        self._check(name, key)
        self._own[name] = tuple(dict.fromkeys((*self.of(name), key))) if add else (key,)
        self._tidy(name)
        self.changed.emit()

    def reset(self, name: ActionName) -> None:
        """Give an action its default keys again.

        Raises
        ------
        InputError
            If one of them is another action's now.
        """
        for key in ACTIONS[name].keys:
            self._check(name, key)
        self._own.pop(name, None)
        self.changed.emit()

    def reset_all(self) -> None:
        """Give all actions and classes their default keys again."""
        self._own.clear()
        self.preferred = ""
        self.changed.emit()

    def prefer(self, keys: str) -> None:
        """Use these keys for classes first, in this order; `conflicts` says which cannot be."""
        if keys != self.preferred:
            self.preferred = keys
            self.changed.emit()

    def _check(self, name: ActionName, key: str) -> None:
        words, owner = shown(key), self.owner(key)
        is_default = key in ACTIONS[name].keys
        if key in RESERVED and not is_default:
            raise InputError(f"{words} is {RESERVED[key]}: choose another key.")
        if owner is not None and owner != name:
            raise InputError(
                f"{words} already is the key of “{ACTIONS[owner].text}”: give that another one "
                "first, or choose another key here."
            )
        if not is_default and not is_known(key):
            raise InputError(
                f"{words} cannot be used: napari does not tell it from other keys. Choose a "
                "letter, F1 to F12, or one of them with Ctrl, Alt or Shift."
            )

    def _tidy(self, name: ActionName) -> None:
        if self._own.get(name) == ACTIONS[name].keys:
            del self._own[name]

    # ---- text

    def to_text(self) -> str:
        """Return the keys that are not the default ones, as JSON; "" = none."""
        return json.dumps({k: list(v) for k, v in self._own.items()}) if self._own else ""

    def _read(self, text: str) -> str:
        """Take keys from text; return why they cannot be used, "" if they can."""
        try:
            found = _KEYS.validate_json(text)
            # all of them lose their default keys first: two may have been swapped
            self._own = dict.fromkeys(found, ())
            for name, keys in found.items():
                for key in keys:
                    self._check(name, key)
                self._own[name] = keys
        except (InputError, ValidationError) as error:
            self._own = {}
            why = str(error) if isinstance(error, InputError) else f"{text[:40]!r} is none."
            return f"Your own keys cannot be used; the default ones are. {why}"
        return ""


def is_known(key: str) -> bool:
    """Whether napari tells a key from all others, e.g. ``Control-S``: not ``#`` or ``é``."""
    from app_model.types import KeyCode

    *modifiers, last = key.split("-") if not key.endswith("-") else (*key[:-1].split("-")[:-1], "-")
    named = KeyCode.from_string(last) is not KeyCode.UNKNOWN
    return named and last not in _MODIFIERS and set(modifiers) <= set(_MODIFIERS)
