"""`test`, `[` and `printf` as programs of their own: what a shell has built in."""

from __future__ import annotations

from emulator.apps.environment import Invocation
from emulator.apps.inputs import files_of, path_of

_USAGE = 2


async def main(invocation: Invocation) -> int:
    """Run one of them."""
    name, words = invocation.argv[0].rpartition("/")[2], list(invocation.argv[1:])
    if name == "printf":
        return _printf(invocation, words)
    return await _test(invocation, name, words)


def _printf(invocation: Invocation, words: list[str]) -> int:
    from emulator.apps.shell.printf import FormatProblem, formatted

    if not words:
        invocation.write_error("printf: missing operand\nTry 'printf --help' for more information.\n")
        return 1
    try:
        printed = formatted(words[0], words[1:])
    except FormatProblem as problem:
        invocation.write(problem.printed)
        invocation.write_error(f"printf: {problem}\n")
        return 1
    invocation.write(printed.text)
    for message in printed.problems:
        invocation.write_error(f"printf: {message}\n")
    return int(bool(printed.problems))


async def _test(invocation: Invocation, name: str, words: list[str]) -> int:
    from emulator.apps.shell.test_expression import Tester, TestProblem

    if name == "[" and (not words or words.pop() != "]"):
        invocation.write_error("[: missing ]\n")
        return _USAGE
    tester = Tester(files_of(invocation), lambda each: path_of(invocation, each), lambda _: invocation.terminal)
    try:
        return int(not await tester.evaluate(words))
    except TestProblem as problem:
        invocation.write_error(f"{name}: {problem}\n")
        return _USAGE
