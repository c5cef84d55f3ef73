"""What IPVS refuses, in the words of ipvsadm 1.31 (libipvs.c, ipvs_strerror)."""

from __future__ import annotations

from emulator.errors import PodwireError

NO_SERVICE = "No such service"
SERVICE_EXISTS = "Service already exists"
SERVICE_NOT_DEFINED = "Service not defined"
NO_SCHEDULER = "Scheduler or persistence engine not found"
SERVER_EXISTS = "Destination already exists"
NO_SERVER = "No such destination"
OUT_OF_RANGE = "Numerical result out of range"
INVALID = "Invalid operation.  Possibly wrong module version, address not unicast, ..."

REFUSED, USAGE = 255, 2  # exit statuses: what the kernel refuses (main returns -1), what makes no sense


class IpvsError(PodwireError):
    """A command that cannot be carried out; nothing changed. `status` is what `ipvsadm` exits with."""

    def __init__(self, message: str, status: int = REFUSED) -> None:
        self.status = status
        super().__init__(message)


class IpvsRunError(PodwireError):
    """A line of commands that cannot be carried out. The lines before it have been; it changed nothing."""

    def __init__(self, line: int, message: str, status: int = REFUSED) -> None:
        self.line = line
        self.message = message
        self.status = status
        super().__init__(f"ipvsadm: line {line}: {message}")
