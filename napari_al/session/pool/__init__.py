"""The pool: scores, the order of regions, the next queries."""
