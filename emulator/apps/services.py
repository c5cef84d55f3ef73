"""Names of ports, of Debian's /etc/services: what tools print where they are not told to print numbers."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_BOTH = {22: "ssh", 53: "domain", 80: "http", 88: "kerberos", 111: "sunrpc", 389: "ldap", 443: "https"}
_TCP = {
    20: "ftp-data",
    21: "ftp",
    23: "telnet",
    25: "smtp",
    70: "gopher",
    79: "finger",
    110: "pop3",
    143: "imap2",
    179: "bgp",
    465: "submissions",
    587: "submission",
    636: "ldaps",
    853: "domain-s",
    873: "rsync",
    989: "ftps-data",
    990: "ftps",
    993: "imaps",
    995: "pop3s",
    1080: "socks",
    1433: "ms-sql-s",
    2049: "nfs",
    3260: "iscsi-target",
    3306: "mysql",
    3690: "svn",
    4369: "epmd",
    5432: "postgresql",
    5671: "amqps",
    5672: "amqp",
    6379: "redis",
    8080: "http-alt",
    8140: "puppet",
    9418: "git",
    10050: "zabbix-agent",
    10051: "zabbix-trapper",
    11371: "hkp",
}
_UDP = {
    67: "bootps",
    68: "bootpc",
    69: "tftp",
    123: "ntp",
    161: "snmp",
    162: "snmp-trap",
    500: "isakmp",
    514: "syslog",
    853: "domain-s",
    1194: "openvpn",
    1812: "radius",
    1813: "radius-acct",
    2049: "nfs",
    4500: "ipsec-nat-t",
    5060: "sip",
    5353: "mdns",
}
_BY_PROTOCOL: Mapping[str, Mapping[int, str]] = MappingProxyType({"tcp": {**_BOTH, **_TCP}, "udp": {**_BOTH, **_UDP}})


def service_name(port: int, protocol: str) -> str:
    """Return the name of a port of "tcp" or "udp", or "" if it has none."""
    return _BY_PROTOCOL.get(protocol, {}).get(port, "")


def service_port(name: str, protocol: str) -> int | None:
    """Return the port of a name or of a decimal number from 1 to 65535; None if it is neither."""
    if name.isascii() and name.isdigit():
        return int(name) if 0 < int(name) <= 0xFFFF else None
    return next((port for port, known in _BY_PROTOCOL.get(protocol, {}).items() if known == name and name), None)
