"""The napari window: thin views over a `Session`. Importing this package loads neither torch nor Qt."""
