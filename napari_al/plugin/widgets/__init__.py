"""Qt widgets and tools shared by the screens."""
