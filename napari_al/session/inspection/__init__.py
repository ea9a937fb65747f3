"""A project opened to look at, round by round."""
