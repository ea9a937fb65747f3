"""The papers' mathematics: arrays in, arrays out; no files, no Qt, no state."""

IGNORE = 255
"""Class id of a pixel that has no label: never trained on, never counted."""
