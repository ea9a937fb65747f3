"""Labels of other programs: read and written."""
