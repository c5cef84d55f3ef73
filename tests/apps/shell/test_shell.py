"""The shell in a pod: its messages, pipes that end early, signals, what is typed at a prompt, what is left behind."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest
import trio
from msgspec.structs import replace
from trio.testing import MockClock, wait_all_tasks_blocked

from emulator.apps.commands.shell import main
from emulator.apps.environment import Invocation
from emulator.apps.filesystem import MOST, Files, Mount, Tree
from tests.apps.conftest import Lab


async def sh(lab: Lab, script: str, files: Files | None = None) -> tuple[str, str, int]:
    result = await lab.run(["sh", "-c", script], files=files)
    return result.out, result.error, result.status


@pytest.mark.parametrize(
    ("script", "out", "error", "status"),
    [
        ("foo", "", "sh: foo: not found\n", 127),
        ("/nope/x", "", "sh: /nope/x: not found\n", 127),
        ("/etc", "", "sh: /etc: Permission denied\n", 126),
        ("echo a\nif", "a\n", 'sh: syntax error: unexpected end of file (expecting "then")\n', 2),
        ("echo ${x?unset here}; echo no", "", "sh: x: unset here\n", 2),
        ("set -u; echo $nope", "", "sh: nope: parameter not set\n", 2),
        ("echo a > /nope/x", "", "sh: can't create /nope/x: nonexistent directory\n", 1),
        ("cat < /nope", "", "sh: can't open /nope: no such file\n", 1),
        ("echo x > /etc/hosts", "", "sh: can't create /etc/hosts: Permission denied\n", 1),
        ("cd /nope", "", "sh: cd: line 1: can't cd to /nope: No such file or directory\n", 2),
        ("readonly a=1; a=2", "", "sh: a: is read only\n", 2),
        ("kill 99999", "", "sh: can't kill pid 99999: No such process\n", 1),
        ("[ a", "", "sh: missing ]\n", 2),
        ("[ 1 -eq x ]", "", "sh: x: bad number\n", 2),
        ("echo $((1/0))", "", "sh: divide by zero\n", 2),
        ("set -x; a='b c'; echo $a x*", "b c x*\n", "+ a='b c'\n+ echo b c 'x*'\n", 0),
        ("type foo cat echo if",
         "foo: not found\ncat is /usr/bin/cat\necho is a shell builtin\nif is a shell keyword\n", "", 127),
        ("printf %d x", "0", "sh: invalid number 'x'\n", 1),
        ("f() { f; }; f", "", "sh: f: functions call one another too deep\n", 2),
        ("[[ web-3 =~ -([0-9]+)$ ]] && echo ${BASH_REMATCH[1]}", "3\n", "", 0),
        ("[[ abc == a* && ! ( x == y ) && b < c ]] && echo yes", "yes\n", "", 0),
        ("[[ $(printf %060d 0)1 =~ ^(0+)+$ ]] || echo no", "no\n", "", 0),
        ("[[ abcd =~ a|abc ]]; echo $BASH_REMATCH; [[ a.c =~ a'.'c ]] && [[ ! abc =~ a'.'c ]] && echo quoted",
         "abc\nquoted\n", "", 0),
        ("x=aXbaYb; echo ${x/a*b/-} ${x//*/-} ${x//[a-b]/} ${x//\\*/n}", "- - XY aXbaYb\n", "", 0),
        ("x=a.b; echo ${x/./-} ${x:2} ${x:0:1}", "a-b b a\n", "", 0),
        ("cat <<< word; echo $'a\\tb'", "word\na\tb\n", "", 0),
        ("set -o pipefail; false | true; echo $?", "1\n", "", 0),
        ("echo -e 'a\\tb\\c'; echo -ne x", "a\tbx", "", 0),
        ("cat /etc/hostname; hostname; echo $$ | grep -c .", "client\nclient\n1\n", "", 0),
        ("echo $RANDOM | grep -c '^[0-9]*$'", "1\n", "", 0),
    ],
)  # fmt: skip
async def test_what_is_said(
    lab: Lab, autojump_clock: MockClock, script: str, out: str, error: str, status: int
) -> None:
    assert await sh(lab, script) == (out, error, status)


async def test_network_commands_in_pipes(lab: Lab, autojump_clock: MockClock) -> None:
    await lab.start("nginx")
    assert await sh(lab, "wget -qO- http://10.244.1.3 | grep -c Welcome") == ("2\n", "", 0)
    assert await sh(lab, "nc -z 10.244.1.3 80 && echo ok") == ("ok\n", "", 0)
    assert await sh(lab, "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -W 1 10.244.1.3 80 | head -n 1") == (
        "HTTP/1.1 200 OK\r\n", "", 0
    )  # fmt: skip
    code = (
        "for i in 1 2; do curl -s -o /dev/null -w '%{http_code}\\n' http://10.244.1.3/$i; done | sort | uniq -c | xargs"
    )
    assert await sh(lab, code) == ("2 404\n", "", 0)


async def test_connections_of_bash(lab: Lab, autojump_clock: MockClock) -> None:
    await lab.start("nginx")

    async def bash(script: str) -> tuple[str, str, int]:
        result = await lab.run(["bash", "-c", script])
        return result.out, result.error, result.status

    assert await bash("(echo > /dev/tcp/10.244.1.3/80) 2>/dev/null && echo open") == ("open\n", "", 0)
    assert await bash("timeout 1 bash -c '</dev/tcp/10.244.1.3/http' && echo open") == ("open\n", "", 0)
    assert await bash("echo > /dev/tcp/10.244.1.3/81") == (
        "", "bash: connect: Connection refused\nbash: /dev/tcp/10.244.1.3/81: Connection refused\n", 1
    )  # fmt: skip
    request = "exec 3<>/dev/tcp/10.244.1.3/80; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; head -n 1 <&3"
    assert await bash(request) == ("HTTP/1.1 200 OK\r\n", "", 0)
    assert (await sh(lab, "echo > /dev/tcp/10.244.1.3/80"))[2] == 1  # ash has none


async def test_a_pipe_that_nobody_reads_ends_its_writers(lab: Lab, autojump_clock: MockClock) -> None:
    began = trio.current_time()
    assert await sh(lab, "yes | head -n 2") == ("y\ny\n", "", 0)
    assert await sh(lab, "while :; do echo y; done | head -n 1; echo $?") == ("y\n0\n", "", 0)
    assert await sh(lab, "set -o pipefail; yes | true; echo $?") == ("141\n", "", 0)
    assert await sh(lab, "ping -i 1 10.244.1.3 | head -n 1 | wc -l") == ("1\n", "", 0)
    assert trio.current_time() - began < 5


async def test_a_loop_without_a_pause_lets_time_pass(lab: Lab, autojump_clock: MockClock) -> None:
    with trio.move_on_after(2) as scope:
        await sh(lab, "while :; do :; done")
    assert scope.cancelled_caught


async def test_cancelling_leaves_nothing(lab: Lab, autojump_clock: MockClock) -> None:
    await wait_all_tasks_blocked()  # tasks of the namespace's own may still begin or end
    before = trio.lowlevel.current_statistics().tasks_living
    with trio.move_on_after(3):
        await sh(lab, "sleep 1000 & (sleep 1000 | cat) & x=$(sleep 1000 | cat); echo $x")
    await wait_all_tasks_blocked()
    assert trio.lowlevel.current_statistics().tasks_living == before


async def test_what_runs_in_the_background_is_waited_for_as_long_as_it_may_print(
    lab: Lab, autojump_clock: MockClock
) -> None:
    assert await sh(lab, "(sleep 5; echo late) & echo now") == ("now\nlate\n", "", 0)
    assert await sh(lab, "x=$(sleep 1 & echo a); echo $x") == ("a\n", "", 0)


async def test_a_containers_script_ends_as_its_trap_says(lab: Lab, autojump_clock: MockClock) -> None:
    terminate: list[Callable[[], None]] = []
    printed: list[str] = []
    invocation = replace(
        lab.invocation(),
        argv=("sh", "-c", "trap 'echo bye; exit 7' TERM; sleep 1000 & echo up; wait"),
        write=printed.append,
        on_terminate=terminate.append,
        pid=1,
    )
    statuses: list[int] = []

    async def run() -> None:
        statuses.append(await main(invocation))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        await trio.sleep(10)
        terminate[-1]()
    assert (printed, statuses) == (["up\n", "bye\n"], [7])


async def test_process_1_without_a_trap_does_not_heed_sigterm(lab: Lab, autojump_clock: MockClock) -> None:
    terminate: list[Callable[[], None]] = []
    invocation = replace(
        lab.invocation(), argv=("sh", "-c", "sleep 100; kill $$; exit 3"), on_terminate=terminate.append, pid=1
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(main, invocation)
        await trio.sleep(10)
        began = trio.current_time()
        terminate[-1]()
    assert trio.current_time() - began > 80


async def test_files_are_shared_limited_and_read_only_where_they_should_be(lab: Lab, autojump_clock: MockClock) -> None:
    class Secret:
        async def contents(self) -> dict[str, bytes]:
            return {"password": b"x", "deep/er": b"y"}

    shared = Tree()
    network = lab.networks["client"]
    mounts = [Mount("/work", shared), Mount("/secret", Secret(), read_only=True), Mount("/one", Secret(), "password")]
    first, second = Files(network, "a", mounts), Files(network, "b", mounts)
    assert await sh(lab, "echo text > /work/f; echo own > /tmp/f", first) == ("", "", 0)
    assert await sh(lab, "cat /work/f /tmp/f", second) == ("text\n", "cat: /tmp/f: No such file or directory\n", 1)
    assert await sh(lab, "ls /secret /secret/deep; cat /secret/deep/er /one; ls -d /s*t/*", first) == (
        "/secret:\ndeep\npassword\n\n/secret/deep:\ner\nyx/secret/deep\n/secret/password\n", "", 0
    )  # fmt: skip
    assert (await sh(lab, "rm /secret/password; rmdir /work; rm /etc/hosts", first))[1] == (
        "rm: cannot remove '/secret/password': Read-only file system\n"
        "rmdir: failed to remove '/work': Device or resource busy\n"
        "rm: cannot remove '/etc/hosts': Permission denied\n"
    )
    out, error, status = await sh(lab, f"head -c {MOST + 1} /dev/zero > /tmp/big; echo $?", first)
    assert (out, status) == ("1\n", 0)
    assert "No space left on device" in error
    assert (await sh(lab, "ls /usr/bin | grep -cx curl; test -x /bin/sh && echo x", first))[0] == "1\nx\n"


@dataclass
class Terminal:
    """Somebody who types at a shell in a pod."""

    shown: list[str] = field(default_factory=list)
    interrupt: Callable[[], None] = lambda: None
    status: int = -1

    def __post_init__(self) -> None:
        self._sender, self._receiver = trio.open_memory_channel[bytes](100)

    async def read(self) -> bytes:
        try:
            return await self._receiver.receive()
        except trio.EndOfChannel:
            return b""

    def _on_interrupt(self, act: Callable[[], None]) -> None:
        self.interrupt = act

    async def run(self, invocation: Invocation) -> None:
        self.status = await main(
            replace(
                invocation,
                argv=("sh",),
                stdin=self,
                write=self.shown.append,
                write_error=self.shown.append,
                terminal=True,
                on_interrupt=self._on_interrupt,
            )
        )

    async def type(self, text: str, seconds: float = 1) -> str:
        """Type something; return what is shown within some time."""
        self.shown.clear()
        await self._sender.send(text.encode())
        await trio.sleep(seconds)
        return "".join(self.shown)

    async def press_interrupt(self) -> str:
        self.shown.clear()
        self.interrupt()
        await trio.sleep(1)
        return "".join(self.shown)

    def end(self) -> None:
        self._sender.close()


@pytest.fixture
async def terminal(lab: Lab, autojump_clock: MockClock) -> AsyncIterator[Terminal]:
    terminal = Terminal()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(terminal.run, lab.invocation())
        await trio.sleep(1)
        yield terminal
        terminal.end()


async def test_a_prompt(terminal: Terminal) -> None:
    assert "".join(terminal.shown) == "/ # "
    assert await terminal.type("echo hello\n") == "hello\n/ # "
    assert await terminal.type("x=1\necho $x\n") == "/ # 1\n/ # "
    assert await terminal.type("for i in 1 2\n") == "> "
    assert await terminal.type("do echo $i; done\n") == "1\n2\n/ # "
    assert await terminal.type("cd /tmp; foo\n") == "sh: foo: not found\n/tmp # "
    assert await terminal.type("done\n") == 'sh: syntax error: unexpected "done"\n/tmp # '
    assert await terminal.type("echo ${x?}; echo $((1/0))\n") == "1\nsh: divide by zero\n/tmp # "
    assert await terminal.type("\n") == "/tmp # "
    assert await terminal.type("cat\nto cat\n") == "to cat\n"  # which reads what is typed
    await terminal.press_interrupt()
    assert await terminal.type("false; exit\n") == ""
    assert terminal.status == 1


async def test_interrupts_end_the_command_and_not_the_shell(terminal: Terminal) -> None:
    assert await terminal.type("sleep 1000\n", 5) == ""
    assert await terminal.press_interrupt() == "\n/ # "
    assert await terminal.type("echo $?\n") == "130\n/ # "
    assert await terminal.type("while :; do sleep 1; done\n", 5) == ""
    assert await terminal.press_interrupt() == "\n/ # "
    assert await terminal.type("sleep 5 | cat\n") == ""
    assert await terminal.press_interrupt() == "\n/ # "
    assert await terminal.press_interrupt() == "\n/ # "
    shown = await terminal.type("ping 127.0.0.1\n", 2.5)
    assert shown.count("bytes from") == 3
    assert "packet loss" in await terminal.press_interrupt()
    assert await terminal.type("exit 3\n") == ""
    assert terminal.status == 3


async def test_the_end_of_input_ends_the_shell(terminal: Terminal) -> None:
    await terminal.type("sleep 1000 &\n")
    terminal.end()
    await trio.sleep(1)
    assert terminal.status == 0


async def test_what_forks_without_end_has_an_end(lab: Lab, autojump_clock: MockClock) -> None:
    """A pod's processes are limited, and all of them together have the time of one processor."""
    out, error, _ = await sh(lab, "for i in $(seq 300); do sleep 9 & done; echo no")
    assert out == ""
    assert error.endswith("sh: can't fork: Resource temporarily unavailable\n")
    out, _, _ = await sh(lab, "for i in $(seq 400); do : & done; wait; echo done | cat")
    assert out == "done\n"
    turns = "i=0; while [ $i -lt 200 ]; do i=$((i+1)); done"
    took = []
    for count in (1, 10):
        began = trio.current_time()
        await sh(lab, f"for i in $(seq {count}); do ({turns}) & done; wait")
        took.append(trio.current_time() - began)
    assert took[1] > 7 * took[0]


async def test_shells_that_run_shells_have_an_end(lab: Lab, autojump_clock: MockClock) -> None:
    _, error, status = await sh(lab, "echo 'sh /tmp/x' > /tmp/x; sh /tmp/x")
    assert (error, status) == ("sh: shells run one another too deep\n", 2)
    _, error, _ = await sh(lab, "echo 'sleep 9 & sh /tmp/y & sh /tmp/y' > /tmp/y; sh /tmp/y")
    assert "can't fork: Resource temporarily unavailable\n" in error


@pytest.mark.parametrize("command", ["grep -E '{}'", "grep -P '{}'", "sed -E 's/{}/a/'", "awk '/{}/'"])
async def test_what_takes_for_ever_to_match_ends_its_command_only(
    lab: Lab, autojump_clock: MockClock, command: str
) -> None:
    line = "echo " + "x" * 60 + f"qz | {command.format(SLOW)}; echo $?; wait; echo on"
    said = f"{command.split()[0]}: the regular expression takes too long to match\n"
    assert await sh(lab, f"sleep 1 & {line}") == ("2\non\n", said, 0)


SLOW = r"^((x|xx)+)z\1$"
