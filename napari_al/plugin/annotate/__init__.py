"""Widgets and presenter of the annotation screen."""
