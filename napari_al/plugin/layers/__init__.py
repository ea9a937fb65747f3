"""The napari layers of a session and what they show."""
