"""DNS messages (RFC 1035 section 4): what the cluster's name server and its clients exchange.

EDNS (RFC 6891) passes through: an OPT record is a record of type 41 whose class is the sender's UDP size.
"""

import struct
from typing import Self

from msgspec import Struct
from msgspec.structs import replace

from emulator.errors import WireError
from emulator.packet.address import Buffer
from emulator.packet.dns_name import NameWriter
from emulator.packet.dns_record import (
    OPT,
    Question,
    Record,
    describe_record,
    parse_question,
    parse_record,
    type_name,
    write_question,
    write_record,
)

HEADER_LENGTH = 12
UDP_LIMIT = 512  # bytes, unless an OPT record says more
TCP_LIMIT = 65535

OPCODE_QUERY = 0

NOERROR = 0
FORMERR = 1
SERVFAIL = 2
NXDOMAIN = 3
NOTIMP = 4
REFUSED = 5
BADVERS = 16  # with the OPT record's upper bits (RFC 6891)
RCODE_NAMES = (
    "NOERROR",
    "FORMERR",
    "SERVFAIL",
    "NXDOMAIN",
    "NOTIMP",
    "REFUSED",
    "YXDOMAIN",
    "YXRRSET",
    "NXRRSET",
    "NOTAUTH",
    "NOTZONE",
)

_HEADER = struct.Struct("!HHHHHH")


class Message(Struct, frozen=True):
    """A query or a response."""

    identifier: int
    questions: tuple[Question, ...] = ()
    answers: tuple[Record, ...] = ()
    authorities: tuple[Record, ...] = ()
    additionals: tuple[Record, ...] = ()
    is_response: bool = False
    opcode: int = OPCODE_QUERY
    authoritative: bool = False
    truncated: bool = False
    recursion_desired: bool = False
    recursion_available: bool = False
    authentic_data: bool = False
    checking_disabled: bool = False
    rcode: int = NOERROR

    @property
    def udp_size(self) -> int:
        """The longest UDP message that the sender takes, bytes: as its OPT record says, at least 512."""
        return max(UDP_LIMIT, *(record.rclass for record in self.additionals if record.type == OPT), UDP_LIMIT)

    def reply(
        self,
        rcode: int = NOERROR,
        answers: tuple[Record, ...] = (),
        *,
        authoritative: bool = True,
        recursion_available: bool = True,
    ) -> "Message":
        """Make the response to this query: same identifier and questions, recursion as it was asked for."""
        return Message(
            self.identifier,
            self.questions,
            answers,
            is_response=True,
            opcode=self.opcode,
            authoritative=authoritative,
            recursion_desired=self.recursion_desired,
            recursion_available=recursion_available,
            checking_disabled=self.checking_disabled,
            rcode=rcode,
        )

    def as_truncated(self) -> "Message":
        """Return the message with the mark that it was cut."""
        return replace(self, truncated=True)

    @classmethod
    def parse(cls, buffer: Buffer) -> Self:
        """Read a whole message. WireError if anything in it is malformed, or bytes are left behind it."""
        if len(buffer) < HEADER_LENGTH:
            raise WireError(f"DNS: {len(buffer)} bytes are fewer than the header's {HEADER_LENGTH}")
        identifier, flags, question_count, *counts = _HEADER.unpack_from(buffer)
        offset = HEADER_LENGTH
        questions = []
        for _ in range(question_count):
            question, offset = parse_question(buffer, offset)
            questions.append(question)
        sections: list[tuple[Record, ...]] = []
        for count in counts:
            records = []
            for _ in range(count):
                record, offset = parse_record(buffer, offset)
                records.append(record)
            sections.append(tuple(records))
        if offset != len(buffer):
            raise WireError(f"DNS: {len(buffer) - offset} bytes behind the last record")
        answers, authorities, additionals = sections
        return cls(identifier, tuple(questions), answers, authorities, additionals, *_parse_flags(flags))

    @classmethod
    def parse_header(cls, buffer: Buffer) -> Self:
        """Read identifier and flags only, for the answer to a message that is malformed. WireError if it is shorter."""
        if len(buffer) < HEADER_LENGTH:
            raise WireError(f"DNS: {len(buffer)} bytes are fewer than the header's {HEADER_LENGTH}")
        identifier, flags, *_ = _HEADER.unpack_from(buffer)
        return cls(identifier, (), (), (), (), *_parse_flags(flags))

    def build(self, limit: int = TCP_LIMIT, *, compress: bool = True) -> bytes:
        """Write the message, its names compressed if asked for or if it is longer than `limit` bytes else.

        If it is too long even then, as many records as fit are kept, in their order, with the OPT record, and it is
        marked truncated. WireError if a value does not fit its field.
        """
        if not compress and len(message := self._write(compress=False)) <= limit:
            return message
        message = self._write()
        if len(message) <= limit:
            return message
        fitting, beyond = 0, self._record_count() + 1
        while beyond - fitting > 1:
            middle = (fitting + beyond) // 2
            if len(self._first(middle)._write()) <= limit:
                fitting = middle
            else:
                beyond = middle
        return self._first(fitting)._write()

    def _record_count(self) -> int:
        return len(self.answers) + len(self.authorities) + len(self.additionals)

    def _first(self, count: int) -> "Message":
        """The message with its first `count` records, and its OPT record in any case; marked truncated."""
        answers = self.answers[:count]
        count -= len(answers)
        authorities = self.authorities[:count]
        count -= len(authorities)
        others = tuple(record for record in self.additionals if record.type != OPT)
        options = tuple(record for record in self.additionals if record.type == OPT)
        return replace(
            self,
            truncated=True,
            answers=answers,
            authorities=authorities,
            additionals=others[:count] + options,
        )

    def _write(self, *, compress: bool = True) -> bytes:
        sections = (self.answers, self.authorities, self.additionals)
        try:
            counts = (len(self.questions), *(len(section) for section in sections))
            message = bytearray(_HEADER.pack(self.identifier, self._flags(), *counts))
            names = NameWriter(message, compress=compress)
            for question in self.questions:
                write_question(message, names, question)
            for section in sections:
                for record in section:
                    write_record(message, names, record)
        except (struct.error, OverflowError) as error:
            raise WireError(f"DNS: a value does not fit its field: {error}") from error
        return bytes(message)

    def _flags(self) -> int:
        return (
            self.is_response << 15
            | self.opcode << 11
            | self.authoritative << 10
            | self.truncated << 9
            | self.recursion_desired << 8
            | self.recursion_available << 7
            | self.authentic_data << 5
            | self.checking_disabled << 4
            | self.rcode
        )

    def __str__(self) -> str:
        """Print as tcpdump does behind the addresses, without the length."""
        return _describe_response(self) if self.is_response else _describe_query(self)


_Flags = tuple[bool, int, bool, bool, bool, bool, bool, bool, int]


def _parse_flags(flags: int) -> _Flags:
    """Return the flags in the order of Message's fields."""
    return (
        bool(flags & 0x8000),
        flags >> 11 & 15,
        bool(flags & 0x400),
        bool(flags & 0x200),
        bool(flags & 0x100),
        bool(flags & 0x80),
        bool(flags & 0x20),
        bool(flags & 0x10),
        flags & 15,
    )


def rcode_name(rcode: int) -> str:
    """Return a response code's name, or "RCODE9"."""
    return RCODE_NAMES[rcode] if rcode < len(RCODE_NAMES) else f"RCODE{rcode}"


_TCPDUMP_RCODES = ("", " FormErr", " ServFail", " NXDomain", " NotImp", " Refused", " YXDomain", " YXRRSet", " NXRRSet")


def _describe_query(message: Message) -> str:
    counts = "".join(
        f" [{len(section)}{letter}]"
        for section, letter in (
            (message.answers, "a"),
            (message.authorities, "n"),
            (message.additionals, "au"),
        )
        if section
    )
    marks = "+" * message.recursion_desired + "%" * message.checking_disabled
    asked = "".join(f" {type_name(question.type)}? {question.name}" for question in message.questions)
    return f"{message.identifier}{marks}{counts}{asked}"


def _describe_response(message: Message) -> str:
    rcode = _TCPDUMP_RCODES[message.rcode] if message.rcode < len(_TCPDUMP_RCODES) else f" Resp{message.rcode}"
    marks = (
        "*" * message.authoritative + "-" * (not message.recursion_available) + "|" * message.truncated
    ) + "$" * message.authentic_data
    counts = f"{len(message.answers)}/{len(message.authorities)}/{len(message.additionals)}"
    answers = ",".join(f" {describe_record(record)}" for record in message.answers)
    return f"{message.identifier}{rcode}{marks} {counts}{answers}"
