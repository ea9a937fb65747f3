"""State over time: the project folder, the annotation log, rounds, training jobs."""
