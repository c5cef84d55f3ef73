"""The names of the shell's own commands, for who must know them without running any."""

from __future__ import annotations

SPECIAL = frozenset(
    {".", ":", "break", "continue", "eval", "exec", "exit", "export", "readonly", "return", "set", "shift", "source",
     "times", "trap", "unset"}
)  # fmt: skip
"""Those whose errors end a script, and whose assignments last (POSIX 2.14)."""

BUILTINS = SPECIAL | {
    "[", "cd", "command", "echo", "false", "getopts", "hash", "jobs", "kill", "let", "local", "printf", "pwd", "read",
    "test", "true", "type", "ulimit", "umask", "wait",
}  # fmt: skip
