"""curl 7.88.1 for HTTP: options, redirects, time limits, and what it prints and returns for each failure."""

from __future__ import annotations

from emulator.apps.commands.curl_options import MORE, CurlOptions, read
from emulator.apps.commands.curl_output import METER_HEAD, VERSION, Report, meter_line, write_out
from emulator.apps.commands.curl_transfer import Transfer
from emulator.apps.commands.curl_url import CurlError, parse_url
from emulator.apps.environment import Invocation
from emulator.apps.options import UsageError

FAILED_INIT = 2
WRITE_ERROR = 23
_SINKS = frozenset({"/dev/null", "/dev/stdout", "-"})
_HELP = """Usage: curl [options...] <url>
 -d, --data <data>           HTTP POST data
 -f, --fail                  Fail fast with no output on HTTP errors
 -h, --help <category>       Get help for commands
 -i, --include               Include protocol response headers in the output
 -o, --output <file>         Write to file instead of stdout
 -s, --silent                Silent mode
 -u, --user <user:password>  Server user and password
 -A, --user-agent <name>     Send User-Agent <name> to server
 -v, --verbose               Make the operation more talkative
 -V, --version               Show version number and quit
"""


async def main(invocation: Invocation) -> int:
    """Run `curl`. Exit status as curl's: 0, or the number of the last failure."""
    try:
        options = read(invocation.argv[1:])
    except UsageError as error:
        invocation.write_error(f"curl: {error}\ncurl: {MORE}\n")
        return FAILED_INIT
    if options.switches & {"help", "version"}:
        invocation.write(_HELP if "help" in options.switches else f"{VERSION}\nProtocols: http\nFeatures: \n")
        return 0
    if not options.urls:
        reason = "curl: no URL specified!\n" if len(invocation.argv) > 1 else ""
        invocation.write_error(f"{reason}curl: {MORE}\n")
        return FAILED_INIT
    status = 0
    transfer = Transfer(invocation, options)
    try:
        for number, url in enumerate(options.urls):
            status = await _fetch(invocation, options, transfer, number, url)
    finally:
        await transfer.close()
    return status


async def _fetch(invocation: Invocation, options: CurlOptions, transfer: Transfer, number: int, url: str) -> int:
    output = options.outputs[number] if number < len(options.outputs) else ""
    report = Report(url, number, options.method, output)
    if output and output not in _SINKS:
        return _refuse_file(invocation, options, output)
    meter = not (options.switches & {"silent", "no-progress-meter"}) and not (invocation.terminal and not output)
    if meter:
        invocation.write_error(METER_HEAD + f"  0     0    0     0    0     0      0      0 {'--:--:-- ' * 3}    0")
    write = invocation.write if output != "/dev/null" else _discard
    try:
        await transfer.run(parse_url(url, report), report, write)
    except CurlError as error:
        report.exit_code, report.error = error.code, str(error)
    if meter:
        invocation.write_error(f"\r{meter_line(report)}\n")
    if report.error is not None and _shows_errors(options):
        invocation.write_error(f"curl: ({report.exit_code}) {report.error}\n")
    if "write-out" in options.values:
        write_out(options.values["write-out"], report, invocation.write, invocation.write_error)
    return report.exit_code


def _shows_errors(options: CurlOptions) -> bool:
    return "silent" not in options.switches or "show-error" in options.switches


def _refuse_file(invocation: Invocation, options: CurlOptions, output: str) -> int:
    """A pod has no files here: writing to one fails as in a read-only container."""
    if _shows_errors(options):
        invocation.write_error(f"Warning: Failed to open the file {output}: Read-only file system\n")
        invocation.write_error(f"curl: ({WRITE_ERROR}) Failure writing output to destination\n")
    return WRITE_ERROR


def _discard(_text: str) -> None:
    """Take what goes to /dev/null."""
