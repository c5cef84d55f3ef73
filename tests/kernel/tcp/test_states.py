"""Every state of RFC 9293, with a peer that is played by hand."""

from __future__ import annotations

import errno

import pytest

from emulator.kernel.drop import DropReason
from emulator.kernel.tcp.state import State
from emulator.packet.tcp_options import TcpOptions
from tests.kernel.socket_world import CLIENT

from .playbook import OWN_PORT, PEER_PORT, Playbook


def states(book: Playbook) -> list[str]:
    return [row.state for row in book.netns.sockets.listing() if row.state != "LISTEN"]


def test_a_syn_to_a_closed_port_is_answered_with_a_reset() -> None:
    book = Playbook()
    book.give("S", 0)
    book.expect("R.", seq=0, ack=1)
    assert book.netns.drops[DropReason.NO_SOCKET] == 1


def test_an_ack_to_a_closed_port_is_answered_with_a_reset_of_its_number() -> None:
    book = Playbook()
    book.own_isn = 1000
    book.give(".", 5, 77)
    (reset,) = book.sent()
    assert (reset.flags, reset.seq, reset.ack) == ("R", 77, 0)


def test_a_reset_is_never_answered() -> None:
    book = Playbook()
    book.give("R", 5)
    book.give("R.", 5, 5)
    book.expect_nothing()


def test_passive_open_and_data_both_ways() -> None:
    book = Playbook()
    socket = book.accepted()
    assert socket.state is State.ESTABLISHED
    assert socket.remote_address == (CLIENT, PEER_PORT)
    book.give("P.", 1, 1, b"hello")
    book.expect(".", seq=1, ack=6)
    assert socket.receive(100) == b"hello"
    assert socket.receive(100) is None
    assert socket.send(b"world") == 5
    book.expect("P.", seq=1, ack=6, payload=b"world")
    assert socket.unacknowledged == 5
    book.give(".", 6, 6)
    assert socket.unacknowledged == 0


def test_active_open_offers_what_linux_offers() -> None:
    book = Playbook(timestamps=True, sack=True)
    socket = book.netns.sockets.connect((CLIENT, PEER_PORT))
    assert socket.state is State.SYN_SENT
    assert socket.connecting
    syn = book.expect("S", seq=0)
    assert syn.window == 64_240
    assert (syn.options.mss, syn.options.window_scale, syn.options.sack_permitted) == (1460, 7, True)
    assert syn.options.timestamps is not None
    book.give("S.", 0, 1, options=TcpOptions(mss=1460, window_scale=3, sack_permitted=True, timestamps=(9, 0)))
    ack = book.expect(".", seq=1, ack=1)
    assert ack.options.timestamps is not None
    assert ack.options.timestamps[1] == 9
    assert socket.state is State.ESTABLISHED
    assert socket.mss == 1448


def test_what_the_peer_does_not_offer_is_not_used() -> None:
    book = Playbook(timestamps=True, sack=True)
    socket = book.netns.sockets.connect((CLIENT, PEER_PORT))
    book.sent()
    book.give("S.", 0, 1)
    ack = book.expect(".", seq=1, ack=1)
    assert ack.options == TcpOptions()
    assert ack.window == 65_535
    assert socket.mss == 536


def test_refusal() -> None:
    book = Playbook()
    socket = book.netns.sockets.connect((CLIENT, PEER_PORT))
    book.expect("S", seq=0)
    book.give("R.", 0, 1)
    assert socket.state is State.CLOSED
    assert isinstance(socket.error, ConnectionRefusedError)
    with pytest.raises(ConnectionRefusedError):
        socket.send(b"x")
    with pytest.raises(BrokenPipeError):
        socket.send(b"x")
    assert states(book) == []


def test_a_reset_without_ack_does_not_refuse() -> None:
    book = Playbook()
    socket = book.netns.sockets.connect((CLIENT, PEER_PORT))
    book.sent()
    book.give("R", 0)
    assert socket.state is State.SYN_SENT


def test_a_wrong_ack_in_syn_sent_is_answered_with_a_reset() -> None:
    book = Playbook()
    socket = book.netns.sockets.connect((CLIENT, PEER_PORT))
    book.sent()
    book.give("S.", 0, 2)
    (reset,) = book.sent()
    assert (reset.flags, reset.seq) == ("R", 2)
    assert socket.state is State.SYN_SENT


def test_simultaneous_open() -> None:
    book = Playbook()
    socket = book.netns.sockets.connect((CLIENT, PEER_PORT))
    book.expect("S", seq=0)
    book.give("S", 0, options=TcpOptions(mss=1000))
    assert socket.state is State.SYN_RECEIVED
    book.expect("S.", seq=0, ack=1)
    book.give("S.", 0, 1, options=TcpOptions(mss=1000))
    assert socket.state is State.ESTABLISHED
    assert socket.send(b"x") == 1
    assert book.sent()[-1].payload == b"x"


def test_syn_is_repeated_and_given_up() -> None:
    book = Playbook()
    socket = book.netns.sockets.connect((CLIENT, PEER_PORT))
    times = []
    while socket.state is State.SYN_SENT:
        if book.sent():
            times.append(round(book.kernel.now))
        book.run(0.5)
    assert times == [0, 1, 2, 3, 4, 5, 7, 11, 19, 35, 67]  # tcp_syn_linear_timeouts 4, tcp_syn_retries 6
    assert round(book.kernel.now) in (131, 132)
    assert isinstance(socket.error, TimeoutError)
    assert socket.error.errno == errno.ETIMEDOUT


def test_syn_ack_is_repeated_and_given_up() -> None:
    book = Playbook()
    book.netns.sockets.listen(("0.0.0.0", OWN_PORT))
    book.give("S", 0)
    times = []
    while states(book) == ["SYN-RECV"]:
        if book.sent():
            times.append(round(book.kernel.now))
        book.run(0.5)
    assert times == [0, 1, 3, 7, 15, 31]
    assert states(book) == []


def test_a_repeated_syn_gets_the_same_answer() -> None:
    book = Playbook()
    book.netns.sockets.listen(("0.0.0.0", OWN_PORT))
    book.give("S", 0)
    book.expect("S.", seq=0, ack=1)
    book.give("S", 0)
    book.expect("S.", seq=0, ack=1)
    assert states(book) == ["SYN-RECV"]


def test_active_close_to_time_wait() -> None:
    book = Playbook()
    socket = book.accepted()
    socket.close()
    assert socket.state is State.FIN_WAIT_1
    book.expect("F.", seq=1, ack=1)
    book.give(".", 1, 2)
    assert socket.state is State.FIN_WAIT_2
    book.give("F.", 1, 2)
    book.expect(".", seq=2, ack=2)
    assert states(book) == ["TIME-WAIT"]
    book.give("F.", 1, 2)
    book.expect(".", seq=2, ack=2)
    book.run(59)
    assert states(book) == ["TIME-WAIT"]
    book.run(2)
    assert states(book) == []


def test_passive_close() -> None:
    book = Playbook()
    socket = book.accepted()
    book.give("F.", 1, 1)
    book.expect(".", seq=1, ack=2)
    assert socket.state is State.CLOSE_WAIT
    assert socket.receive(10) == b""
    assert socket.send(b"late") == 4
    book.expect("P.", seq=1, ack=2, payload=b"late")
    book.give(".", 2, 5)
    socket.close()
    book.expect("F.", seq=5, ack=2)
    assert socket.state is State.LAST_ACK
    book.give(".", 2, 6)
    assert states(book) == []


def test_simultaneous_close() -> None:
    book = Playbook()
    socket = book.accepted()
    socket.shutdown()
    book.expect("F.", seq=1, ack=1)
    book.give("F.", 1, 1)
    assert socket.state is State.CLOSING
    book.expect(".", seq=2, ack=2)
    book.give(".", 2, 2)
    assert states(book) == ["TIME-WAIT"]
    assert socket.receive(1) == b""


def test_fin_with_data_and_its_acknowledgement_at_once() -> None:
    book = Playbook()
    socket = book.accepted()
    socket.shutdown()
    book.sent()
    book.give("FP.", 1, 2, b"end")
    assert states(book) == ["TIME-WAIT"]
    book.expect(".", seq=2, ack=5)
    assert socket.receive(10) == b"end"
    assert socket.receive(10) == b""


def test_half_close_still_receives() -> None:
    book = Playbook()
    socket = book.accepted()
    socket.send(b"request")
    socket.shutdown()
    book.sent()
    book.give(".", 1, 9)
    assert socket.state is State.FIN_WAIT_2
    book.give("P.", 1, 9, b"answer")
    assert socket.receive(10) == b"answer"
    with pytest.raises(BrokenPipeError):
        socket.send(b"more")
    book.run(3600)
    assert socket.state is State.FIN_WAIT_2  # the program still holds it


def test_a_closed_socket_leaves_fin_wait_2_after_a_minute() -> None:
    book = Playbook()
    socket = book.accepted()
    socket.close()
    book.give(".", 1, 2)
    assert socket.state is State.FIN_WAIT_2
    book.run(61)
    assert states(book) == []


def test_close_with_unread_data_resets() -> None:
    book = Playbook()
    socket = book.accepted()
    book.give("P.", 1, 1, b"unread")
    book.sent()
    socket.close()
    book.expect("R.", seq=1, ack=7)
    assert states(book) == []


def test_data_for_a_closed_socket_is_answered_with_a_reset() -> None:
    book = Playbook()
    book.accepted().close()
    book.give(".", 1, 2)
    book.sent()
    book.give("P.", 1, 2, b"too late")
    assert [seen.flags for seen in book.sent()] == ["R."]
    assert states(book) == []


def test_abort_resets() -> None:
    book = Playbook()
    socket = book.accepted()
    socket.abort()
    book.expect("R.", seq=1, ack=1)
    with pytest.raises(OSError, match="Bad file descriptor"):
        socket.receive(1)


def test_a_reset_ends_the_connection_behind_the_data() -> None:
    book = Playbook()
    socket = book.accepted()
    book.give("P.", 1, 1, b"last words")
    book.give("R.", 11, 1)
    assert socket.state is State.CLOSED
    assert socket.receive(100) == b"last words"
    with pytest.raises(ConnectionResetError):
        socket.receive(100)
    assert socket.receive(100) == b""


def test_a_reset_beside_the_point_is_challenged() -> None:
    book = Playbook()
    socket = book.accepted()
    book.give("R", 100)
    book.expect(".", seq=1, ack=1)
    assert socket.state is State.ESTABLISHED
    book.give("R", 100_000)
    book.expect_nothing()
    book.give("R", 1)
    assert socket.state is State.CLOSED


def test_a_syn_in_a_connection_is_challenged() -> None:
    book = Playbook()
    socket = book.accepted()
    book.give("S", 1)
    book.expect(".", seq=1, ack=1)
    assert socket.state is State.ESTABLISHED
    assert book.netns.drops[DropReason.TCP_INVALID_SYN] == 1


def test_an_ack_of_what_was_never_sent_is_challenged() -> None:
    book = Playbook()
    socket = book.accepted()
    book.give(".", 1, 500)
    book.expect(".", seq=1, ack=1)
    assert socket.state is State.ESTABLISHED
    assert book.netns.drops[DropReason.TCP_ACK_UNSENT_DATA] == 1


def test_a_new_syn_takes_the_place_of_time_wait() -> None:
    book = Playbook()
    book.accepted().close()
    book.sent()
    book.give("F.", 1, 2)
    book.sent()
    assert states(book) == ["TIME-WAIT"]
    book.give("S", 3)
    assert [seen.flags for seen in book.sent()] == ["S."]
    assert states(book) == ["SYN-RECV"]


def test_an_old_syn_does_not() -> None:
    book = Playbook()
    book.accepted().close()
    book.sent()
    book.give("F.", 1, 2)
    book.sent()
    book.give("S", 0)
    book.expect(".", seq=2, ack=2)
    assert states(book) == ["TIME-WAIT"]


def test_backlog_is_bounded() -> None:
    book = Playbook()
    listener = book.netns.sockets.listen(("0.0.0.0", OWN_PORT), 0)
    book.give("S", 0)
    book.sent()
    book.give(".", 1, 1)
    assert listener.readable
    syn = book.netns.drops[DropReason.TCP_LISTEN_OVERFLOW]
    book.peer_port += 1
    book.give("S", 0)
    book.expect_nothing()
    assert book.netns.drops[DropReason.TCP_LISTEN_OVERFLOW] == syn + 1


def test_closing_a_listener_resets_who_waits() -> None:
    book = Playbook()
    listener = book.netns.sockets.listen(("0.0.0.0", OWN_PORT))
    book.give("S", 0)
    book.sent()
    book.give(".", 1, 1)
    listener.close()
    assert [seen.flags for seen in book.sent()] == ["R."]
    assert states(book) == []
    with pytest.raises(OSError, match="Bad file descriptor"):
        listener.accept()
    book.netns.sockets.listen(("0.0.0.0", OWN_PORT))


def test_a_listener_starts_again_beside_its_time_wait() -> None:
    book = Playbook()
    book.accepted().close()
    book.give("F.", 1, 2)
    for socket in list(book.netns.sockets):
        if socket.info().state == "LISTEN":
            socket.detach()
    assert states(book) == ["TIME-WAIT"]
    with pytest.raises(OSError, match="Address already in use"):
        book.netns.sockets.listen(("0.0.0.0", OWN_PORT), reuse_address=False)
    book.netns.sockets.listen(("0.0.0.0", OWN_PORT))
