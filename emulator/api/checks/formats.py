"""The forms of names, labels, ports and addresses (kubernetes: apimachinery/pkg/util/validation).

Each function returns what is wrong with a value, in Kubernetes' words; nothing if it is right.
"""

from __future__ import annotations

import ipaddress
import re

LABEL_1123 = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
SUBDOMAIN_1123 = rf"{LABEL_1123}(\.{LABEL_1123})*"
LABEL_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
QUALIFIED_NAME = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
LABEL_VALUE = f"({QUALIFIED_NAME})?"
CONFIG_KEY = "[-._a-zA-Z0-9]+"
PERCENT = "[0-9]+%"

_LABEL_1123 = re.compile(LABEL_1123)
_SUBDOMAIN_1123 = re.compile(SUBDOMAIN_1123)
_LABEL_1035 = re.compile(LABEL_1035)
_QUALIFIED_NAME = re.compile(QUALIFIED_NAME)
_LABEL_VALUE = re.compile(LABEL_VALUE)
_CONFIG_KEY = re.compile(CONFIG_KEY)
_PORT_NAME = re.compile("[-a-z0-9]+")
_PERCENT = re.compile(PERCENT)

PORT_RANGE = "must be between 1 and 65535, inclusive"


def _too_long(value: str, limit: int) -> list[str]:
    return [f"must be no more than {limit} characters"] if len(value) > limit else []


def label_1123(value: str) -> list[str]:
    """Check a DNS label: names of namespaces and containers."""
    problems = _too_long(value, 63)
    if not _LABEL_1123.fullmatch(value):
        problems.append(
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and "
            "end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
            f"'{LABEL_1123}')"
        )
    return problems


def subdomain_1123(value: str) -> list[str]:
    """Check a DNS subdomain: names of most objects."""
    problems = _too_long(value, 253)
    if not _SUBDOMAIN_1123.fullmatch(value):
        problems.append(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
            "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
            f"'{SUBDOMAIN_1123}')"
        )
    return problems


def label_1035(value: str) -> list[str]:
    """Check a DNS label that starts with a letter: names of Services."""
    problems = _too_long(value, 63)
    if not _LABEL_1035.fullmatch(value):
        problems.append(
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
            "character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for "
            f"validation is '{LABEL_1035}')"
        )
    return problems


def path_segment(value: str) -> list[str]:
    """Check a name that may hold anything but what a URL path splits on: names of roles and bindings."""
    if value in (".", ".."):
        return [f"may not be '{value}'"]
    return [f"may not contain '{char}'" for char in "/%" if char in value]


def qualified_name(value: str) -> list[str]:
    """Check a label or annotation key: a name of up to 63 characters, with a DNS prefix if wanted."""
    prefix, slash, name = value.rpartition("/")
    problems = []
    if slash:
        if not prefix:
            problems.append("prefix part must be non-empty")
        else:
            problems += [f"prefix part {problem}" for problem in subdomain_1123(prefix)]
    if not name:
        problems.append("name part must be non-empty")
    elif len(name) > 63:
        problems.append("name part must be no more than 63 characters")
    if not _QUALIFIED_NAME.fullmatch(name):
        problems.append(
            "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
            "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
            f"'{QUALIFIED_NAME}')"
        )
    return problems


def label_value(value: str) -> list[str]:
    """Check the value of a label."""
    problems = _too_long(value, 63)
    if not _LABEL_VALUE.fullmatch(value):
        problems.append(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "
            "start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used "
            f"for validation is '{LABEL_VALUE}')"
        )
    return problems


def config_key(value: str) -> list[str]:
    """Check a key of a ConfigMap or Secret."""
    problems = _too_long(value, 253)
    if not _CONFIG_KEY.fullmatch(value):
        problems.append(
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or "
            f"'KEY_NAME',  or 'key-name', regex used for validation is '{CONFIG_KEY}')"
        )
    elif value in (".", "..") or value.startswith(".."):
        problems.append("must not be '.' and must not start with '..'")
    return problems


def port_number(value: int) -> list[str]:
    """Check a port."""
    return [] if 1 <= value <= 65535 else [PORT_RANGE]


def port_name(value: str) -> list[str]:
    """Check a port's name by RFC 6335, section 5.1."""
    problems = _too_long(value, 15)
    if not _PORT_NAME.fullmatch(value):
        problems.append("must contain only alphanumeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", value):
        problems.append("must contain at least one letter (a-z)")
    if "--" in value:
        problems.append("must not contain consecutive hyphens")
    if value.startswith("-") or value.endswith("-"):
        problems.append("must not begin or end with a hyphen")
    return problems


def ip_address(value: str) -> list[str]:
    """Check an IPv4 or IPv6 address without a zone."""
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id:
        return ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]
    return []


def endpoint_address(value: str) -> list[str]:
    """Check an address that traffic may be sent to: not unspecified, loopback, link-local or multicast."""
    problems = ip_address(value)
    if problems:
        return problems
    address = ipaddress.ip_address(value)
    if address.is_unspecified:
        problems.append(f"may not be unspecified ({value})")
    if address.is_loopback:
        problems.append("may not be in the loopback range (127.0.0.0/8, ::1/128)")
    if address.is_link_local:
        problems.append("may not be in the link-local range (169.254.0.0/16, fe80::/10)")
    if address.is_multicast:
        problems.append("may not be in the multicast range (224.0.0.0/4, ff00::/10)")
    return problems


def cidr(value: str) -> list[str]:
    """Check an address with a prefix length; bits of the host may be set."""
    address, slash, length = value.partition("/")
    try:
        if not slash or not length.isdecimal():
            raise ValueError(value)
        ipaddress.ip_interface(f"{address}/{length}")
    except ValueError:
        return ["must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"]
    return []


def percent(value: str) -> list[str]:
    """Check a percentage such as 25%."""
    if _PERCENT.fullmatch(value):
        return []
    return [
        f"a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used "
        f"for validation is '{PERCENT}')"
    ]
