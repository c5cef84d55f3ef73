"""`-m time`: when the packet passes, by the wall clock of its machine (xt_time.c). The kernel's time zone is UTC here.

In `emulator replay` the clock is that of the capture.
"""

from __future__ import annotations

import calendar
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.error import RuleError
from emulator.kernel.netfilter.match.base import Match

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.names import Names
    from emulator.kernel.netfilter.options import Options
    from emulator.kernel.skb import Skb

_DAY = 86_400
_LAST_SECOND = _DAY - 1
_ALL_MONTHDAYS = 0xFFFFFFFE  # bit 1 is the first day
_ALL_WEEKDAYS = 0xFE  # bit 1 is Monday
_LAST_DATE = 0x7FFFFFFF
_WEEKDAYS = ("", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_ORDINALS = {1: "st", 2: "nd", 3: "rd"}
_FIRST_YEAR, _LAST_YEAR = 1970, 2038


class Time(Match, frozen=True):
    """`-m time --timestart 08:00 --timestop 18:00 --weekdays Mon,Tue`.

    Times of day in seconds, dates in seconds since the epoch, days as bits. `zone`: --kerneltz.
    """

    name = "time"
    options: ClassVar[Mapping[str, int]] = {
        "--datestart": 1,
        "--datestop": 1,
        "--timestart": 1,
        "--timestop": 1,
        "--contiguous": 0,
        "--weekdays": 1,
        "--monthdays": 1,
        "--localtz": 0,
        "--utc": 0,
        "--kerneltz": 0,
    }
    invertible = frozenset({"--weekdays", "--monthdays"})

    date_start: int = 0
    date_stop: int = _LAST_DATE
    start: int = 0
    stop: int = _LAST_SECOND
    monthdays: int = _ALL_MONTHDAYS
    weekdays: int = _ALL_WEEKDAYS
    zone: bool = False
    contiguous: bool = False

    @classmethod
    def parse(cls, options: Options) -> Time:
        options.only_one("--utc", "--localtz", "--kerneltz")
        dates = [_parse_date(option.value) if (option := options.get(name)) else default
                 for name, default in (("--datestart", 0), ("--datestop", _LAST_DATE))]  # fmt: skip
        times = [_parse_time(option.value) if (option := options.get(name)) else default
                 for name, default in (("--timestart", 0), ("--timestop", _LAST_SECOND))]  # fmt: skip
        monthdays, weekdays = _ALL_MONTHDAYS, _ALL_WEEKDAYS
        if option := options.get("--monthdays"):
            monthdays = _parse_monthdays(option.value) ^ (_ALL_MONTHDAYS if option.inverted else 0)
        if option := options.get("--weekdays"):
            weekdays = _parse_weekdays(option.value) ^ (_ALL_WEEKDAYS if option.inverted else 0)
        contiguous = options.has("--contiguous")
        if contiguous and times[0] < times[1]:
            raise RuleError("time: --contiguous only makes sense when stoptime is smaller than starttime")
        zone = options.has("--localtz") or options.has("--kerneltz")
        return cls(dates[0], dates[1], times[0], times[1], monthdays, weekdays, zone, contiguous)

    def format(self) -> str:
        words = []
        if self._has_times:
            words.append(f"--timestart {_clock(self.start)} --timestop {_clock(self.stop)}")
        if self.monthdays != _ALL_MONTHDAYS:
            words.append(f"--monthdays {','.join(str(day) for day in _days(self.monthdays))}")
        if self.weekdays != _ALL_WEEKDAYS:
            words.append(f"--weekdays {','.join(_WEEKDAYS[day] for day in _days(self.weekdays))}")
        words += [f"--datestart {_date(self.date_start)}"] if self.date_start else []
        words.append(f"--datestop {_date(self.date_stop)}")
        words += ["--kerneltz"] if self.zone else []
        words += ["--contiguous"] if self.contiguous else []
        return " ".join(words)

    def listing(self, names: Names) -> str:
        words = ["TIME"]
        if self._has_times:
            words.append(f"from {_clock(self.start)} to {_clock(self.stop)}")
        if self.weekdays != _ALL_WEEKDAYS:
            words.append(f"on {','.join(_WEEKDAYS[day] for day in _days(self.weekdays))}")
        if self.monthdays != _ALL_MONTHDAYS:
            days = (f"{day}{_ORDINALS.get(day % 10, 'th')}" for day in _days(self.monthdays))
            words.append(f"on {','.join(days)}")
        words += [f"starting from {_date(self.date_start, ' ')}"] if self.date_start else []
        words += [f"until date {_date(self.date_stop, ' ')}"] if self.date_stop != _LAST_DATE else []
        words += [] if self.zone else ["UTC"]
        words += ["contiguous"] if self.contiguous else []
        return " ".join(words)

    @property
    def _has_times(self) -> bool:
        return self.start != 0 or self.stop != _LAST_SECOND

    def seen(self, skb: Skb, context: Context) -> str:
        return _date(int(context.netns.kernel.wall_clock()))

    def matches(self, skb: Skb, context: Context) -> bool:
        stamp = int(context.netns.kernel.wall_clock())
        if not self.date_start <= stamp <= self.date_stop:
            return False
        second = stamp % _DAY
        if self.start < self.stop:
            if not self.start <= second <= self.stop:
                return False
        else:
            if self.stop < second < self.start:
                return False
            if self.contiguous and second <= self.stop:  # belongs to the evening before
                stamp -= _DAY
        if not self.weekdays >> (stamp // _DAY + 3) % 7 + 1 & 1:  # the epoch began on a Thursday
            return False
        return self.monthdays == _ALL_MONTHDAYS or bool(self.monthdays >> datetime.fromtimestamp(stamp, UTC).day & 1)


def _days(bits: int) -> list[int]:
    return [day for day in range(1, 32) if bits >> day & 1]


def _clock(second: int) -> str:
    return f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"


def _date(stamp: int, between: str = "T") -> str:
    return datetime.fromtimestamp(stamp, UTC).strftime(f"%Y-%m-%d{between}%H:%M:%S")


_DATE_PARTS = (("-", _FIRST_YEAR, _LAST_YEAR), ("-", 0, 12), ("T", 0, 31), (":", 0, 23), (":", 0, 59), ("", 0, 59))


def _parse_date(text: str) -> int:
    """Read `YYYY[-MM[-DD[Thh[:mm[:ss]]]]]` in UTC. As mktime does, month 0 is the December before."""
    values = [0, 1, 1, 0, 0, 0]
    rest = text
    for place, (separator, low, high) in enumerate(_DATE_PARTS):
        part, found, rest = rest.partition(separator) if separator else (rest, "", "")
        if not part.isdecimal() or not low <= int(part) <= high:
            raise RuleError(f'Invalid date "{text}" specified. Should be YYYY[-MM[-DD[Thh[:mm[:ss]]]]]')
        values[place] = int(part)
        if not found:
            break
    year, month, *others = values
    stamp = calendar.timegm((year - 1, 12, *others) if month == 0 else (year, month, *others))
    if stamp < 0:
        raise RuleError("mktime returned an error")
    return stamp


def _parse_time(text: str) -> int:
    """Read `hh:mm[:ss]`. As in iptables, the message names what was left to read."""
    values = [0, 0, 0]
    rest = text
    for place, limit in enumerate((23, 59, 59)):
        part, colon, after = rest.partition(":")
        complete = (place == 0 and colon) or (place == 1) or (place == 2 and not colon)
        if not part.isdecimal() or int(part) > limit or not complete:
            raise RuleError(f'invalid time "{rest}" specified, should be hh:mm[:ss] format and within the boundaries')
        values[place] = int(part)
        if not colon:
            break
        rest = after
    return values[0] * 3600 + values[1] * 60 + values[2]


def _parse_monthdays(text: str) -> int:
    days = 0
    for part in text.split(","):
        day = part[:2]
        if (day and not day.isdecimal()) or int(day or 0) > 31:
            raise RuleError(f"{day} is not a valid day for --monthdays")
        days |= 1 << int(day or 0)
    return days & _ALL_MONTHDAYS | days & 1


def _parse_weekdays(text: str) -> int:
    days = 0
    for part in text.split(","):
        day = part[:3]
        if day.isdecimal():
            if int(day) == 0:
                raise RuleError("No, the week does NOT begin with Sunday.")
            days |= 1 << int(day)
            continue
        named = [number for number, name in enumerate(_WEEKDAYS) if name and name[:2] == day[:2]]
        if not named:
            raise RuleError(f"{day} is not a valid day specifier")
        days |= 1 << named[0]
    return days & 0xFF
