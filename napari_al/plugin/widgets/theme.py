"""Style sheet and colours of the docks, from napari's theme."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ThemeColors:
    """Colours of a theme that our own painting needs, as ``#rrggbb``."""

    text: str
    muted: str
    field: str
    frame: str
    accent: str
    warning: str
    background: str
    font_pt: int


def theme_colors(theme_name: str) -> ThemeColors:
    """Return the colours of one of napari's themes."""
    from napari.utils.theme import get_theme

    theme = get_theme(theme_name)
    text, background = _rgb(theme.text), _rgb(theme.background)
    return ThemeColors(
        text=_hex(text),
        muted=_hex(_mixed(text, background, 0.62)),
        field=_hex(_rgb(theme.foreground)),
        frame=_hex(_mixed(text, background, 0.35)),
        accent=_hex(_rgb(theme.current)),
        warning=_hex(_rgb(theme.warning)),
        background=_hex(background),
        font_pt=int(str(theme.font_size).removesuffix("pt")),
    )


def style_sheet(colors: ThemeColors) -> str:
    """Return the style sheet of labels and buttons by their property ``role``."""
    pt = colors.font_pt
    return f"""
        QLabel {{ background: transparent; font-size: {pt + 1}pt; }}
        QLabel[role="question"] {{ font-size: {pt + 5}pt; font-weight: 600; }}
        QLabel[role="title"] {{ font-size: {pt + 3}pt; font-weight: 600; }}
        QLabel[role="muted"] {{ color: {colors.muted}; font-size: {pt}pt; }}
        QLabel[role="figure"] {{ font-size: {pt + 3}pt; font-weight: 600; }}
        QLabel[role="message"] {{
            color: {colors.warning}; background: {colors.field};
            padding: 4px 6px; border-radius: 3px;
        }}
        QLabel[role="key"] {{
            color: {colors.text}; border: 1px solid {colors.frame}; border-radius: 3px;
            padding: 0px 3px; font-size: {pt}pt; font-weight: 600;
        }}
        QPushButton[role="class"] {{
            padding: 0px; border: 2px solid transparent; border-radius: 4px; text-align: left;
        }}
        QPushButton[role="class"]:checked {{
            border: 2px solid {colors.text}; background-color: {colors.accent};
        }}
        QPushButton[role="project"] {{ text-align: left; padding: 3px 4px; }}
        QPushButton[role="main"] {{
            background-color: {colors.accent}; font-weight: 600; padding: 7px;
            font-size: {pt + 2}pt;
        }}
        QPushButton[role="main"]:disabled {{ background-color: {colors.field}; }}
        QProgressBar {{
            border: 0px; border-radius: 3px; background: {colors.field}; color: {colors.text};
            text-align: center; min-height: 18px; max-height: 18px; font-size: {pt}pt;
        }}
        QProgressBar::chunk {{ background: {colors.accent}; border-radius: 3px; }}
        QGroupBox {{
            font-size: {pt + 2}pt; font-weight: 600; border: 0px; margin-top: 18px; padding: 2px;
        }}
        QGroupBox::title {{ subcontrol-origin: margin; left: 0px; top: 0px; }}
        QTabBar::tab {{ padding: 4px 5px; }}
    """


def _rgb(color: Any) -> tuple[int, int, int]:
    red, green, blue = color.as_rgb_tuple()[:3]
    return red, green, blue


def _mixed(
    first: tuple[int, int, int], second: tuple[int, int, int], share: float
) -> tuple[int, int, int]:
    red, green, blue = (
        round(share * a + (1 - share) * b) for a, b in zip(first, second, strict=True)
    )
    return red, green, blue


def _hex(rgb: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*rgb)
