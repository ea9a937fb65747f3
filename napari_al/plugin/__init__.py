"""The napari window: thin views over a `Session`. Importing this loads neither torch nor Qt."""
