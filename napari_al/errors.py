"""The one error a user can cause and mend, and a kind of it with more than one remedy."""


class InputError(ValueError):
    """Input that cannot be used.

    The message is one or two sentences for the person at the screen: what was expected, what came,
    what to do. The command line prints it and exits with 2; the dock shows it.
    """


class BrokenDataError(InputError):
    """Files of a data folder that cannot be used; ``fault`` says which and why.

    How to open the folder without them depends on where it is opened: ``instead`` says so to who
    writes Python; the command line and the dock have words of their own.
    """

    def __init__(self, fault: str, instead: str = "open with skip_broken=True") -> None:
        super().__init__(f"{fault} Mend or remove it, or {instead} to leave it out.")
        self.fault = fault
