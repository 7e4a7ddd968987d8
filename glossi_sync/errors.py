"""The root of every error that a user may meet."""


class UserError(Exception):
    """An error whose text is a sentence for the person who gets it: what was done, what came of it, what to do next.

    The command line prints it and exits with 1; anything else that is raised is a defect of the program.
    """
