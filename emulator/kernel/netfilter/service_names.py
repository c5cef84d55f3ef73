"""Names of ports and protocols, as getservbyname(3) and getprotobyname(3) find them on Debian 12 (package netbase 6.4).

`-p ospf`, `--dport http-alt`: iptables, ipset and nft read these names and print them again.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

# /etc/services in its order: NAME|ALIAS...:PORT/PROTOCOL,... The first entry of a port gives its name.
_SERVICES = """
    tcpmux:1/tcp echo:7/tcp,udp discard|sink|null:9/tcp,udp systat|users:11/tcp daytime:13/tcp,udp netstat:15/tcp
    qotd|quote:17/tcp chargen|ttytst|source:19/tcp,udp ftp-data:20/tcp ftp:21/tcp fsp|fspd:21/udp ssh:22/tcp
    telnet:23/tcp smtp|mail:25/tcp time|timserver:37/tcp,udp whois|nicname:43/tcp tacacs:49/tcp,udp domain:53/tcp,udp
    bootps:67/udp bootpc:68/udp tftp:69/udp gopher:70/tcp finger:79/tcp http|www:80/tcp
    kerberos|kerberos5|krb5|kerberos-sec:88/tcp,udp iso-tsap|tsap:102/tcp acr-nema|dicom:104/tcp pop3|pop-3:110/tcp
    sunrpc|portmapper:111/tcp,udp auth|authentication|tap|ident:113/tcp nntp|readnews|untp:119/tcp ntp:123/udp
    epmap|loc-srv:135/tcp netbios-ns:137/udp netbios-dgm:138/udp netbios-ssn:139/tcp imap2|imap:143/tcp
    snmp:161/tcp,udp snmp-trap|snmptrap:162/tcp,udp cmip-man:163/tcp,udp cmip-agent:164/tcp,udp mailq:174/tcp
    xdmcp:177/udp bgp:179/tcp smux:199/tcp qmtp:209/tcp z3950|wais:210/tcp ipx:213/udp ptp-event:319/udp
    ptp-general:320/udp pawserv:345/tcp zserv:346/tcp rpc2portmap:369/tcp,udp codaauth2:370/tcp,udp
    clearcase|Clearcase:371/udp ldap:389/tcp,udp svrloc:427/tcp,udp https:443/tcp,udp snpp:444/tcp
    microsoft-ds:445/tcp kpasswd:464/tcp,udp submissions|ssmtp|smtps|urd:465/tcp saft:487/tcp isakmp:500/udp
    rtsp:554/tcp,udp nqs:607/tcp asf-rmcp:623/udp qmqp:628/tcp ipp:631/tcp ldp:646/tcp,udp exec:512/tcp
    biff|comsat:512/udp login:513/tcp who|whod:513/udp shell|cmd|syslog:514/tcp syslog:514/udp printer|spooler:515/tcp
    talk:517/udp ntalk:518/udp route|router|routed:520/udp gdomap:538/tcp,udp uucp|uucpd:540/tcp klogin:543/tcp
    kshell|krcmd:544/tcp dhcpv6-client:546/udp dhcpv6-server:547/udp afpovertcp:548/tcp nntps|snntp:563/tcp
    submission:587/tcp ldaps:636/tcp,udp tinc:655/tcp,udp silc:706/tcp kerberos-adm:749/tcp domain-s:853/tcp,udp
    rsync:873/tcp ftps-data:989/tcp ftps:990/tcp telnets:992/tcp imaps:993/tcp pop3s:995/tcp socks:1080/tcp
    proofd:1093/tcp rootd:1094/tcp openvpn:1194/tcp,udp rmiregistry:1099/tcp lotusnote|lotusnotes:1352/tcp
    ms-sql-s:1433/tcp ms-sql-m:1434/udp ingreslock:1524/tcp datametrics|old-radius:1645/tcp,udp
    sa-msg-port|old-radacct:1646/tcp,udp kermit:1649/tcp groupwise:1677/tcp l2f|l2tp:1701/udp radius:1812/tcp,udp
    radius-acct|radacct:1813/tcp,udp cisco-sccp:2000/tcp nfs:2049/tcp,udp gnunet:2086/tcp,udp rtcm-sc104:2101/tcp,udp
    gsigatekeeper:2119/tcp gris:2135/tcp cvspserver:2401/tcp venus:2430/tcp,udp venus-se:2431/tcp,udp
    codasrv:2432/tcp,udp codasrv-se:2433/tcp,udp mon:2583/tcp,udp dict:2628/tcp f5-globalsite:2792/tcp gsiftp:2811/tcp
    gpsd:2947/tcp gds-db|gds_db:3050/tcp icpv2|icp:3130/udp isns:3205/tcp,udp iscsi-target:3260/tcp mysql:3306/tcp
    ms-wbt-server:3389/tcp nut:3493/tcp,udp distcc:3632/tcp daap:3689/tcp svn|subversion:3690/tcp suucp:4031/tcp
    sysrqd:4094/tcp sieve:4190/tcp epmd:4369/tcp remctl:4373/tcp f5-iquery:4353/tcp ntske:4460/tcp
    ipsec-nat-t:4500/udp iax:4569/udp mtn:4691/tcp radmin-port:4899/tcp sip:5060/tcp,udp sip-tls:5061/tcp,udp
    xmpp-client|jabber-client:5222/tcp xmpp-server|jabber-server:5269/tcp cfengine:5308/tcp mdns:5353/udp
    postgresql|postgres:5432/tcp freeciv|rptp:5556/tcp amqps:5671/tcp amqp:5672/tcp,sctp x11|x11-0:6000/tcp
    x11-1:6001/tcp x11-2:6002/tcp x11-3:6003/tcp x11-4:6004/tcp x11-5:6005/tcp x11-6:6006/tcp x11-7:6007/tcp
    gnutella-svc:6346/tcp,udp gnutella-rtr:6347/tcp,udp redis:6379/tcp sge-qmaster|sge_qmaster:6444/tcp
    sge-execd|sge_execd:6445/tcp mysql-proxy:6446/tcp babel:6696/udp ircs-u:6697/tcp bbs:7000/tcp
    afs3-fileserver:7000/udp afs3-callback:7001/udp afs3-prserver:7002/udp afs3-vlserver:7003/udp
    afs3-kaserver:7004/udp afs3-volser:7005/udp afs3-bos:7007/udp afs3-update:7008/udp afs3-rmtsys:7009/udp
    font-service|xfs:7100/tcp http-alt|webcache:8080/tcp puppet:8140/tcp bacula-dir:9101/tcp bacula-fd:9102/tcp
    bacula-sd:9103/tcp xmms2:9667/tcp nbd:10809/tcp zabbix-agent:10050/tcp zabbix-trapper:10051/tcp amanda:10080/tcp
    dicom:11112/tcp hkp:11371/tcp db-lsp:17500/tcp dcap:22125/tcp gsidcap:22128/tcp wnn6:22273/tcp
    kerberos4|kerberos-iv|kdc:750/udp,tcp kerberos-master|kerberos_master:751/udp kerberos-master:751/tcp
    passwd-server|passwd_server:752/udp krb-prop|krb_prop|krb5_prop|hprop:754/tcp zephyr-srv:2102/udp
    zephyr-clt:2103/udp zephyr-hm:2104/udp iprop:2121/tcp supfilesrv:871/tcp supfiledbg:1127/tcp poppassd:106/tcp
    moira-db|moira_db:775/tcp moira-update|moira_update:777/tcp moira-ureg|moira_ureg:779/udp spamd:783/tcp
    skkserv:1178/tcp predict:1210/udp rmtcfg:1236/tcp xtel:1313/tcp xtelw:1314/tcp zebrasrv:2600/tcp zebra:2601/tcp
    ripd:2602/tcp ripngd:2603/tcp ospfd:2604/tcp bgpd:2605/tcp ospf6d:2606/tcp ospfapi:2607/tcp isisd:2608/tcp
    fax:4557/tcp hylafax:4559/tcp munin|lrrd:4949/tcp rplay:5555/udp nrpe:5666/tcp nsca:5667/tcp canna:5680/tcp
    syslog-tls:6514/tcp sane-port|sane|saned:6566/tcp ircd:6667/tcp zope-ftp:8021/tcp tproxy:8081/tcp omniorb:8088/tcp
    clc-build-daemon:8990/tcp xinetd:9098/tcp git:9418/tcp zope:9673/tcp webmin:10000/tcp kamanda:10081/tcp
    amandaidx:10082/tcp amidxtape:10083/tcp sgi-cmsd:17001/udp sgi-crsd:17002/udp sgi-gcd:17003/udp sgi-cad:17004/tcp
    binkp:24554/tcp asp:27374/tcp,udp csync2:30865/tcp dircproxy:57000/tcp tfido:60177/tcp fido:60179/tcp
"""
# /etc/protocols: NAME|ALIAS...:NUMBER. The first entry of a number gives its name.
_PROTOCOLS = """
    ip|IP:0 hopopt|HOPOPT:0 icmp|ICMP:1 igmp|IGMP:2 ggp|GGP:3 ipencap|IP-ENCAP:4 st|ST:5 tcp|TCP:6 egp|EGP:8 igp|IGP:9
    pup|PUP:12 udp|UDP:17 hmp|HMP:20 xns-idp|XNS-IDP:22 rdp|RDP:27 iso-tp4|ISO-TP4:29 dccp|DCCP:33 xtp|XTP:36
    ddp|DDP:37 idpr-cmtp|IDPR-CMTP:38 ipv6|IPv6:41 ipv6-route|IPv6-Route:43 ipv6-frag|IPv6-Frag:44 idrp|IDRP:45
    rsvp|RSVP:46 gre|GRE:47 esp|IPSEC-ESP:50 ah|IPSEC-AH:51 skip|SKIP:57 ipv6-icmp|IPv6-ICMP:58
    ipv6-nonxt|IPv6-NoNxt:59 ipv6-opts|IPv6-Opts:60 rspf|RSPF|CPHB:73 vmtp|VMTP:81 eigrp|EIGRP:88 ospf|OSPFIGP:89
    ax.25|AX.25:93 ipip|IPIP:94 etherip|ETHERIP:97 encap|ENCAP:98 pim|PIM:103 ipcomp|IPCOMP:108 vrrp|VRRP:112
    l2tp|L2TP:115 isis|ISIS:124 sctp|SCTP:132 fc|FC:133 mobility-header|Mobility-Header:135 udplite|UDPLite:136
    mpls-in-ip|MPLS-in-IP:137 manet:138 hip|HIP:139 shim6|Shim6:140 wesp|WESP:141 rohc|ROHC:142 ethernet|Ethernet:143
"""


def _read_services() -> tuple[dict[str, dict[str, int]], dict[str, dict[int, str]]]:
    """Return ports by name, and names by port, of each protocol."""
    ports: dict[str, dict[str, int]] = {"tcp": {}, "udp": {}, "sctp": {}}
    names: dict[str, dict[int, str]] = {"tcp": {}, "udp": {}, "sctp": {}}
    for entry in _SERVICES.split():
        called, _, place = entry.rpartition(":")
        port, _, protocols = place.partition("/")
        name, *aliases = called.split("|")
        for protocol in protocols.split(","):
            names[protocol].setdefault(int(port), name)
            for each in (name, *aliases):
                ports[protocol].setdefault(each, int(port))
    return ports, names


def _read_protocols() -> tuple[dict[str, int], dict[int, str], dict[str, int]]:
    """Return numbers by name, names by number, and numbers by alias."""
    numbers: dict[str, int] = {}
    names: dict[int, str] = {}
    aliases: dict[str, int] = {}
    for entry in _PROTOCOLS.split():
        called, _, number = entry.rpartition(":")
        name, *others = called.split("|")
        numbers[name] = int(number)
        names.setdefault(int(number), name)
        aliases |= dict.fromkeys(others, int(number))
    return numbers, names, aliases


_PORTS, _NAMES = _read_services()
_numbers, _names, _aliases = _read_protocols()
PROTOCOLS: Mapping[str, int] = MappingProxyType(_numbers)
PROTOCOL_NAMES: Mapping[int, str] = MappingProxyType(_names)
PROTOCOL_ALIASES: Mapping[str, int] = MappingProxyType(_aliases)
"""The names in capitals, such as OSPFIGP: iptables never finds them, as it looks up small letters."""


def service_port(name: str, protocol: str | None = None) -> int | None:
    """Return the port of a service, with TCP if it has one there and no protocol is named; None if there is none."""
    for each in _PORTS if protocol is None else (protocol,):
        port = _PORTS.get(each, {}).get(name)
        if port is not None:
            return port
    return None


def service_name(port: int, protocol: str) -> str | None:
    """Return the name of a protocol's port; None if it has none."""
    return _NAMES.get(protocol, {}).get(port)


def all_services() -> dict[str, int]:
    """Return the ports of all names, whatever the protocol."""
    return {name: port for ports in reversed(_PORTS.values()) for name, port in ports.items()}
