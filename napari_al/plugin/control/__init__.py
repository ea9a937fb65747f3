"""Workbench, open session and their controllers; no widgets."""
