"""curl 7.88.1 for HTTP and HTTPS: what it prints and returns for each transfer of its command line."""

from __future__ import annotations

from collections.abc import Callable

import trio

from emulator.apps.commands.curl_options import MORE, CurlOptions, read
from emulator.apps.commands.curl_output import METER_HEAD, VERSION, Report, meter_line, write_out
from emulator.apps.commands.curl_tls import ADVICE, UNVERIFIED
from emulator.apps.commands.curl_transfer import Transfer
from emulator.apps.commands.curl_url import CurlError, expand, parse_url
from emulator.apps.environment import Invocation
from emulator.apps.inputs import files_of, path_of
from emulator.apps.options import UsageError

FAILED_INIT, WRITE_ERROR, READ_ERROR = 2, 23, 26
_SINKS = frozenset({"/dev/null", "/dev/stdout", "-"})
_REFUSED, _TIMED_OUT = 7, 28
_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
_LONGEST_DELAY = 600.0  # seconds between tries at most
_WARNING_WIDTH = 79 - len("Warning: ")
_HELP = """Usage: curl [options...] <url>
 -d, --data <data>           HTTP POST data
 -f, --fail                  Fail fast with no output on HTTP errors
 -h, --help <category>       Get help for commands
 -i, --include               Include protocol response headers in the output
 -o, --output <file>         Write to file instead of stdout
 -O, --remote-name           Write output to a file named as the remote file
 -s, --silent                Silent mode
 -T, --upload-file <file>    Transfer local FILE to destination
 -u, --user <user:password>  Server user and password
 -A, --user-agent <name>     Send User-Agent <name> to server
 -v, --verbose               Make the operation more talkative
 -V, --version               Show version number and quit
"""


async def main(invocation: Invocation) -> int:
    """Run `curl`. Exit status as curl's: 0, or the number of the last failure."""
    try:
        options = await read(invocation.argv[1:], invocation.stdin)
    except UsageError as error:
        invocation.write_error(f"curl: {error}\ncurl: {MORE}\n")
        return FAILED_INIT
    if options.switches & {"help", "version"}:
        invocation.write(_HELP if "help" in options.switches else f"{VERSION}\nProtocols: http https\nFeatures: SSL\n")
        return 0
    if not options.urls:
        reason = "curl: no URL specified!\n" if len(invocation.argv) > 1 else ""
        invocation.write_error(f"{reason}curl: {MORE}\n")
        return FAILED_INIT
    command = _Curl(invocation, options)
    try:
        return await command.run()
    finally:
        with trio.CancelScope(shield=True):
            await command.transfer.close()


class _Curl:
    """One command line."""

    def __init__(self, invocation: Invocation, options: CurlOptions) -> None:
        self.transfer = Transfer(invocation, options)
        self._invocation = invocation
        self._options = options
        self._silent = "silent" in options.switches

    async def run(self) -> int:
        """Fetch all URLs; return the status of the last."""
        status, number = 0, 0
        for index, pattern in enumerate(self._options.urls):
            output = self._options.outputs[index] if index < len(self._options.outputs) else ""
            for url, parts in [(pattern, ())] if "globoff" in self._options.switches else expand(pattern):
                named = output
                for place, part in enumerate(parts, 1):
                    named = named.replace(f"#{place}", part)
                status = await self._fetch(number, url, named)
                number += 1
                if status and "fail-early" in self._options.switches:
                    return status
        return status

    async def _fetch(self, number: int, url: str, output: str) -> int:
        """Fetch a URL, again where `--retry` says so."""
        if output == "-O":
            output = url.partition("://")[2].partition("?")[0].partition("/")[2].rpartition("/")[2]
            if not output:
                self._complain("curl: Remote file name has no length!\n")
                return WRITE_ERROR
        write = await self._writer(output)
        if write is None:
            return WRITE_ERROR
        upload = self._options.values.get("upload-file", "-")
        if upload not in {"-", "."}:
            self._complain(f"curl: Can't open '{upload}'!\ncurl: {MORE}\n")
            return READ_ERROR
        data = await _whole(self._invocation) if "upload-file" in self._options.values else b""
        left, delay = int(self._options.number("retry")), self._options.number("retry-delay") or 1.0
        began = trio.current_time()
        while True:
            report = Report(url, number, self._options.method, output)
            await self._try(report, data, write)
            reason = self._transient(report) if left > 0 else ""
            longest = self._options.number("retry-max-time")
            if not reason or (longest and trio.current_time() - began + delay > longest):
                return report.exit_code
            self._warn(f"Problem {reason}. Will retry in {delay:g} seconds. {left} retries left.")
            await trio.sleep(delay)
            left -= 1
            if "retry-delay" not in self._options.values:
                delay = min(delay * 2, _LONGEST_DELAY)

    async def _try(self, report: Report, data: bytes, write: Callable[[str], None]) -> None:
        invocation, output = self._invocation, report.output
        meter = not self._silent and "no-progress-meter" not in self._options.switches
        meter = meter and not (invocation.terminal and not output)
        if meter:
            invocation.write_error(METER_HEAD + f"  0     0    0     0    0     0      0      0 {'--:--:-- ' * 3}    0")
        try:
            await self.transfer.run(parse_url(report.url, report), report, write, data)
        except CurlError as error:
            report.exit_code, report.error = error.code, str(error)
        if meter:
            invocation.write_error(f"\r{meter_line(report)}\n")
        if report.error is not None:
            advice = ADVICE if report.exit_code == UNVERIFIED else ""
            self._complain(f"curl: ({report.exit_code}) {report.error}\n{advice}")
        if "write-out" in self._options.values:
            write_out(self._options.values["write-out"], report, invocation.write, invocation.write_error)

    def _transient(self, report: Report) -> str:
        """Say why a transfer is worth another try, or ""."""
        if report.exit_code == _TIMED_OUT:
            return ": timeout"
        if report.exit_code == _REFUSED and {"retry-connrefused", "retry-all-errors"} & self._options.switches:
            return ": connection refused"
        if report.http_code in _TRANSIENT:
            return ": HTTP error"
        return "(retrying all errors)" if report.exit_code and "retry-all-errors" in self._options.switches else ""

    def _complain(self, text: str) -> None:
        if not self._silent or "show-error" in self._options.switches:
            self._invocation.write_error(text)

    def _warn(self, text: str) -> None:
        """Print a warning, folded as curl folds it. Silent runs say nothing, `-S` or not."""
        if self._silent:
            return
        while len(text) + 1 > _WARNING_WIDTH:  # curl counts the line end too
            cut = text.rfind(" ", 0, _WARNING_WIDTH) + 1 or _WARNING_WIDTH
            self._invocation.write_error(f"Warning: {text[:cut]}\n")
            text = text[cut:]
        self._invocation.write_error(f"Warning: {text}\n")

    async def _writer(self, output: str) -> Callable[[str], None] | None:
        """Open what output goes to; None, and it is said why, where that cannot be."""
        if not output or output in _SINKS:
            return self._invocation.write if output != "/dev/null" else _discard
        try:
            file = await files_of(self._invocation).open(path_of(self._invocation, output))
        except OSError as error:
            self._complain(
                f"Warning: Failed to open the file {output}: {error.strerror}\n"
                f"curl: ({WRITE_ERROR}) Failure writing output to destination\n"
            )
            return None
        return _discard if file is None else lambda text: file.write(text.encode("utf-8", "surrogateescape"))


async def _whole(invocation: Invocation) -> bytes:
    """Read standard input to its end."""
    data = bytearray()
    while part := await invocation.stdin.read():
        data += part
    return bytes(data)


def _discard(_text: str) -> None:
    """Take what goes to /dev/null."""
