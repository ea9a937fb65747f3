"""The start screen: data, classes, method, and opening a session."""
