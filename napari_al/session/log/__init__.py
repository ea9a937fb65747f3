"""The annotation log: answers, undo and redo in one SQLite file."""
