"""What a curl command line sends: the method, the headers in curl's order, the body."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence

from msgspec import Struct

from emulator.apps.commands.curl_options import CurlOptions
from emulator.apps.commands.curl_url import Url
from emulator.apps.http_message import Headers

AGENT = "curl/7.88.1"
EXPECT_FROM = 1 << 20  # bytes of a body from which curl asks for a 100 Continue first
_ENCODINGS = "deflate, gzip, br, zstd"


class Body(Struct, frozen=True):
    """A request's body. `chunked` is for one whose length is not known before; `upload` for that of `-T`."""

    data: bytes
    content_type: str = ""
    chunked: bool = False
    upload: bool = False
    form: bool = False


def target(options: CurlOptions, url: Url) -> str:
    """Return what stands in the request line: with `-G` the data are in it."""
    if "get" in options.switches and options.data:
        return url.target + ("&" if "?" in url.target else "?") + b"&".join(options.data).decode("utf-8", "replace")
    return url.target


def body_of(options: CurlOptions, standard_input: bytes, boundary: str) -> Body | None:
    """Return the body that the options ask for, or None."""
    if "upload-file" in options.values:
        return Body(standard_input, chunked=True, upload=True)
    if options.form:
        return Body(_multipart(options.form, boundary), f"multipart/form-data; boundary={boundary}", form=True)
    if not options.data or "get" in options.switches:
        return None
    kind = "application/json" if options.json else "application/x-www-form-urlencoded"
    return Body((b"" if options.json else b"&").join(options.data), kind)


def _multipart(form: Sequence[tuple[str, str]], boundary: str) -> bytes:
    """Write fields as multipart/form-data (RFC 7578)."""
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in form
    ]
    return "".join([*parts, f"--{boundary}--\r\n"]).encode()


def headers_for(options: CurlOptions, url: Url, body: Body | None) -> Headers:
    """Return the request's headers in curl's order; `-H` replaces, adds or (with no value) removes."""
    headers = [("Host", url.host_header)]
    user = options.values.get("user", url.user)
    if user:
        headers.append(("Authorization", f"Basic {b64encode(user.encode()).decode()}"))
    if "oauth2-bearer" in options.values:
        headers.append(("Authorization", f"Bearer {options.values['oauth2-bearer']}"))
    if "range" in options.values:
        headers.append(("Range", f"bytes={options.values['range']}"))
    headers.append(("User-Agent", options.values.get("user-agent", AGENT)))
    if not options.json:
        headers.append(("Accept", "*/*"))
    if "compressed" in options.switches:
        headers.append(("Accept-Encoding", _ENCODINGS))
    if "referer" in options.values:
        headers.append(("Referer", options.values["referer"]))
    if options.values.get("cookie"):
        headers.append(("Cookie", options.values["cookie"]))
    headers, added = _customized([(name, value) for name, value in headers if value], options.headers)
    headers += added
    if body is not None:
        headers += _body_headers(options, body, {name.lower(): value for name, value in headers})
    return tuple(headers)


def _body_headers(options: CurlOptions, body: Body, given: dict[str, str]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    kind = ("Content-Type", body.content_type)
    if options.json:
        found += [pair for pair in (kind, ("Accept", "application/json")) if pair[0].lower() not in given]
    chunked = given.get("transfer-encoding", "").lower() == "chunked"
    if body.chunked and not chunked:
        found.append(("Transfer-Encoding", "chunked"))
    elif not chunked and "content-length" not in given:
        found.append(("Content-Length", str(len(body.data))))
    if body.content_type and not options.json and "content-type" not in given:
        found.append(kind)
    if "expect" not in given and (body.upload or len(body.data) > EXPECT_FROM) and "http1.0" not in options.switches:
        removed = any(line.replace(" ", "").lower() == "expect:" for line in options.headers)
        found += [] if removed else [("Expect", "100-continue")]
    return found


def _customized(
    headers: list[tuple[str, str]], custom: list[str]
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Apply `-H`: (the standard headers as they are now, the added ones)."""
    added: list[tuple[str, str]] = []
    for line in custom:
        name, colon, value = line.partition(":")
        if not colon:
            if line.endswith(";"):
                added.append((line[:-1], ""))
            continue
        standard = [known for known, _ in headers if known.lower() == name.lower()]
        value = value.strip()
        if name.lower() == "host" and value:
            headers = [(known, value if known == "Host" else old) for known, old in headers]
            continue
        headers = [header for header in headers if header[0] not in standard]
        if value:
            added.append((name, value))
    return headers, added
