"""The commands, by duty; ``cli.py`` makes one program of them.

Typer reads the annotations of their arguments, so these modules have no postponed ones.
"""
