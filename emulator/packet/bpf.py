"""The classic Berkeley Packet Filter: its checker and its machine (net/core/filter.c, networking/filter.rst).

A program is a tuple of instructions; it sees one packet and returns a number, 0 for "no". `verify` takes and refuses
what the kernel takes and refuses; `run` may be called for programs that it took.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from msgspec import Struct

_U32 = 0xFFFFFFFF
_SLOTS = 16  # BPF_MEMWORDS

_LD, _LDX, _ST, _STX, _ALU, _JMP, _RET, _MISC = range(8)
_WORD, _HALF, _BYTE = 0x00, 0x08, 0x10
_IMM, _ABS, _IND, _MEM, _LEN, _MSH = 0x00, 0x20, 0x40, 0x60, 0x80, 0xA0
_SIZES = {_WORD: 4, _HALF: 2, _BYTE: 1}
_X = 0x08  # the operand is X, not the constant
_ADD, _SUB, _MUL, _DIV, _OR, _AND, _LSH, _RSH, _NEG, _MOD, _XOR = range(0x00, 0xB0, 0x10)
_JA, _JEQ, _JGT, _JGE, _JSET = range(0x00, 0x50, 0x10)
_RET_K, _RET_A = 0x06, 0x16
_TAX, _TXA = 0x07, 0x87
_MEMORY = frozenset({0x60, 0x61, 0x02, 0x03})  # ld M[], ldx M[], st, stx

_ALLOWED = frozenset(
    {
        *(_ALU | operation | source for operation in range(0, 0xB0, 0x10) if operation != _NEG for source in (0, _X)),
        _ALU | _NEG,
        *(_LD | mode | size for mode in (_ABS, _IND) for size in _SIZES),
        _LD | _LEN, _LDX | _LEN, _LD | _IMM, _LDX | _IMM, _LD | _MEM, _LDX | _MEM, _LDX | _MSH | _BYTE,
        _ST, _STX, _TAX, _TXA, _RET_K, _RET_A, _JMP | _JA,
        *(_JMP | operation | source for operation in (_JEQ, _JGT, _JGE, _JSET) for source in (0, _X)),
    }
)  # fmt: skip

# Offsets that are no places in the packet (SKF_*), as unsigned numbers.
_NETWORK_OFFSET = _U32 - 0x100000 + 1
_LINK_OFFSET = _U32 - 0x200000 + 1
_ANCILLARY = _U32 - 0x1000 + 1
(
    _PROTOCOL, _PACKET_TYPE, _IFINDEX, _NLATTR, _NLATTR_NEST, _MARK, _QUEUE, _HARDWARE_TYPE, _RX_HASH, _CPU, _XOR_X,
    _VLAN_TAG, _VLAN_PRESENT, _PAYLOAD_OFFSET, _RANDOM, _VLAN_TPID,
) = range(_ANCILLARY, _ANCILLARY + 64, 4)  # fmt: skip
_ZERO = frozenset({_NLATTR, _NLATTR_NEST, _QUEUE, _RX_HASH, _CPU, _VLAN_TAG, _VLAN_PRESENT, _VLAN_TPID})


class BpfError(ValueError):
    """A program that the kernel would not take, with the instruction and why."""


class Instruction(NamedTuple):
    """`struct sock_filter`: operation, jumps if true and if false, constant."""

    code: int
    jt: int
    jf: int
    k: int


class Bits(Protocol):
    """What draws random bits."""

    def getrandbits(self, k: int, /) -> int:
        """Return a number of so many bits."""
        ...


class Metadata(Struct, frozen=True):
    """What a program may ask beside the bytes. `ifindex` None: no link, which ends the program with 0."""

    protocol: int  # ethertype
    packet_type: int  # PACKET_HOST and so on
    ifindex: int | None
    hardware_type: int
    mark: int
    has_link_header: bool  # whether it came in by a link: what this machine sends has none yet
    payload_offset: int  # of what TCP or UDP carry, from the network header on
    random: Bits


def verify(program: tuple[Instruction, ...]) -> None:
    """Check a program as `bpf_check_classic` does. BpfError says what is wrong."""
    if not program:
        raise BpfError("the program is empty")
    for place, instruction in enumerate(program):
        why = _refusal(instruction, len(program) - place - 1)
        if why:
            raise BpfError(f"instruction {place}: {why}")
    if program[-1].code not in (_RET_K, _RET_A):
        raise BpfError("the program does not end with a return")
    _verify_memory(program)


def _refusal(instruction: Instruction, left: int) -> str:
    """Return why an instruction with so many behind it is refused, or nothing."""
    code, jt, jf, k = instruction
    if code not in _ALLOWED:
        return f"unknown code {code:#x}"
    if code in (_ALU | _DIV, _ALU | _MOD) and k == 0:
        return "division by zero"
    if code in (_ALU | _LSH, _ALU | _RSH) and k >= 32:
        return f"shift by {k}"
    if code in _MEMORY and k >= _SLOTS:
        return f"there is no memory slot {k}"
    if code == _JMP | _JA and k >= left:
        return "jump out of the program"
    if code & 7 == _JMP and code != _JMP | _JA and (jt >= left or jf >= left):
        return "jump out of the program"
    if code & 7 == _LD and code & 0xE0 == _ABS and k >= _ANCILLARY and k not in _ZERO | _KNOWN:
        return f"unknown ancillary offset {k - _ANCILLARY}"
    return ""


_KNOWN = frozenset({_PROTOCOL, _PACKET_TYPE, _IFINDEX, _MARK, _HARDWARE_TYPE, _XOR_X, _RANDOM, _PAYLOAD_OFFSET})


def _verify_memory(program: tuple[Instruction, ...]) -> None:
    """Refuse programs that may read memory which nothing wrote (check_load_and_stores)."""
    reaching = [(1 << _SLOTS) - 1] * len(program)  # slots that every jump to an instruction has filled
    valid = 0
    for place, (code, jt, jf, k) in enumerate(program):
        valid &= reaching[place]
        if code in (_ST, _STX):
            valid |= 1 << k
        elif code in (_LD | _MEM, _LDX | _MEM):
            if not valid >> k & 1:
                raise BpfError(f"instruction {place}: memory slot {k} was not written")
        elif code & 7 == _JMP:
            for jump in (k,) if code == _JMP | _JA else (jt, jf):
                reaching[place + 1 + jump] &= valid
            valid = (1 << _SLOTS) - 1


class _Done(Exception):  # noqa: N818 - no error: a load outside of the packet ends a program with 0
    pass


def run(program: tuple[Instruction, ...], frame: memoryview, network: int, metadata: Metadata) -> int:
    """Return what a program says of a packet: `frame` from its link header on, `network` where its data begin."""
    try:
        return _run(program, frame, network, metadata)
    except _Done:
        return 0


def _run(program: tuple[Instruction, ...], frame: memoryview, network: int, metadata: Metadata) -> int:
    packet = frame[network:]
    accumulator = index = place = 0
    memory = [0] * _SLOTS
    while True:
        code, jt, jf, k = program[place]
        place += 1
        kind = code & 7
        if kind == _ALU:
            accumulator = _calculate(code & 0xF0, accumulator, index if code & _X else k)
        elif kind == _JMP:
            if code == _JMP | _JA:
                place += k
            else:
                place += jt if _compare(code & 0xF0, accumulator, index if code & _X else k) else jf
        elif kind == _RET:
            return k if code == _RET_K else accumulator
        elif kind == _ST:
            memory[k] = accumulator
        elif kind == _STX:
            memory[k] = index
        elif kind == _MISC:
            if code == _TAX:
                index = accumulator
            else:
                accumulator = index
        elif kind == _LDX:
            index = _load_index(code, k, packet, memory)
        else:
            accumulator = _load(code, k, accumulator, index, frame, network, memory, metadata)


def _calculate(operation: int, a: int, b: int) -> int:
    if operation in (_DIV, _MOD) and b == 0:
        raise _Done
    if operation == _ADD:
        return a + b & _U32
    if operation == _SUB:
        return a - b & _U32
    if operation == _MUL:
        return a * b & _U32
    if operation == _DIV:
        return a // b
    if operation == _MOD:
        return a % b
    if operation == _OR:
        return a | b
    if operation == _AND:
        return a & b
    if operation == _XOR:
        return a ^ b
    if operation == _LSH:
        return a << (b & 31) & _U32
    return a >> (b & 31) if operation == _RSH else -a & _U32


def _compare(operation: int, a: int, b: int) -> bool:
    if operation == _JEQ:
        return a == b
    if operation == _JGT:
        return a > b
    return a >= b if operation == _JGE else bool(a & b)


def _load_index(code: int, k: int, packet: memoryview, memory: list[int]) -> int:
    mode = code & 0xE0
    if mode == _MSH:
        if k >= len(packet):
            raise _Done
        return (packet[k] & 0xF) * 4
    return k if mode == _IMM else len(packet) if mode == _LEN else memory[k]


def _load(
    code: int,
    k: int,
    accumulator: int,
    index: int,
    frame: memoryview,
    network: int,
    memory: list[int],
    metadata: Metadata,
) -> int:
    mode = code & 0xE0
    if mode == _IMM:
        return k
    if mode == _LEN:
        return len(frame) - network
    if mode == _MEM:
        return memory[k]
    if mode == _ABS and k >= _ANCILLARY:
        return _ancillary(k, accumulator, index, metadata)
    at = k if mode == _ABS else k + index & _U32
    if at >= 1 << 31:  # a negative offset
        if at < _NETWORK_OFFSET and not metadata.has_link_header:
            raise _Done
        at = at - _NETWORK_OFFSET + network if at >= _NETWORK_OFFSET else at - _LINK_OFFSET
    else:
        at += network
    size = _SIZES[code & 0x18]
    if at < 0 or at + size > len(frame):
        raise _Done
    return int.from_bytes(frame[at : at + size], "big")


def _ancillary(what: int, accumulator: int, index: int, metadata: Metadata) -> int:
    if what == _XOR_X:
        return accumulator ^ index
    if what == _RANDOM:
        return metadata.random.getrandbits(32)
    if what == _IFINDEX:
        if metadata.ifindex is None:
            raise _Done
        return metadata.ifindex
    values = {
        _PROTOCOL: metadata.protocol,
        _PACKET_TYPE: metadata.packet_type,
        _MARK: metadata.mark,
        _HARDWARE_TYPE: metadata.hardware_type,
        _PAYLOAD_OFFSET: metadata.payload_offset,
    }
    return values.get(what, 0)
