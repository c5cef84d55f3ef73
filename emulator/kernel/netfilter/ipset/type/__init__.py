"""The set types by name and by their old names, and where each lies."""

from emulator.kernel.netfilter.extensions import Extensions
from emulator.kernel.netfilter.ipset.base import IpSet

SET_TYPES: Extensions[IpSet] = Extensions(
    __name__,
    {
        "bitmap:ip": ("bitmap_ip", "BitmapIp"),
        "ipmap": ("bitmap_ip", "BitmapIp"),
        "bitmap:port": ("bitmap_port", "BitmapPort"),
        "portmap": ("bitmap_port", "BitmapPort"),
        "hash:ip": ("hash_ip", "HashIp"),
        "iphash": ("hash_ip", "HashIp"),
        "hash:ip,mark": ("hash_ip_mark", "HashIpMark"),
        "ipmarkhash": ("hash_ip_mark", "HashIpMark"),
        "hash:ip,port": ("hash_ip_port", "HashIpPort"),
        "ipporthash": ("hash_ip_port", "HashIpPort"),
        "hash:ip,port,ip": ("hash_ip_port_ip", "HashIpPortIp"),
        "ipportiphash": ("hash_ip_port_ip", "HashIpPortIp"),
        "hash:ip,port,net": ("hash_ip_port_net", "HashIpPortNet"),
        "ipportnethash": ("hash_ip_port_net", "HashIpPortNet"),
        "hash:mac": ("hash_mac", "HashMac"),
        "machash": ("hash_mac", "HashMac"),
        "hash:net": ("hash_net", "HashNet"),
        "nethash": ("hash_net", "HashNet"),
        "hash:net,iface": ("hash_net_iface", "HashNetIface"),
        "netifacehash": ("hash_net_iface", "HashNetIface"),
        "hash:net,net": ("hash_net_net", "HashNetNet"),
        "netnethash": ("hash_net_net", "HashNetNet"),
        "hash:net,port": ("hash_net_port", "HashNetPort"),
        "netporthash": ("hash_net_port", "HashNetPort"),
        "list:set": ("list_set", "ListSet"),
        "setlist": ("list_set", "ListSet"),
    },
)
