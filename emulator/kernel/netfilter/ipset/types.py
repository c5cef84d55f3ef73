"""The set types by name. Importing one here is what registers it."""

from collections.abc import Mapping
from types import MappingProxyType

from emulator.kernel.netfilter.ipset.base import IpSet
from emulator.kernel.netfilter.ipset.bitmap_ip import BitmapIp
from emulator.kernel.netfilter.ipset.bitmap_port import BitmapPort
from emulator.kernel.netfilter.ipset.hash_ip import HashIp
from emulator.kernel.netfilter.ipset.hash_ip_mark import HashIpMark
from emulator.kernel.netfilter.ipset.hash_ip_port import HashIpPort
from emulator.kernel.netfilter.ipset.hash_ip_port_ip import HashIpPortIp
from emulator.kernel.netfilter.ipset.hash_ip_port_net import HashIpPortNet
from emulator.kernel.netfilter.ipset.hash_mac import HashMac
from emulator.kernel.netfilter.ipset.hash_net import HashNet
from emulator.kernel.netfilter.ipset.hash_net_iface import HashNetIface
from emulator.kernel.netfilter.ipset.hash_net_net import HashNetNet
from emulator.kernel.netfilter.ipset.hash_net_port import HashNetPort
from emulator.kernel.netfilter.ipset.list_set import ListSet

SET_TYPES: Mapping[str, type[IpSet]] = MappingProxyType(
    {
        name: kind
        for kind in (
            BitmapIp,
            BitmapPort,
            HashIp,
            HashIpMark,
            HashIpPort,
            HashIpPortIp,
            HashIpPortNet,
            HashMac,
            HashNet,
            HashNetIface,
            HashNetNet,
            HashNetPort,
            ListSet,
        )
        for name in (kind.name, *kind.aliases)
    }
)
