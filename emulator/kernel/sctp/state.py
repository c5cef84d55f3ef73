"""The states of an association (RFC 9260 section 4), and which of them let what pass."""

import enum


class State(enum.Enum):
    """A state; the value is how `ss` prints it."""

    CLOSED = "UNCONN"
    LISTEN = "LISTEN"
    COOKIE_WAIT = "COOKIE-WAIT"
    COOKIE_ECHOED = "COOKIE-ECHOED"
    ESTABLISHED = "ESTAB"
    SHUTDOWN_PENDING = "SHUTDOWN-PENDING"  # the program sends no more; what it sent is not all acknowledged
    SHUTDOWN_SENT = "SHUTDOWN-SENT"
    SHUTDOWN_RECEIVED = "SHUTDOWN-RECEIVED"
    SHUTDOWN_ACK_SENT = "SHUTDOWN-ACK-SENT"


CONNECTING = frozenset({State.COOKIE_WAIT, State.COOKIE_ECHOED})
RECEIVING = frozenset({State.ESTABLISHED, State.SHUTDOWN_PENDING, State.SHUTDOWN_SENT})  # DATA is taken
TRANSMITTING = frozenset({State.ESTABLISHED, State.SHUTDOWN_PENDING, State.SHUTDOWN_RECEIVED})  # DATA goes out
