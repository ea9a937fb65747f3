"""The inspect dock: a project's rounds, overlays, regions and previews."""
