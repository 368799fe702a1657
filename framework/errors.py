"""What a user did wrong, as one line. ``framework.cli`` prints it and exits with status 2."""


class UserError(Exception):
    """A user's mistake: what is wrong, where, and what to write or do instead. One line."""


class UnreadableError(UserError):
    """A file that is truncated, empty, corrupt or of a kind that is not supported."""


class TruthError(UserError):
    """Ground truth that is missing or does not fit its sample: size, count or affine."""


class MissingPackageError(UserError):
    """A package or system library that a domain needs; the line says how to install it."""
