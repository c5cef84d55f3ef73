"""Whose a socket is: the user and groups of the program that opened it, which the kernel notes with each socket."""

from __future__ import annotations

from msgspec import Struct


class Owner(Struct, frozen=True, gc=False):
    """User and group of the program that opened a socket (`struct cred`); `groups` are the supplementary ones."""

    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()


ROOT = Owner()


class ControlSocket:
    """The kernel's own socket of a namespace, which answers of TCP and ICMP leave through (`inet_ctl_sock_create`).

    It is a socket, but no program has it open: nobody owns it.
    """

    __slots__ = ()

    owner: Owner | None = None
    disowned = False

    def __str__(self) -> str:
        return ""  # traces say "by the kernel itself" of what has no socket that could be named


CONTROL = ControlSocket()


class UnknownProgram:
    """The socket of a program that is not here: of a packet from a capture."""

    __slots__ = ("owner",)

    disowned = False

    def __init__(self, owner: Owner) -> None:
        self.owner = owner

    def __str__(self) -> str:
        return "a program"


ROOT_PROGRAM = UnknownProgram(ROOT)


def owner_of(socket: object) -> Owner | None:
    """Return who has a packet's socket open: None where no program does."""
    owner = getattr(socket, "owner", None)
    return owner if isinstance(owner, Owner) and not getattr(socket, "disowned", False) else None


def is_orphan(socket: object) -> bool:
    """Whether there is no socket, or its program has closed it while TCP still speaks (`sk->sk_socket` is NULL)."""
    return socket is None or bool(getattr(socket, "disowned", False))
