"""The one exception that a user, rather than a programmer, has to act on."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class UserError(Exception):
    """A mistake in the input: one line that says what is wrong, where, and what to do."""


@contextmanager
def made_with(record: Path | str) -> Iterator[None]:
    """Of a file that cannot be read and is written beside ``record`` by the same job, say what to delete for both."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{error}; delete {record} too, and run again: its job makes both") from error
