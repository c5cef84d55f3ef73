"""What is wrong with a rule or a rule file, told in one line."""

from emulator.errors import PodwireError


class RuleError(PodwireError):
    """A rule, chain or table that cannot be: the message names what and why."""


class RestoreError(PodwireError):
    """A line of `iptables-restore` text that cannot be applied; nothing of the text was."""

    def __init__(self, line: int, message: str) -> None:
        self.line = line
        self.message = message
        super().__init__(f"iptables-restore: line {line} failed: {message}")
