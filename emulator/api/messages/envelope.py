"""The frame of every exchange: request, input, cancellation, events, result or error; what a method is."""

from __future__ import annotations

import enum
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import UNSET, Struct, UnsetType

from emulator.errors import PodwireError

Object = dict[str, Any]
"""A whole Kubernetes object: JSON types only."""

PROTOCOL_VERSION = 2
"""Raised with every change that an older side would misread; the two sides of a connection must be equal in it."""


class ErrorCode(enum.Enum):
    """Why a request failed."""

    NOT_FOUND = "not_found"
    ALREADY_EXISTS = "already_exists"
    CONFLICT = "conflict"  # the object changed since it was read
    INVALID = "invalid"
    UNAVAILABLE = "unavailable"  # not now: try again
    EXPIRED = "expired"  # the revision to watch from is too old: list again
    VERSION_MISMATCH = "version_mismatch"
    UNKNOWN_METHOD = "unknown_method"
    CANCELLED = "cancelled"  # by the client itself
    INTERNAL = "internal"


class ControlError(PodwireError):
    """A request that the other side refused or could not do."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(message)


class Request(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From the client: opens the exchange `id`, which its connection has not used before."""

    id: int
    method: str
    params: dict[str, Any] = {}
    protocol: int = PROTOCOL_VERSION


class Input(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From the client: bytes of standard input; None ends it."""

    id: int
    input: bytes | None


class Cancel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From the client: end the exchange; the server still answers with a result or an error."""

    id: int
    cancel: bool


class Interrupt(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From the client: Ctrl-C for what the exchange runs, which may have some last words and its own exit status."""

    id: int
    interrupt: bool


class ErrorBody(Struct, frozen=True, kw_only=True):
    """What went wrong; the message is one line for the user."""

    code: ErrorCode
    message: str


class Response(Struct, frozen=True, kw_only=True):
    """From the server: exactly one of `event`, `result` and `error` is set; the latter two end the exchange."""

    id: int
    event: Any = UNSET
    result: Any = UNSET
    error: ErrorBody | UnsetType = UNSET


ClientMessage = Request | Input | Interrupt | Cancel

S = TypeVar("S")


def convert(value: Any, message_type: type[S]) -> S:
    """Return decoded data as a value of `message_type`. Raises ControlError (INVALID), which names the field."""
    try:
        return msgspec.convert(value, message_type, builtin_types=(bytes,))
    except msgspec.ValidationError as error:
        raise ControlError(ErrorCode.INVALID, f"{message_type.__name__}: {error}") from None


def plain(value: Struct) -> dict[str, Any]:
    """Return a message as the map that a frame holds."""
    result: dict[str, Any] = msgspec.to_builtins(value, builtin_types=(bytes,))
    return result


def client_message(value: dict[str, Any]) -> ClientMessage:
    """Return what a client sent. Raises ControlError (INVALID)."""
    if "method" in value:
        return convert(value, Request)
    if "input" in value:
        return convert(value, Input)
    if "interrupt" in value:
        return convert(value, Interrupt)
    return convert(value, Cancel)


class Empty(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """No parameters, or nothing to say."""


P = TypeVar("P", bound=Struct)
R = TypeVar("R", bound=Struct)
E = TypeVar("E", bound=Struct)


class Method(Generic[P, E, R]):
    """One method of the protocol: its name and the types of its parameters, events and result."""

    __slots__ = ("event", "name", "params", "result")

    def __init__(self, name: str, params: type[P], event: type[E], result: type[R]) -> None:
        self.name = name
        self.params = params
        self.event = event
        self.result = result


class VersionResult(Struct, frozen=True, kw_only=True):
    """Who answers: `role` is controller, node or supervisor; `epoch` differs after each start of the process."""

    protocol: int
    version: str
    role: str
    name: str
    epoch: int = 0
    pid: int = 0


VERSION = Method("version", Empty, Empty, VersionResult)
