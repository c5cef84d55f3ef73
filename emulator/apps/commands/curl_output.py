"""What curl prints about a transfer: the write-out variables, the progress meter."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from msgspec import Struct, field

from emulator.apps.http_client import Head
from emulator.apps.http_message import Headers

VERSION = "curl 7.88.1 (x86_64-pc-linux-gnu) libcurl/7.88.1"
_VARIABLE = re.compile(r"%(?:\{([a-z_]+)\}|header\{([^}]+)\}|(%))|\\([nrt\\])")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\"}
_SELF_SIGNED = 18  # X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT: what certificates of emulated servers are
METER_HEAD = (
    "  % Total    % Received % Xferd  Average Speed   Time    Time     Time  Current\n"
    "                                 Dload  Upload   Total   Spent    Left  Speed\n"
)


class Report(Struct):
    """What is known of one transfer. Times are seconds since its start."""

    url: str
    number: int = 0
    method: str = "GET"
    output: str = ""
    http_code: int = 0
    http_version: str = "0"
    scheme: str = ""
    host: str = ""
    headers: Headers = ()
    content_type: str | None = None
    redirect_url: str | None = None
    local: tuple[str, int] = ("", 0)
    remote: tuple[str, int] = ("", 0)
    connects: int = 0
    redirects: int = 0
    header_count: int = 0
    header_size: int = 0
    request_size: int = 0
    downloaded: int = 0
    expected: int | None = None
    uploaded: int = 0
    times: dict[str, float] = field(default_factory=dict)
    exit_code: int = 0
    error: str | None = None

    def note_head(self, head: Head) -> None:
        """Take down what a response's head says."""
        self.http_code, self.http_version = head.status, head.version
        self.content_type = head.header("content-type") or None
        self.headers = head.headers
        self.header_count = len(head.headers)
        self.header_size += sum(len(line) + 2 for line in (*head.lines, ""))

    @property
    def speed(self) -> int:
        """Bytes a second."""
        total = self.times.get("total", 0.0)
        return int(self.downloaded / total) if total > 0 else self.downloaded

    def variables(self) -> dict[str, str | int | float | None]:
        """The write-out variables, in the order of `%{json}`."""
        names = ("appconnect", "connect", "namelookup", "pretransfer", "redirect", "starttransfer", "total")
        times: dict[str, str | int | float | None] = {f"time_{name}": self.times.get(name, 0.0) for name in names}
        upload_speed = int(self.uploaded / total) if (total := self.times.get("total", 0.0)) > 0 else self.uploaded
        return {
            "certs": "",
            "content_type": self.content_type,
            "errormsg": self.error,
            "exitcode": self.exit_code,
            "filename_effective": self.output or None,
            "ftp_entry_path": None,
            "http_code": self.http_code,
            "http_connect": 0,
            "http_version": self.http_version,
            "local_ip": self.local[0],
            "local_port": self.local[1],
            "method": self.method,
            "num_certs": 0,
            "num_connects": self.connects,
            "num_headers": self.header_count,
            "num_redirects": self.redirects,
            "proxy_ssl_verify_result": 0,
            "redirect_url": self.redirect_url,
            "referer": None,
            "remote_ip": self.remote[0],
            "remote_port": self.remote[1],
            "response_code": self.http_code,
            "scheme": self.scheme or None,
            "size_download": self.downloaded,
            "size_header": self.header_size,
            "size_request": self.request_size,
            "size_upload": self.uploaded,
            "speed_download": self.speed,
            "speed_upload": upload_speed,
            "ssl_verify_result": _SELF_SIGNED if self.scheme == "HTTPS" else 0,
            **times,
            "url": self.url,
            "url_effective": self.url,
            "urlnum": self.number,
            "curl_version": VERSION.rpartition(" ")[2],
        }


def write_out(template: str, report: Report, write: Callable[[str], None], write_error: Callable[[str], None]) -> None:
    """Print the text of `-w`; `%{stderr}` and `%{stdout}` say where to, behind `%{onerror}` all is of failures."""
    variables = report.variables()
    place, out = 0, write
    for match in _VARIABLE.finditer(template):
        out(template[place : match.start()])
        place = match.end()
        name, header, percent, escape = match.groups()
        if name == "stderr":
            out = write_error
        elif name == "stdout":
            out = write
        elif name == "onerror":
            if not report.exit_code:
                return
        elif percent or escape:
            out("%" if percent else _ESCAPES[escape])
        elif header is not None:
            out(next((value for known, value in report.headers if known.lower() == header.lower()), ""))
        elif name in {"json", "header_json"}:
            out(_as_json(variables) if name == "json" else _headers_json(report))
        elif name not in variables:
            write_error(f"curl: unknown --write-out variable: '{name}'\n")
        else:
            out(_format(name, variables[name]))
    out(template[place:])


def _headers_json(report: Report) -> str:
    found: dict[str, list[str]] = {}
    for name, value in report.headers:
        found.setdefault(name.lower(), []).append(value)
    return (
        "{"
        + ",\n".join(
            f"{json.dumps(name)}:{json.dumps(values, separators=(',', ':'))}" for name, values in found.items()
        )
        + "\n}"
    )


def _format(name: str, value: str | float | None) -> str:
    if isinstance(value, float):
        return f"{value:.6f}"
    if name in {"http_code", "response_code"}:
        return f"{value:03d}"
    return "" if value is None else str(value)


def _as_json(variables: dict[str, str | int | float | None]) -> str:
    words = [
        f'"{name}":{value:.6f}' if isinstance(value, float) else f'"{name}":{json.dumps(value)}'
        for name, value in variables.items()
    ]
    return "{" + ",".join(words) + "}"


def meter_line(report: Report) -> str:
    """Return the last line of the progress meter, behind its carriage return."""
    total, spent = report.expected, report.times.get("total", 0.0)
    percent = 100 if report.downloaded and total else 0
    speed = report.speed
    estimate = int(total / speed) if total and speed else 0
    sums = f"{percent:3d} {_short(total or report.downloaded)}  {percent:3d} {_short(report.downloaded)}"
    uploads = f"{100 if report.uploaded else 0:3d} {_short(report.uploaded)}"
    upload_speed = int(report.uploaded / spent) if spent > 0 else 0
    clock = f"{_clock(estimate)} {_clock(int(spent))} {_clock(max(0, estimate - int(spent)))}"
    return f"{sums}  {uploads}  {_short(speed)}  {_short(upload_speed)} {clock} {_short(speed)}"


def _short(count: int) -> str:
    """A count in five columns, as curl's max5data writes it."""
    if count < 100_000:
        return f"{count:5d}"
    for unit, letter in ((1 << 10, "k"), (1 << 20, "M"), (1 << 30, "G")):
        if count < 10_000 * unit:
            return f"{count // unit:4d}{letter}"
    return f"{count >> 40:4d}T"


def _clock(seconds: int) -> str:
    if seconds <= 0:
        return "--:--:--"
    return f"{seconds // 3600:2d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
