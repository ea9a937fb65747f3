"""The commands by topic; ``cli.py`` combines them.

Typer evaluates the annotations, so these modules do not use ``from __future__ import annotations``.
"""
