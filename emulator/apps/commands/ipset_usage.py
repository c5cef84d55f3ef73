"""What `ipset help` prints."""

from __future__ import annotations

from emulator.kernel.netfilter.ipset.base import IpSet
from emulator.kernel.netfilter.ipset.type import SET_TYPES

_USAGE = """Usage: ipset [options] COMMAND

Commands:
create SETNAME TYPENAME [type-specific-options]
        Create a new set
add SETNAME ENTRY
        Add entry to the named set
del SETNAME ENTRY
        Delete entry from the named set
test SETNAME ENTRY
        Test entry in the named set
destroy [SETNAME]
        Destroy a named set or all sets
list [SETNAME]
        List the entries of a named set or all sets
save [SETNAME]
        Save the named set or all sets to stdout
restore 
        Restore a saved state
flush [SETNAME]
        Flush a named set or all sets
rename FROM-SETNAME TO-SETNAME
        Rename two sets
swap FROM-SETNAME TO-SETNAME
        Swap the contect of two existing sets
help [TYPENAME]
        Print help, and settype specific help
version 
        Print version information
quit 
        Quit interactive mode

Options:
-o plain|save|xml
       Specify output mode for listing sets.
       Default value for "list" command is mode "plain"
       and for "save" command is mode "save".
-s 
        Print elements sorted (if supported by the set type).
-q 
        Suppress any notice or warning message.
-r 
        Try to resolve IP addresses in the output (slow!)
-! 
        Ignore errors when creating or adding sets or
        elements that do exist or when deleting elements
        that don't exist.
-n 
        When listing, just list setnames from the kernel.

-t 
        When listing, list setnames and set headers
        from kernel only.
-f 
        Read from the given file instead of standard
        input (restore) or write to given file instead
        of standard output (list/save).
"""  # noqa: W291 - as the real one
_CREATE = {
    "range": "range FROM-TO",
    "family": "[family inet|inet6]|[-4|-6]",
    "hashsize": "[hashsize VALUE]",
    "maxelem": "[maxelem VALUE]",
    "netmask": "[netmask CIDR]",
    "bitmask": "[bitmask BITMASK]",
    "markmask": "[markmask VALUE]",
    "size": "[size VALUE]",
    "timeout": "[timeout VALUE]",
    "counters": "[counters]",
    "comment": "[comment]",
    "forceadd": "[forceadd]",
    "skbinfo": "[skbinfo]",
    "bucketsize": "[bucketsize VALUE]",
    "initval": "[initval VALUE]",
}
_ADD = (
    "[packets VALUE]",
    "[bytes VALUE]",
    '[comment "string"]',
    "[skbmark VALUE]",
    "[skbprio VALUE]",
    "[skbqueue VALUE]",
)
_INDENT = " " * 15


def usage(kind: type[IpSet] | None, *, brief: bool) -> str:
    """Return the usage, with what there is for one set type, or all types by name; without these if `brief`."""
    if brief:
        return _USAGE
    if kind is None:
        lines = [
            f"    {name}\t{'' if len(name) > 11 else chr(9)}{each.revision}\n"
            for name, each in SET_TYPES.items()
            if name == each.name
        ]
        return f"{_USAGE}\nSupported set types:\n{''.join(lines)}"
    create = [text for name, text in _CREATE.items() if name in kind.create_options]
    flags = [f"[{name}]" for name in sorted(kind.add_flags)]
    if "name" in kind.features:
        flags.append("[before|after NAME]")
    commands = {
        "create SETNAME": create,
        "add    SETNAME": ["[timeout VALUE]", *flags, *_ADD],
        "del    SETNAME": [],
        "test   SETNAME": flags,
    }
    lines = [
        f"{command} {kind.name} {'' if command.startswith('create') else kind.element_help}\n"
        + "".join(f"{_INDENT}{option}\n" for option in options)
        for command, options in commands.items()
    ]
    return f"{_USAGE}\n{kind.name} type specific options:\n\n{''.join(lines)}"
