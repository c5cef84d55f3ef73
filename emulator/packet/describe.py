"""A frame in one line, as `tcpdump -nn -t -S` prints it: for traces, logs and drops. It never fails on any bytes."""

from emulator.errors import WireError
from emulator.packet import icmp, ipv4
from emulator.packet.address import Buffer, format_ipv4
from emulator.packet.arp import ArpPacket
from emulator.packet.dns import Message
from emulator.packet.ethernet import ETHERTYPE_ARP, ETHERTYPE_IPV4, EthernetHeader
from emulator.packet.icmp import IcmpHeader
from emulator.packet.ipv4 import PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP, Ipv4Header
from emulator.packet.tcp import TcpHeader
from emulator.packet.udp import UdpHeader

_DNS_PORT = 53


def describe_frame(frame: Buffer) -> str:
    """Print an Ethernet frame; 802.1Q tags come first."""
    try:
        header = EthernetHeader.parse(frame)
    except WireError as error:
        return f"[{error}]"
    tags = "".join(f"{tag}, " for tag in header.tags)
    if header.ethertype == ETHERTYPE_IPV4:
        return f"{tags}{describe_ipv4(frame, header.length)}"
    if header.ethertype == ETHERTYPE_ARP:
        try:
            return f"{tags}ARP, {ArpPacket.parse(frame, header.length)}, length {len(frame) - header.length}"
        except WireError as error:
            return f"{tags}[{error}]"
    return f"{header}, length {len(frame)}"


def describe_ipv4(buffer: Buffer, offset: int = 0) -> str:
    """Print an IPv4 packet with its transport, whose checksums are not looked at."""
    try:
        header = Ipv4Header.parse_quoted(buffer, offset)
    except WireError as error:
        return f"IP [{error}]"
    start = offset + header.header_length
    end = min(offset + header.total_length, len(buffer))
    source, destination = format_ipv4(header.source), format_ipv4(header.destination)
    if header.fragment_offset:
        return f"IP {source} > {destination}: ip-proto-{header.protocol}"
    try:
        source_port, destination_port, text = _describe_transport(buffer, start, end, header.protocol)
    except WireError as error:
        return f"IP {source} > {destination}: [{error}]"
    return f"IP {source}{source_port} > {destination}{destination_port}: {text}"


def _describe_transport(buffer: Buffer, start: int, end: int, protocol: int) -> tuple[str, str, str]:
    """Return what stands behind each address (".port" or nothing), and the text behind the colon."""
    if protocol == PROTOCOL_TCP:
        segment = TcpHeader.parse(buffer, start, end)
        text = segment.describe(end - start - segment.header_length)
        return f".{segment.source_port}", f".{segment.destination_port}", text
    if protocol == PROTOCOL_UDP:
        datagram = UdpHeader.parse_quoted(buffer, start)
        text = _describe_udp(datagram, buffer[start + 8 : end])
        return f".{datagram.source_port}", f".{datagram.destination_port}", text
    if protocol == PROTOCOL_ICMP:
        message = IcmpHeader.parse_quoted(buffer, start)
        text = icmp.describe(message, buffer[start + icmp.HEADER_LENGTH : end])
        return "", "", f"ICMP {text}, length {end - start}"
    return "", "", f"{ipv4.PROTOCOL_NAMES.get(protocol, f' ip-proto-{protocol}')} {end - start}"


def _describe_udp(header: UdpHeader, payload: Buffer) -> str:
    if _DNS_PORT in (header.source_port, header.destination_port):
        try:
            return f"{Message.parse(payload)} ({len(payload)})"
        except WireError:
            return str(header)
    return str(header)
