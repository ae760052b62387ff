"""Errors that a user can cause. Each message names the thing, what was found, what was expected, what to do."""


class SaccadeError(ValueError):
    """Base of every error that a user of the library can cause."""


class DataError(SaccadeError):
    """A picture, folder or annotation that is missing, unreadable or not what was expected."""


class CheckpointError(SaccadeError):
    """A weight file that is missing, unreadable, refused or of another family than expected."""
