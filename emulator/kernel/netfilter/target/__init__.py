"""The targets that rules may use, by name, and where each lies."""

from emulator.kernel.netfilter.extensions import Extensions
from emulator.kernel.netfilter.target.base import Target

TARGETS: Extensions[Target] = Extensions(
    __name__,
    {
        "ACCEPT": ("verdicts", "Accept"),
        "CHECKSUM": ("checksum", "Checksum"),
        "CONNMARK": ("connmark", "Connmark"),
        "CT": ("ct", "Ct"),
        "DNAT": ("nat", "Dnat"),
        "DROP": ("verdicts", "Drop"),
        "LOG": ("log", "Log"),
        "MARK": ("mark", "Mark"),
        "MASQUERADE": ("nat", "Masquerade"),
        "NETMAP": ("netmap", "Netmap"),
        "NFLOG": ("nflog", "Nflog"),
        "NOTRACK": ("ct", "Notrack"),
        "REDIRECT": ("nat", "Redirect"),
        "REJECT": ("reject", "Reject"),
        "RETURN": ("verdicts", "Return"),
        "SET": ("set", "Set"),
        "SNAT": ("nat", "Snat"),
        "TCPMSS": ("tcpmss", "Tcpmss"),
        "TRACE": ("trace", "Trace"),
    },
)
