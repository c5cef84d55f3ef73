"""The states of a connection, and what closing does to them, as tables (RFC 9293 section 3.3.2, figure 5)."""

import enum


class State(enum.Enum):
    """A state; the value is how `ss` prints it."""

    CLOSED = "UNCONN"
    LISTEN = "LISTEN"
    SYN_SENT = "SYN-SENT"
    SYN_RECEIVED = "SYN-RECV"
    ESTABLISHED = "ESTAB"
    FIN_WAIT_1 = "FIN-WAIT-1"
    FIN_WAIT_2 = "FIN-WAIT-2"
    CLOSE_WAIT = "CLOSE-WAIT"
    CLOSING = "CLOSING"
    LAST_ACK = "LAST-ACK"
    TIME_WAIT = "TIME-WAIT"

    __hash__ = object.__hash__  # enum's own is written in Python, and segments ask the sets below all the time


# The program says that it will send no more. In SYN_RECEIVED this waits for ESTABLISHED.
ON_SHUTDOWN = {
    State.ESTABLISHED: State.FIN_WAIT_1,
    State.CLOSE_WAIT: State.LAST_ACK,
}

# The peer has acknowledged our FIN.
ON_FIN_ACKNOWLEDGED = {
    State.FIN_WAIT_1: State.FIN_WAIT_2,
    State.CLOSING: State.TIME_WAIT,
    State.LAST_ACK: State.CLOSED,
}

# The peer's FIN came, in order.
ON_FIN = {
    State.ESTABLISHED: State.CLOSE_WAIT,
    State.FIN_WAIT_1: State.CLOSING,
    State.FIN_WAIT_2: State.TIME_WAIT,
}

RECEIVING = frozenset({State.ESTABLISHED, State.FIN_WAIT_1, State.FIN_WAIT_2})  # data of the peer is taken
SENDING = frozenset({State.ESTABLISHED, State.CLOSE_WAIT})  # the program may send
TRANSMITTING = SENDING | {State.FIN_WAIT_1, State.CLOSING, State.LAST_ACK}  # what is queued still goes out
