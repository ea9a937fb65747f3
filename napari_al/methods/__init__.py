"""The table of methods, and one module a column."""
