"""How a request may fail, in the words that Linux, curl and dig have for it: what errors are counted by."""

from __future__ import annotations

import errno
import os

import trio

from emulator.apps.environment import ResolveError
from emulator.apps.http_client import EmptyReplyError, MalformedReplyError, ShortReplyError
from emulator.errors import PodwireError

TIMED_OUT = "Operation timed out"  # curl's words: exit status 28


class FailedError(PodwireError):
    """A request that was answered, but not as it should be; the text is the kind of error that is counted."""


NETWORK_ERRORS = (
    OSError,
    trio.TooSlowError,
    trio.BrokenResourceError,
    trio.ClosedResourceError,
    EmptyReplyError,
    ShortReplyError,
    MalformedReplyError,
    PodwireError,
)
"""What a request may meet in a network; anything else is a mistake, and ends the load."""


def error_kind(error: BaseException) -> str:
    """Return the words under which an error is counted, without addresses or names in them."""
    match error:
        case trio.TooSlowError():
            return TIMED_OUT
        case ResolveError():
            return "Could not resolve host"
        case OSError(errno=errno.EIO) | OSError(errno=None):  # of a node's socket: its text says what
            return error.strerror or str(error)
        case OSError(errno=int(number)):
            return _of_errno(error, number)
        case trio.BrokenResourceError():
            return error_kind(error.__cause__) if isinstance(error.__cause__, OSError) else "Connection broken"
        case trio.ClosedResourceError():
            return "Connection closed"
        case EmptyReplyError():
            return "Empty reply from server"
        case ShortReplyError():
            return "Transfer closed with outstanding read data remaining"
        case MalformedReplyError():
            return "Weird server reply"
    return str(error)


def _of_errno(error: OSError, number: int) -> str:
    """Return the text of an errno; OpenSSL's errors are OSErrors too, with numbers of their own."""
    reason = getattr(error, "reason", None)
    if isinstance(reason, str):
        return f"TLS: {reason.replace('_', ' ').lower()}"
    return os.strerror(number)
