"""Parse a project's settings: ``training.steps=50``, TOML or JSON files.

A settings file has the fields of ``ProjectConfig``; ``method`` is the name of a row of the table of
methods, or columns that change one::

    budget = 300

    [method]
    name = "merged-multi-class"
    merging = "adaptive"

    [training]
    steps = 100
"""

from __future__ import annotations

import json
import tomllib
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from napari_al.errors import InputError
from napari_al.formats.image_rules import ImageRules
from napari_al.formats.remote import address_of
from napari_al.learning.networks.catalogue import default_segmenter
from napari_al.methods.acquisition import (
    ENCODER_COLUMNS,
    ENSEMBLE_COLUMNS,
    check_acquisition,
    columns_to_score,
)
from napari_al.methods.table import METHODS, Method
from napari_al.session.project.config import ProjectConfig

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from napari_al.formats.dataset import DataFolder

Settings = dict[str, Any]
"""Nested: ``{"training": {"steps": 50}}``."""

NOT_SET_BY_HAND = ("version", "data", "classes")
CHANGES_NO_RESULTS = ("method.summary", "method.paper", "images.ranges", "images.gamma")


def parse_assignments(assignments: Sequence[str]) -> Settings:
    """Settings of ``["training.steps=50", ...]``; a value is JSON, or else a string.

    Raises
    ------
    InputError
        For a text without a name or without ``=``.
    """
    settings: Settings = {}
    for text in assignments:
        key, equals, value = text.partition("=")
        *groups, name = key.strip().split(".")
        if not equals or not all((*groups, name)):
            raise InputError(f"--set expects NAME=VALUE, e.g. training.steps=50; got {text!r}")
        place = settings
        for group in groups:
            inner = place.setdefault(group, {})
            if not isinstance(inner, dict):
                raise InputError(f"--set {text}: {group!r} was set to {inner!r} before")
            place = inner
        place[name] = _value(value.strip())
    return settings


def read_settings(path: Path) -> Settings:
    """Settings of a ``.toml`` or ``.json`` file.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        found = tomllib.loads(text) if path.suffix.lower() == ".toml" else json.loads(text)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        kind = "TOML" if path.suffix.lower() == ".toml" else "JSON (or name it .toml)"
        raise InputError(f"{path} is not valid {kind}: {error}") from error
    if not isinstance(found, dict):
        raise InputError(f"{path}: a table of settings was expected, got a {type(found).__name__}")
    if isinstance(found.get("method"), dict):
        found["method"].setdefault("name", path.stem)
    return found


def merged(*settings: Mapping[str, Any]) -> Settings:
    """One nested mapping; later settings win."""
    result: Settings = {}
    for more in settings:
        for key, value in more.items():
            old = result.get(key)
            both = isinstance(old, dict) and isinstance(value, dict)
            result[key] = merged(old, value) if both else value  # type: ignore[arg-type]
    return result


def make_config(
    data: DataFolder, settings: Mapping[str, Any], method: str | Method | None = None
) -> ProjectConfig:
    """Config of a new project.

    Parameters
    ----------
    data
        The folder that it is about.
    settings
        Nested settings; ``settings["method"]`` may name a row of the table or hold columns.
    method
        A row, or its name; columns in ``settings`` change it.

    Raises
    ------
    InputError
        For an unknown setting, method or acquisition function, a value that cannot be used, or
        columns that do not fit.
    """
    left_out = tuple(sorted(f"{b.split}/{b.name}" for b in data.broken))
    rules = data.rules.model_copy(update={"left_out": left_out})
    if not _agree(settings.get("images", {}), rules):
        raise InputError(
            "settings of 'images' take effect when the data folder is opened: "
            "DataFolder.open(path, rules=ImageRules(...))"
        )
    fields = {
        **settings,
        "training": _training(data, settings.get("training", {})),
        "data": address_of(data.path) or str(data.path.resolve()),
        "classes": data.classes,
        "images": rules,
        "method": _method(method, settings.get("method")),
    }
    for name in settings:
        if name in NOT_SET_BY_HAND:
            raise InputError(f"{name!r} cannot be set: it follows from the data folder")
    try:
        config = ProjectConfig.model_validate(fields)
    except ValidationError as error:
        raise InputError(_first_problem(error)) from error
    check_acquisition(config.method)
    _check_segmenter(config)
    return config


def image_rules(settings: Mapping[str, Any]) -> ImageRules:
    """Return how images are to be read, as nested settings say.

    Raises
    ------
    InputError
        For a value that cannot be used.
    """
    try:
        return ImageRules.model_validate(settings.get("images", {}))
    except ValidationError as error:
        raise InputError(_first_problem(error, ImageRules, "images.")) from error


def setting_rows() -> Iterator[tuple[str, str, str]]:
    """(name, default, description) of all that ``--set`` takes but for the method's columns."""
    yield from _rows(ProjectConfig, "")


def differences(old: ProjectConfig, new: ProjectConfig) -> list[str]:
    """``"training.steps: 150, not 50"`` for each setting in which two configs differ."""
    before, after = flat_settings(old), flat_settings(new)
    if not old.images.is_decided:  # made before a project recorded what its images are
        before = {name: v for name, v in before.items() if not name.startswith("images.")}
        after = {name: v for name, v in after.items() if not name.startswith("images.")}
    different = [
        f"{name}: {before.get(name)!r}, not {after.get(name)!r}"
        for name in dict.fromkeys((*before, *after))
        if before.get(name) != after.get(name)
    ]
    return different if old.classes == new.classes else [*different, "the classes"]


def flat_settings(config: ProjectConfig) -> dict[str, Any]:
    """``{"training.steps": 50, ...}``: all that results depend on but for the classes."""
    fields = config.model_dump(exclude={"classes"})
    return {name: value for name, value in _flat(fields) if name not in CHANGES_NO_RESULTS}


def method_named(name: str) -> Method:
    """Row of the table of methods.

    Raises
    ------
    InputError
        If there is none of this name.
    """
    if name not in METHODS:
        raise InputError(
            f"there is no method {name!r}{_near(name, METHODS)} (`napari-al methods` lists them)"
        )
    return METHODS[name]


# ---- inside


def _check_segmenter(config: ProjectConfig) -> None:
    """Refuse an acquisition function whose input the segmenter does not provide."""
    training, asked = config.training, set(columns_to_score(config))
    what = ""
    if asked.intersection(ENCODER_COLUMNS) and not training.frozen:
        what = "reads the features of a frozen segmenter: it needs training.frozen = true"
    if asked.intersection(ENSEMBLE_COLUMNS) and not (training.frozen and training.members > 1):
        what = (
            "compares the networks of an ensemble: it needs a segmenter with training.frozen = "
            "true and training.members of at least 2"
        )
    if what:
        raise InputError(
            f"acquisition={config.method.acquisition!r} {what}, got {training.segmenter}, frozen = "
            f"{str(training.frozen).lower()}, {training.members} members"
        )


def _agree(given: Mapping[str, Any] | ImageRules, rules: ImageRules) -> bool:
    """Whether rules have all the given values."""
    wanted = given if isinstance(given, ImageRules) else image_rules({"images": given})
    return all(getattr(rules, name) == getattr(wanted, name) for name in wanted.model_fields_set)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _training(data: DataFolder, given: object) -> object:
    """Return the given settings, with the segmenter that fits the images if they name none."""
    if not isinstance(given, dict) or "segmenter" in given or given.get("frozen") is False:
        return given  # two scales are always frozen
    return {"segmenter": default_segmenter(map(data.shape, data.train)), **given}


def _method(method: str | Method | None, columns: object) -> Method:
    if isinstance(columns, str):
        method, columns = method or columns, None
    if not isinstance(columns, dict | None):
        raise InputError(f"method: a name or a table of columns was expected, got {columns!r}")
    if method is None and not columns:
        raise InputError(f"name a method; the methods are {', '.join(METHODS)}")
    row = method_named(method) if isinstance(method, str) else method
    if not columns:
        return row  # type: ignore[return-value]
    start = row.model_dump() if row else {"name": "custom"}
    try:
        return Method.model_validate({**start, **columns})
    except ValidationError as error:
        raise InputError(_first_problem(error, Method, "method.")) from error


def _first_problem(
    error: ValidationError, model: type[BaseModel] = ProjectConfig, prefix: str = ""
) -> str:
    """Say in one line what is wrong, with names that are near to one that does not exist."""
    problem = error.errors(include_url=False)[0]
    name = prefix + ".".join(map(str, problem["loc"]))
    if problem["type"] == "extra_forbidden":
        known = [prefix + known for known, _, _ in _rows(model, "")]
        return (
            f"there is no setting {name!r}{_near(name, known)} (`napari-al methods --settings` "
            "lists them)"
        )
    if problem["type"] == "value_error":
        return f"{name.rstrip('.')}: {problem['ctx']['error']}" if name else str(problem["msg"])
    return f"{name}: {problem['msg']}, got {repr(problem['input'])[:80]}"


def _near(name: str, known: Collection[str]) -> str:
    """Say which names may have been meant: near as a whole, or in their last part."""
    by_last = {full.rpartition(".")[2]: full for full in known}
    near = get_close_matches(name, known, n=1, cutoff=0.7)
    near += [by_last[last] for last in get_close_matches(name.rpartition(".")[2], by_last, n=1)]
    return f"; did you mean {' or '.join(dict.fromkeys(near))}?" if near else ""


def _rows(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, str, str]]:
    for name, field in model.model_fields.items():
        if not prefix and name in NOT_SET_BY_HAND:
            continue
        if isinstance(field.default, BaseModel):
            yield from _rows(type(field.default), f"{prefix}{name}.")
        elif field.annotation is not Method:
            default = "" if field.is_required() else json.dumps(field.default)
            yield f"{prefix}{name}", default, field.description or ""


def _flat(fields: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in fields.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
