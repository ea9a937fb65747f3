"""A round's work: targets, training, scoring, and the child process that runs it."""
