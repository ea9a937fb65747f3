"""The screen on which a project begins."""
