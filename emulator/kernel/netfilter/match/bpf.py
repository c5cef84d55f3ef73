"""`-m bpf`: a program of the classic BPF that decides (xt_bpf.c). The machine is in `packet/bpf.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.error import KernelError, RuleError
from emulator.kernel.netfilter.match.base import Match
from emulator.packet.bpf import BpfError, Instruction, Metadata, run, verify

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb

_LONGEST = 64  # XT_BPF_MAX_NUM_INSTR
_FIELDS = (0xFFFF, 0xFF, 0xFF, 0xFFFFFFFF)
_TCP = 6
_HEADERS = {1: 8, 2: 8, 17: 8, 33: 12, 132: 12, 136: 8}  # bytes, of those that flow dissection knows
_FRAGMENT_OFFSET = 0x1FFF
_ETHERTYPE_IPV4 = 0x0800
_ETHERNET, _LOOPBACK = 1, 772  # ARPHRD_*


class Bpf(Match, frozen=True):
    """`-m bpf --bytecode "4,48 0 0 9,21 0 1 6,6 0 0 1,6 0 0 0"`. The program sees the packet from its IP header on.

    There are no pinned objects here.
    """

    name = "bpf"
    options: ClassVar[Mapping[str, int]] = {"--bytecode": 1, "--object-pinned": 1}

    program: tuple[Instruction, ...]

    @classmethod
    def parse(cls, options: Options) -> Bpf:
        if options.has("--object-pinned"):
            raise RuleError("bpf: failed to get bpf object")
        option = options.get("--bytecode")
        if option is None:
            raise RuleError("bpf: one of --bytecode or --pinned is required")
        program = _parse(option.value)
        try:
            verify(program)
        except BpfError as error:
            raise KernelError("Invalid argument", f"bpf: {error}") from None
        return cls(program)

    def _code(self) -> str:
        return ",".join(" ".join(str(field) for field in instruction) for instruction in self.program)

    def format(self) -> str:
        return f'--bytecode "{len(self.program)},{self._code()}"'

    def listing(self, names: Names) -> str:
        return f"match bpf {self._code()}\0"

    def _result(self, skb: Skb, context: Context) -> int:
        link = skb.in_link if skb.out_link is None else skb.out_link
        metadata = Metadata(
            protocol=_ETHERTYPE_IPV4,
            packet_type=skb.packet_type.value,
            ifindex=None if link is None else link.index,
            hardware_type=_LOOPBACK if link is not None and link.kind == "loopback" else _ETHERNET,
            mark=skb.mark,
            has_link_header=skb.in_link is not None,
            payload_offset=_payload_offset(skb),
            random=context.netns.kernel.random,
        )
        return run(self.program, memoryview(skb.data), skb.network, metadata)

    def matches(self, skb: Skb, context: Context) -> bool:
        return self._result(skb, context) != 0


def _payload_offset(skb: Skb) -> int:
    """Return where what the packet carries begins, from its IP header on (skb_get_poff)."""
    offset = skb.transport - skb.network
    if skb.fragment & _FRAGMENT_OFFSET:
        return offset
    if skb.protocol == _TCP and len(skb.data) >= skb.transport + 20:
        return offset + max(20, (skb.data[skb.transport + 12] >> 4) * 4)
    return offset + _HEADERS.get(skb.protocol, 0)


def _parse(text: str) -> tuple[Instruction, ...]:
    head, comma, rest = text.partition(",")
    if not comma or not head.strip().isdecimal():
        raise RuleError("bpf: error parsing program length")
    length = int(head) & 0xFFFF
    if not length:
        raise RuleError("bpf: illegal zero length program")
    if length > _LONGEST:
        raise RuleError("bpf: number of instructions exceeds maximum")
    program: list[Instruction] = []
    for part in rest.split(",") if rest else []:
        if not part and len(program) == len(rest.split(",")) - 1:
            break  # a comma at the end
        if len(program) >= length:
            raise RuleError("bpf: real program length exceeds the encoded length parameter")
        fields = part.split()
        if len(fields) < len(_FIELDS) or not all(field.isdecimal() for field in fields[:4]):
            raise RuleError(f"bpf: error at instr {len(program)}")
        program.append(Instruction(*(int(field) & mask for field, mask in zip(fields, _FIELDS, strict=False))))
    if len(program) != length:
        raise RuleError("bpf: parsed program length is less than the encoded length parameter")
    return tuple(program)
