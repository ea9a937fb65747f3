"""The only napari and Qt: thin views over a Session."""
