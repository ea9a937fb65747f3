"""Data folders in, label files out."""
