"""The emulator's TCP in conversation with Linux's own, over a TAP device and in real time.

Each conversation is held both ways round: what Linux's program sees of the emulator, the emulator's sees of Linux.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
from collections.abc import Iterator

import pytest

from emulator.kernel.tcp.connection import TcpSocket
from emulator.kernel.tcp.state import State
from tests.conftest import REQUIRE_KERNEL
from tests.kernel_oracle.tap_bed import EMULATED, REAL, Disturbance, TapBed
from tests.kernel_oracle.tcp_transfer import transfer

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(
        not os.access("/dev/net/tun", os.W_OK) and os.environ.get(REQUIRE_KERNEL) != "1",
        reason="/dev/net/tun cannot be opened",
    ),
]

PORT, CLOSED_PORT = 7000, 7001
SIZE = 2_000_000
LOSSY = Disturbance(loss=0.02, reorder=0.05, jitter=0.001, seed=7)
RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER
LINUX_STATES = {  # tcp_info.tcpi_state: include/net/tcp_states.h
    1: State.ESTABLISHED, 2: State.SYN_SENT, 3: State.SYN_RECEIVED, 4: State.FIN_WAIT_1, 5: State.FIN_WAIT_2,
    6: State.TIME_WAIT, 7: State.CLOSED, 8: State.CLOSE_WAIT, 9: State.LAST_ACK, 10: State.LISTEN, 11: State.CLOSING,
}  # fmt: skip


@pytest.fixture
def bed() -> Iterator[TapBed]:
    with TapBed() as made:
        yield made


def state(real: socket.socket) -> State:
    return LINUX_STATES[real.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]]


def pair(bed: TapBed, *, emulator_connects: bool, port: int = PORT) -> tuple[TcpSocket, socket.socket]:
    """An established connection: (the emulator's end, Linux's end)."""
    real: socket.socket | None = None
    ours: TcpSocket | None = None
    if emulator_connects:
        listening = bed.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((REAL, port))
        listening.listen()
        ours = bed.ns.sockets.connect((REAL, port))
        bed.run_until(lambda: not ours.connecting)
        bed.run(0.01)
        real = bed.adopt(listening.accept()[0])
        listening.close()
    else:
        listener = bed.ns.sockets.listen((EMULATED, port))
        real = bed.socket()
        real.connect_ex((EMULATED, port))
        bed.run_until(lambda: listener.readable)
        ours = listener.accept()
        assert ours is not None
        listener.close()
    return ours, real


def read_all(real: socket.socket) -> bytes:
    """What Linux's end holds now; the end of the stream is not told from nothing more."""
    data = b""
    with contextlib.suppress(BlockingIOError):
        while more := real.recv(1 << 20):
            data += more
    return data


both_ways = pytest.mark.parametrize("emulator_connects", [True, False])


@pytest.mark.parametrize("disturbance", [Disturbance(), LOSSY], ids=["calm", "lossy"])
@both_ways
def test_bulk_transfers_both_ways_arrive_whole(disturbance: Disturbance, emulator_connects: bool) -> None:
    with TapBed(disturbance) as bed:
        report = transfer(bed, SIZE, connect=emulator_connects, limit=60)
    if disturbance.loss:
        assert min(report.lost) > 0


@both_ways
def test_a_narrow_path_lowers_the_segment_size_of_either_side(bed: TapBed, emulator_connects: bool) -> None:
    ours, real = pair(bed, emulator_connects=emulator_connects)
    bed.path_mtu = 1000
    data = bytes(range(256)) * 160
    ours.send(data)
    received = b""

    def arrived() -> bool:
        nonlocal received
        received += read_all(real)
        return len(received) == len(data)

    bed.run_until(arrived)
    assert received == data
    assert ours.mss == 1000 - 20 - 20 - 12
    assert 1 <= bed.too_big[0] <= 12  # a first window at most: what is too large is not sent again
    assert real.send(data) == len(data)
    bed.run_until(lambda: ours.rx.size == len(data))
    assert ours.receive(len(data)) == data
    assert 1 <= bed.too_big[1] <= 12


def test_a_closed_port_refuses(bed: TapBed) -> None:
    ours = bed.ns.sockets.connect((REAL, CLOSED_PORT))
    real = bed.socket()
    real.connect_ex((EMULATED, CLOSED_PORT))
    bed.run_until(lambda: not ours.connecting and state(real) is not State.SYN_SENT)
    assert isinstance(ours.error, ConnectionRefusedError)
    assert real.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED


@both_ways
def test_half_closes_leave_the_other_half_open(bed: TapBed, emulator_connects: bool) -> None:
    ours, real = pair(bed, emulator_connects=emulator_connects)
    ours.shutdown()
    bed.run_until(lambda: ours.state is State.FIN_WAIT_2 and state(real) is State.CLOSE_WAIT)
    assert real.recv(10) == b""
    real.sendall(b"still here" * 1000)
    bed.run_until(lambda: ours.rx.size == 10_000)
    real.shutdown(socket.SHUT_WR)
    bed.run_until(lambda: ours.state is State.CLOSED and state(real) is State.CLOSED)
    assert ours.receive(20_000) == b"still here" * 1000
    assert ours.receive(1) == b""

    ours, real = pair(bed, emulator_connects=emulator_connects, port=PORT + 2)
    real.shutdown(socket.SHUT_WR)
    bed.run_until(lambda: state(real) is State.FIN_WAIT_2 and ours.state is State.CLOSE_WAIT)
    assert ours.receive(10) == b""
    ours.send(b"still here" * 1000)
    ours.shutdown()
    bed.run_until(lambda: ours.state is State.CLOSED)
    assert read_all(real) == b"still here" * 1000


@both_ways
def test_resets_are_told_alike(bed: TapBed, emulator_connects: bool) -> None:
    ours, real = pair(bed, emulator_connects=emulator_connects)
    real.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    real.close()
    bed.run_until(lambda: ours.state is State.CLOSED)
    with pytest.raises(ConnectionResetError):
        ours.receive(1)
    with pytest.raises(BrokenPipeError):
        ours.send(b"x")

    ours, real = pair(bed, emulator_connects=emulator_connects, port=PORT + 2)
    ours.abort()
    bed.run_until(lambda: state(real) is State.CLOSED)
    with pytest.raises(ConnectionResetError):
        real.recv(1)
    with pytest.raises(BrokenPipeError):
        real.send(b"x")


def test_closing_with_unread_data_is_a_reset(bed: TapBed) -> None:
    ours, real = pair(bed, emulator_connects=True)
    ours.send(b"not read")
    bed.run(0.02)
    real.close()
    bed.run_until(lambda: ours.state is State.CLOSED)
    with pytest.raises(ConnectionResetError):
        ours.receive(1)

    ours, real = pair(bed, emulator_connects=True, port=PORT + 2)
    real.send(b"not read")
    bed.run_until(lambda: ours.readable)
    ours.close()
    bed.run_until(lambda: state(real) is State.CLOSED)
    with pytest.raises(ConnectionResetError):
        real.recv(1)


def test_writing_to_a_side_that_reads_no_more(bed: TapBed) -> None:
    """A peer that has closed answers data with a reset; behind its FIN that is EPIPE, before it ECONNRESET."""
    ours, real = pair(bed, emulator_connects=True)
    real.close()
    bed.run_until(lambda: ours.state is State.CLOSE_WAIT)
    ours.send(b"anyone?")
    bed.run_until(lambda: ours.state is State.CLOSED)
    with pytest.raises(BrokenPipeError):
        ours.send(b"x")

    ours, real = pair(bed, emulator_connects=True, port=PORT + 2)
    ours.close()
    bed.run_until(lambda: state(real) is State.CLOSE_WAIT)
    real.send(b"anyone?")
    bed.run_until(lambda: state(real) is State.CLOSED)
    with pytest.raises(BrokenPipeError):
        real.send(b"x")


@both_ways
def test_a_closed_window_is_probed_until_it_opens(bed: TapBed, emulator_connects: bool) -> None:
    bed.set_real_sysctl("net.ipv4.tcp_rmem", "4096 131072 262144")  # soon full
    bed.set_real_sysctl("net.ipv4.tcp_wmem", "4096 131072 262144")
    ours, real = pair(bed, emulator_connects=emulator_connects)
    sent = bytes(range(256)) * 5_000
    left = memoryview(sent)
    stuck = bed.now + 1.0
    while bed.now < stuck:  # ours fills both buffers and asks whether there is room
        left = left[ours.send(left) :]
        bed.run(0.05)
    assert ours.tx.window == 0
    assert ours.probes > 0
    received = b""
    while len(received) < len(sent):
        received += read_all(real)
        left = left[ours.send(left) :]
        bed.run(0.002)
    assert received == sent

    there = 0
    stuck = bed.now + 1.0
    while bed.now < stuck:
        with contextlib.suppress(BlockingIOError):
            there += real.send(sent[there % 256 : there % 256 + 65_536])
        bed.run(0.05)
    assert ours.rx.size > ours.rx.limit - 2 * ours.receive_mss
    back = b""
    while len(back) < there:
        back += ours.receive(65_536) or b""
        bed.run(0.001)
    assert back == (sent * 4)[:there]


def test_both_sides_open_at_once(bed: TapBed) -> None:
    real = bed.socket()
    real.bind((REAL, PORT))
    real.connect_ex((EMULATED, CLOSED_PORT))  # the SYN lies in the TAP until the bed runs
    ours = bed.ns.sockets.connect((REAL, PORT), source=(EMULATED, CLOSED_PORT))
    bed.run_until(lambda: not ours.connecting and state(real) is State.ESTABLISHED)
    assert ours.error is None
    ours.send(b"to Linux")
    real.send(b"from Linux")
    bed.run_until(lambda: ours.readable)
    assert ours.receive(20) == b"from Linux"
    bed.run(0.02)
    assert real.recv(20) == b"to Linux"


def test_both_sides_close_at_once(bed: TapBed) -> None:
    ours, real = pair(bed, emulator_connects=True)
    ours.shutdown()
    real.shutdown(socket.SHUT_WR)  # the FIN lies in the TAP until the bed runs
    bed.run_until(lambda: state(real) is State.CLOSED)
    bed.run(0.02)
    assert ours.state is State.CLOSED
    assert [row.state for row in bed.ns.sockets.listing()] == ["TIME-WAIT"]
    assert "TIME-WAIT" in bed.execute("ss", "-Htan")


def test_a_waiting_address_takes_a_new_connection(bed: TapBed) -> None:
    """A SYN with a later sequence number ends TIME_WAIT (RFC 9293 section 3.10.7.4; tcp_timewait_state_process)."""
    listener = bed.ns.sockets.listen((EMULATED, PORT))
    for _ in range(2):
        real = bed.socket()
        real.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        real.bind((REAL, CLOSED_PORT))
        real.connect_ex((EMULATED, PORT))
        bed.run_until(lambda: listener.readable, 3)
        ours = listener.accept()
        assert ours is not None
        ours.close()  # first, so that TIME_WAIT is ours
        bed.run_until(lambda real=real: state(real) is State.CLOSE_WAIT)
        real.close()
        bed.run(0.02)
        assert sorted(row.state for row in bed.ns.sockets.listing()) == ["LISTEN", "TIME-WAIT"]


def test_a_full_backlog_leaves_clients_waiting(bed: TapBed) -> None:
    """One more than the backlog is established; the others' SYNs are dropped, until one is accepted."""
    listener = bed.ns.sockets.listen((EMULATED, PORT), backlog=1)
    clients = [bed.socket() for _ in range(4)]
    for client in clients:
        client.connect_ex((EMULATED, PORT))
        bed.run(0.02)
    assert [state(client) for client in clients] == [State.ESTABLISHED] * 2 + [State.SYN_SENT] * 2
    assert len([row for row in bed.ns.sockets.listing() if row.state == "ESTAB"]) == 2

    listening = bed.socket()
    listening.bind((REAL, PORT))
    listening.listen(1)
    ours = []
    for _ in range(4):
        ours.append(bed.ns.sockets.connect((REAL, PORT)))
        bed.run(0.02)
    assert [one.state for one in ours] == [State.ESTABLISHED] * 2 + [State.SYN_SENT] * 2
    bed.adopt(listening.accept()[0])
    listener.accept()
    bed.run_until(lambda: ours[2].state is State.ESTABLISHED and state(clients[2]) is State.ESTABLISHED, 3)


def test_a_silent_peer_is_given_up(bed: TapBed) -> None:
    """Both sides give up after as long, and tell the same error: of data, of SYNs, of keepalive probes."""
    for name, value in (("tcp_retries2", 2), ("tcp_syn_retries", 1), ("tcp_syn_linear_timeouts", 0)):
        bed.set_sysctl(f"net.ipv4.{name}", value)
    for name in ("tcp_keepalive_time", "tcp_keepalive_intvl", "tcp_keepalive_probes"):
        bed.set_sysctl(f"net.ipv4.{name}", 1)
    ours, real = pair(bed, emulator_connects=True)
    asking, asked = pair(bed, emulator_connects=True, port=PORT + 2)
    asking.set_keepalive(True)
    asked.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    bed.run(1.5)
    assert asking.state is State.ESTABLISHED  # each side has answered the other's probe
    bed.to_real.cut = bed.to_emulated.cut = True
    ours.send(b"into the void")
    real.send(b"into the void")
    opening, opened = bed.ns.sockets.connect((REAL, PORT)), bed.socket()
    opened.connect_ex((EMULATED, PORT))
    cut = bed.now
    ended: dict[str, float] = {}

    def watch() -> None:
        for name, one in (("data", ours), ("probe", asking), ("syn", opening)):
            if one.state is State.CLOSED:
                ended.setdefault(f"{name} emulated", bed.now - cut)
        for name, there in (("data", real), ("probe", asked), ("syn", opened)):
            if state(there) is State.CLOSED:
                ended.setdefault(f"{name} real", bed.now - cut)

    bed.programs.append(watch)
    bed.run_until(lambda: len(ended) == 6, 8)
    for one in (ours, asking, opening):
        assert isinstance(one.error, TimeoutError)
    for there in (real, asked, opened):
        assert there.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ETIMEDOUT
    for name in ("probe", "syn"):
        assert ended[f"{name} emulated"] == pytest.approx(ended[f"{name} real"], abs=0.6), ended
    for side in ("emulated", "real"):  # at the third or fourth time-out, as the round-trip time is measured
        assert 1.3 < ended[f"data {side}"] < 4.5, ended
