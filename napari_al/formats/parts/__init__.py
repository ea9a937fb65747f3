"""Pictures that are not handled whole: read and written by parts; their blocks and planes."""
