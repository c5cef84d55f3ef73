"""What is wrong with a set or an element, in the words of ipset 7.17 (lib/errcode.c, lib/parse.c)."""

from emulator.errors import PodwireError

EXISTS = "Element cannot be added to the set: it's already added"
NOT_ADDED = "Element cannot be deleted from the set: it's not added"
NO_SET = "The set with the given name does not exist"
FULL = "Hash is full, cannot add more elements"
NULL = "Null-valued element, cannot be stored in a hash type of set"
BAD_CIDR = "The value of the CIDR parameter of the IP address is invalid"
WHOLE_RANGE = "Invalid range, covers the whole address space"
INVALID = "Kernel error received: Invalid argument"
BAD_PROTOCOL = "Invalid protocol specified"
OUT_OF_RANGE = "Element is out of the range of the set"

OTHER, USAGE = 1, 2  # exit statuses


class IpsetError(PodwireError):
    """A command that cannot be carried out. `status` is what the `ipset` command exits with."""

    def __init__(self, message: str, status: int = OTHER) -> None:
        self.status = status
        super().__init__(message)


class IpsetUsageError(IpsetError):
    """A command line that makes no sense; `ipset` adds where to find help."""

    def __init__(self, message: str) -> None:
        super().__init__(message, USAGE)


class IpsetSyntaxError(IpsetError):
    """A value that cannot be read."""

    def __init__(self, message: str) -> None:
        super().__init__(f"Syntax error: {message}")


class ElementError(IpsetError):
    """The element is there already (on add) or is not (on delete): what `-exist` forgives."""


class IpsetRestoreError(PodwireError):
    """A line of `ipset restore` text that cannot be applied. What stood before it has been, as with the real tool."""

    def __init__(self, line: int, message: str, status: int = OTHER) -> None:
        self.line = line
        self.message = message
        self.status = status
        super().__init__(f"Error in line {line}: {message}")
