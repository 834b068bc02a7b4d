"""The one exception that a user, rather than a programmer, has to act on."""


class UserError(Exception):
    """A mistake in the input: one line that says what is wrong, where, and what to do."""
