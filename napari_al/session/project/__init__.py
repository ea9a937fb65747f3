"""The project folder: settings, lock, round files and cached maps."""
