"""The targets that rules may use, by name, and where each lies."""

from emulator.kernel.netfilter.extensions import Extensions
from emulator.kernel.netfilter.target.base import Target

TARGETS: Extensions[Target] = Extensions(
    __name__,
    {
        "ACCEPT": ("verdicts", "Accept"),
        "AUDIT": ("audit", "Audit"),
        "CHECKSUM": ("checksum", "Checksum"),
        "CLASSIFY": ("classify", "Classify"),
        "CONNMARK": ("connmark", "Connmark"),
        "CONNSECMARK": ("secmark", "Connsecmark"),
        "CT": ("ct", "Ct"),
        "DNAT": ("nat", "Dnat"),
        "DROP": ("verdicts", "Drop"),
        "DSCP": ("dscp", "Dscp"),
        "ECN": ("ecn", "Ecn"),
        "HMARK": ("hmark", "Hmark"),
        "IDLETIMER": ("idletimer", "Idletimer"),
        "LOG": ("log", "Log"),
        "MARK": ("mark", "Mark"),
        "MASQUERADE": ("nat", "Masquerade"),
        "NETMAP": ("netmap", "Netmap"),
        "NFLOG": ("nflog", "Nflog"),
        "NFQUEUE": ("nfqueue", "Nfqueue"),
        "NOTRACK": ("ct", "Notrack"),
        "REDIRECT": ("nat", "Redirect"),
        "REJECT": ("reject", "Reject"),
        "RETURN": ("verdicts", "Return"),
        "SECMARK": ("secmark", "Secmark"),
        "SET": ("set", "Set"),
        "SNAT": ("nat", "Snat"),
        "TCPMSS": ("tcpmss", "Tcpmss"),
        "TCPOPTSTRIP": ("tcpoptstrip", "Tcpoptstrip"),
        "TEE": ("tee", "Tee"),
        "TOS": ("tos", "Tos"),
        "TPROXY": ("tproxy", "Tproxy"),
        "TRACE": ("trace", "Trace"),
        "TTL": ("ttl", "Ttl"),
    },
)
