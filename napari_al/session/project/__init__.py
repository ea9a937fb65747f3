"""The project folder: settings, lock, files of rounds and of the cache."""
