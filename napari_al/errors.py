"""The one error a user can cause and mend."""


class InputError(ValueError):
    """Input that cannot be used.

    The message is one or two sentences for the person at the screen: what was expected, what came,
    what to do. The command line prints it and exits with 2; the dock shows it.
    """
