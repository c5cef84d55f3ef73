"""The targets that rules may use, by name. Importing one here is what registers it."""

from collections.abc import Mapping
from types import MappingProxyType

from emulator.kernel.netfilter.target.base import Target
from emulator.kernel.netfilter.target.checksum import Checksum
from emulator.kernel.netfilter.target.connmark import Connmark
from emulator.kernel.netfilter.target.ct import Ct, Notrack
from emulator.kernel.netfilter.target.log import Log
from emulator.kernel.netfilter.target.mark import Mark
from emulator.kernel.netfilter.target.nat import Dnat, Masquerade, Redirect, Snat
from emulator.kernel.netfilter.target.netmap import Netmap
from emulator.kernel.netfilter.target.nflog import Nflog
from emulator.kernel.netfilter.target.reject import Reject
from emulator.kernel.netfilter.target.set import Set
from emulator.kernel.netfilter.target.tcpmss import Tcpmss
from emulator.kernel.netfilter.target.trace import Trace
from emulator.kernel.netfilter.target.verdicts import Accept, Drop, Return

TARGETS: Mapping[str, type[Target]] = MappingProxyType(
    {
        target.name: target
        for target in (
            Accept,
            Checksum,
            Connmark,
            Ct,
            Dnat,
            Drop,
            Log,
            Mark,
            Masquerade,
            Netmap,
            Nflog,
            Notrack,
            Redirect,
            Reject,
            Return,
            Set,
            Snat,
            Tcpmss,
            Trace,
        )
    }
)
