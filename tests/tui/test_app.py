from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.events import Key, Paste
from textual.pilot import Pilot
from textual.widgets import Input, Static

from tests.tui.processes import Processes
from tests.tui.records import drop, flow
from tui.app import PodwireApp, TerminalError, check_terminal, run
from tui.screens.detail import Detail
from tui.screens.page import Page
from tui.widgets.status_bar import Notice, StatusBar

CLIENT, VIP, ENDPOINT = ("10.244.0.2", 43122), ("10.96.0.20", 80), ("10.244.1.3", 8080)
SEEN_BY_A = flow("node-a", "root/1", CLIENT, VIP, to=ENDPOINT)
SEEN_BY_B = flow("node-b", "root/9", CLIENT, ENDPOINT)
REFUSED = drop("node-b", "root/x", ("10.244.0.2", 5), ("10.244.1.3", 9), "NETFILTER_REJECT", protocol="udp")

Scenario = Callable[[Pilot[None], PodwireApp], Awaitable[None]]


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    with Processes(tmp_path_factory.mktemp("s")) as processes:
        processes.add_pod("client", "node-a", "10.244.0.2")
        processes.add_pod("web-1", "node-b", "10.244.1.3", labels={"app": "web"})
        processes.add_service("web", "10.96.0.20", {"app": "web"})
        yield processes


def play(cluster: Processes, scenario: Scenario, size: tuple[int, int] = (80, 24)) -> None:
    """Run the app against the cluster, and the scenario against the app."""

    async def main() -> None:
        app = PodwireApp(cluster.directory)
        async with app.run_test(size=size, notifications=True) as pilot:
            await scenario(pilot, app)

    asyncio.run(main())


async def until(pilot: Pilot[None], condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait for what the app shows to become so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s; {screen_text(pilot)}"
        await pilot.pause(0.02)


def page(pilot: Pilot[None]) -> Page:
    screen = pilot.app.screen
    assert isinstance(screen, Page), screen
    return screen


def cells(pilot: Pilot[None]) -> list[dict[str, str]]:
    table = page(pilot).table
    return [table.cells(row) for row in table.rows]


def screen_text(pilot: Pilot[None]) -> str:
    """What the terminal shows, as lines."""
    screen = pilot.app.screen
    strips = screen._compositor.render_strips(screen.size)
    return "\n".join("".join(segment.text for segment in strip) for strip in strips)


def show_flows(cluster: Processes) -> None:
    cluster.tell("node-a", SEEN_BY_A)
    cluster.tell("node-b", SEEN_BY_B, REFUSED)


def test_a_flow_through_nat_and_two_nodes_is_one_row_with_names(cluster: Processes) -> None:
    async def scenario(pilot: Pilot[None], app: PodwireApp) -> None:
        show_flows(cluster)
        await until(pilot, lambda: "default/client:43122" in str(cells(pilot)) and len(cells(pilot)) == 2)
        row = next(row for row in cells(pilot) if row["protocol"] == "tcp")
        assert row["verdict"] == "FORWARDED"
        assert row["source"] == "default/client:43122"
        assert row["destination"] == "default/svc/web:80"
        assert row["endpoint"] == "default/web-1:8080"
        assert row["nat"] == "10.244.0.2:43122 → 10.96.0.20:80 ⇒ 10.244.1.3:8080"
        assert (row["state"], row["packets"], row["node"]) == ("ESTABLISHED", "5", "node-a,node-b")
        other = next(row for row in cells(pilot) if row["protocol"] == "udp")
        assert (other["verdict"], other["endpoint"]) == ("REJECTED", "✗ NETFILTER_REJECT")
        assert (other["state"][:14], row["rate"]) == ("NETFILTER_REJE", "10")
        cluster.tell("node-a", flow("node-a", "root/1", CLIENT, VIP, to=ENDPOINT, packets=10, state="TIME_WAIT"))
        await until(pilot, lambda: "TIME_WAIT" in str(cells(pilot)))
        cluster.tell("node-a", ended=["root/1"])
        cluster.tell("node-b", ended=["root/9", "root/x"])
        await until(pilot, lambda: not cells(pilot))
        assert "No flows" in screen_text(pilot)

    play(cluster, scenario, (200, 50))


def test_everything_that_matters_fits_80_columns(cluster: Processes) -> None:
    async def scenario(pilot: Pilot[None], app: PodwireApp) -> None:
        show_flows(cluster)
        await until(pilot, lambda: "client:43122" in screen_text(pilot))
        lines = screen_text(pilot).splitlines()
        assert (len(lines), len(lines[0])) == (24, 80)
        assert lines[1].split() == ["VERDICT", "PROT", "SOURCE", "DESTINATION", "⇒", "AFTER", "NAT", "PKTS", "AGE▲"]
        assert lines[0].startswith("[1 Flows] 2 Nodes  3 Pods  4 Services  5 Events")
        assert lines[0].rstrip().endswith("2 flows")
        for hint in ("Filter", "Sort", "Pause", "Trace", "Help", "Quit", "Details"):
            assert hint in lines[-1]
        for number, word in (("2", "FRM/S"), ("3", "STATUS"), ("4", "ENDPOINTS"), ("5", "REASON")):
            await pilot.press(number)
            await until(pilot, lambda word=word: word in screen_text(pilot))

    play(cluster, scenario)


def test_filter_sort_and_pause(cluster: Processes) -> None:
    async def scenario(pilot: Pilot[None], app: PodwireApp) -> None:
        show_flows(cluster)
        await until(pilot, lambda: len(cells(pilot)) == 2)
        await pilot.press("slash", *"verdict:rej")
        await until(pilot, lambda: len(cells(pilot)) == 1)
        assert cells(pilot)[0]["protocol"] == "udp"
        assert screen_text(pilot).splitlines()[-2].strip() == "verdict:rej"
        await pilot.press("enter")
        assert "filter: verdict:rej" in screen_text(pilot)
        await pilot.press("escape")
        await until(pilot, lambda: len(cells(pilot)) == 2)
        await pilot.press("s")
        assert page(pilot).order == "verdict"
        assert [row["verdict"] for row in cells(pilot)] == ["FORWARDED", "REJECTED"]
        assert "VERDICT▲" in screen_text(pilot)
        await pilot.press("r")
        assert [row["verdict"] for row in cells(pilot)] == ["REJECTED", "FORWARDED"]
        await pilot.click("Table", offset=(12, 0))
        await until(pilot, lambda: page(pilot).order == "protocol")
        await pilot.press("p")
        assert "PAUSED" in screen_text(pilot)
        version = app.model.version
        cluster.tell("node-a", ended=["root/1"])
        await until(pilot, lambda: app.model.version > version)
        app.draw()
        assert len(cells(pilot)) == 2
        await pilot.press("p")
        await until(pilot, lambda: cells(pilot)[0]["endpoint"] == "")

    play(cluster, scenario)


def test_a_filter_typed_or_pasted_at_once_is_a_filter(cluster: Processes) -> None:
    async def scenario(pilot: Pilot[None], app: PodwireApp) -> None:
        show_flows(cluster)
        await until(pilot, lambda: len(cells(pilot)) == 2)
        line = page(pilot).query_one(Input)
        for key in "/verdict:rej/":
            app.post_message(Key({"/": "slash", ":": "colon"}.get(key, key), key))
        app.post_message(Key("enter", "\r"))
        await until(pilot, lambda: page(pilot).focused is page(pilot).table and line.value)
        assert line.value == "verdict:rej/"
        assert (page(pilot).order, page(pilot).descending, page(pilot).paused) == ("age", False, False)
        await pilot.press("escape")
        app.post_message(Paste("/verdict:rej\n"))
        await until(pilot, lambda: [row["verdict"] for row in cells(pilot)] == ["REJECTED"])
        assert line.value == "verdict:rej"
        await until(pilot, lambda: page(pilot).focused is page(pilot).table)

    play(cluster, scenario)


def test_details_have_the_entry_of_each_node(cluster: Processes) -> None:
    line = "tcp 6 86399 ESTABLISHED src=10.244.0.2 dst=10.96.0.20 sport=43122 dport=80 src=10.244.1.3 use=1"
    cluster.nodes["node-a"].conntrack = f"{line}\ntcp 6 9 SYN_SENT src=10.244.0.2 dst=10.96.0.20 sport=1 dport=80 x\n"

    async def scenario(pilot: Pilot[None], app: PodwireApp) -> None:
        cluster.tell("node-a", SEEN_BY_A)
        cluster.tell("node-b", SEEN_BY_B)
        await until(pilot, lambda: "node-a,node-b" in str(app.model.flows.rows()) or len(cells(pilot)) == 1)
        await until(pilot, lambda: app.model.flows.rows()[0].nodes == ("node-a", "node-b"))
        await pilot.press("enter")
        await until(pilot, lambda: "86399" in screen_text(pilot) and "as last told" in screen_text(pilot))
        text = screen_text(pilot)
        assert "tcp default/client:43122 → default/svc/web:80 ⇒ default/web-1:8080" in text
        assert text.index("node-a # conntrack -L") < text.index("node-b # conntrack -L")
        assert "SYN_SENT" not in text
        assert "no entry now, as last told:" in text
        assert "tcp      6 ESTABLISHED src=10.244.0.2 dst=10.244.1.3 sport=43122 dport=8080" in text
        assert cluster.nodes["node-a"].commands[0][:4] == ("conntrack", "-L", "-p", "tcp")
        cluster.tell("node-a", ended=["root/1"])
        cluster.tell("node-b", ended=["root/9"])
        await until(pilot, lambda: "(ended)" in screen_text(pilot))
        await pilot.press("escape")
        assert not isinstance(app.screen, Detail)

    play(cluster, scenario, (160, 40))


def test_nodes_pods_and_services_follow_the_cluster(cluster: Processes) -> None:
    async def scenario(pilot: Pilot[None], app: PodwireApp) -> None:
        await pilot.press("2")
        await until(pilot, lambda: len(cells(pilot)) == 2 and cells(pilot)[0].get("lost") == "3")
        node = cells(pilot)[0]
        assert (node["name"], node["address"], node["pod_cidr"]) == ("node-a", "172.18.0.2", "10.244.0.0/24")
        assert (node["pods"], node["dropped"], node["restarts"]) == ("1", "2", "0")
        await pilot.press("enter")
        await until(pilot, lambda: "dropped: NO_SOCKET" in screen_text(pilot))
        await pilot.press("escape", "tab")
        await until(pilot, lambda: {"client", "web-1"} <= {row["name"] for row in cells(pilot)})
        web = next(row for row in cells(pilot) if row["name"] == "web-1")
        assert (web["ready"], web["status"], web["ip"], web["node"]) == ("1/1", "Running", "10.244.1.3", "node-b")
        cluster.add_pod("late", "node-a", "10.244.0.9", labels={"app": "web"})
        await until(pilot, lambda: "late" in {row["name"] for row in cells(pilot)})
        await pilot.press("4")
        await until(pilot, lambda: "0/2 (10.244.0.9:8080 not ready) (10.244." in str(cells(pilot)))
        service = next(row for row in cells(pilot) if row["name"] == "web")
        assert (service["cluster_ip"], service["ports"], service["type"]) == ("10.96.0.20", "80/TCP", "ClusterIP")
        await pilot.press("home", "enter")
        await until(
            pilot, lambda: isinstance(app.screen, Detail) and "not ready   default/late on node-a" in screen_text(pilot)
        )

    play(cluster, scenario, (160, 30))


def test_a_filter_of_pods_and_the_way_to_the_flows_of_one(cluster: Processes) -> None:
    async def scenario(pilot: Pilot[None], app: PodwireApp) -> None:
        show_flows(cluster)
        await pilot.press("3")
        await until(pilot, lambda: {"client", "web-1"} <= {row["name"] for row in cells(pilot)})
        await pilot.press("slash", *"node:node-b !kube", "enter")
        await until(pilot, lambda: [row["name"] for row in cells(pilot)] == ["web-1"])
        await pilot.press("f")
        await until(pilot, lambda: page(pilot).TITLE_OF_PAGE == "Flows" and len(cells(pilot)) == 2)
        assert page(pilot).query_one(Input).value == "pod:default/web-1"
        await pilot.press("escape", "2")
        await until(pilot, lambda: len(cells(pilot)) == 2 and page(pilot).TITLE_OF_PAGE == "Nodes")
        await pilot.press("f")
        await until(pilot, lambda: page(pilot).query_one(Input).value == "node:node-a")
        await pilot.click("StatusBar", offset=(25, 0))
        await until(pilot, lambda: page(pilot).TITLE_OF_PAGE == "Pods")

    play(cluster, scenario, (120, 30))


def test_the_trace_of_a_flow_is_sent_from_its_pod_and_told_by_all(cluster: Processes) -> None:
    async def scenario(pilot: Pilot[None], app: PodwireApp) -> None:
        cluster.tell("node-a", SEEN_BY_A)
        await until(pilot, lambda: "default/client" in str(cells(pilot)))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Detail))
        await pilot.press("t")
        await until(pilot, lambda: "verdict: answered (0.3 ms)" in screen_text(pilot))
        text = screen_text(pilot)
        assert "trace: default/client → default/svc/web:80 (10.96.0.20:80), tcp" in text
        assert all(name in text for name in ("node-a", "node-b", "cloud"))
        (params,) = cluster.nodes["node-a"].traces
        assert (params.pod, params.namespace, params.destination, params.port) == ("client", "default", VIP[0], 80)
        await pilot.press("y")
        assert "verdict: answered" in app.clipboard
        await pilot.press("escape", "y")
        assert app.clipboard.startswith("tcp default/client:43122 -> default/svc/web:80 => default/web-1:8080")
        cluster.tell("node-a", flow("node-a", "root/2", ("192.0.2.1", 1), VIP, to=ENDPOINT), ended=["root/1"])
        await until(pilot, lambda: "192.0.2.1" in str(cells(pilot)))
        await pilot.press("t")
        await until(pilot, lambda: "neither a pod nor a node" in screen_text(pilot))
        cluster.kill("node-a")

    play(cluster, scenario, (160, 40))


def test_a_trace_that_cannot_be_sent_says_why(cluster: Processes) -> None:
    async def scenario(pilot: Pilot[None], app: PodwireApp) -> None:
        cluster.tell("node-a", SEEN_BY_A)
        await until(pilot, lambda: "default/client" in str(cells(pilot)))
        cluster.kill("node-a")
        await pilot.press("t")
        await until(pilot, lambda: "not sent: " in screen_text(pilot))

    play(cluster, scenario, (160, 40))


def test_logs_of_a_pod_are_followed(cluster: Processes) -> None:
    async def scenario(pilot: Pilot[None], app: PodwireApp) -> None:
        await pilot.press("3")
        await until(pilot, lambda: cells(pilot) and cells(pilot)[0]["name"] == "client")
        await pilot.press("l")
        await until(pilot, lambda: "03:04:05.678 hello from client" in screen_text(pilot))
        cluster.kill("node-a")
        await until(pilot, lambda: "no more: the other side ended" in screen_text(pilot))
        await pilot.press("escape")
        assert isinstance(app.screen, Page)

    play(cluster, scenario)


def test_columns_are_chosen(cluster: Processes) -> None:
    async def scenario(pilot: Pilot[None], app: PodwireApp) -> None:
        show_flows(cluster)
        await until(pilot, lambda: len(cells(pilot)) == 2)
        await pilot.press("c", "down", "space", "down", "space", "escape")
        await until(pilot, lambda: isinstance(app.screen, Page))
        assert not {"PROT", "SOURCE"} & set(page(pilot).table.titles)
        assert "STATE, REASON" in page(pilot).table.titles  # there is room now
        await pilot.press("c", *["space", "down"] * 13, "escape")
        await until(pilot, lambda: isinstance(app.screen, Page))
        assert page(pilot).table.titles[:2] == ["PROT", "SOURCE"]

    play(cluster, scenario)


def test_events_come_as_they_happen(cluster: Processes) -> None:
    async def scenario(pilot: Pilot[None], app: PodwireApp) -> None:
        await pilot.press("5")
        cluster.add_event("client.1", "client", "BackOff", "Back-off restarting failed container")
        await until(pilot, lambda: "BackOff" in str(cells(pilot)))
        assert cells(pilot)[0]["object"] == "pod/client"
        await pilot.press("enter")
        await until(pilot, lambda: "event BackOff of pod/client" in screen_text(pilot))

    play(cluster, scenario, (160, 30))


def test_rates_of_nodes_are_drawn(cluster: Processes) -> None:
    cluster.nodes["node-a"].frames_per_second = 250

    async def scenario(pilot: Pilot[None], app: PodwireApp) -> None:
        await pilot.press("2")
        await until(pilot, lambda: len(cells(pilot)) == 2 and cells(pilot)[0]["frames"] == "250")
        assert (cells(pilot)[0]["spark"][-1], cells(pilot)[1]["spark"][-1]) == ("█", "▁")

    play(cluster, scenario, (160, 30))


def test_death_and_return_of_a_node_and_of_the_controller(cluster: Processes) -> None:
    async def scenario(pilot: Pilot[None], app: PodwireApp) -> None:
        show_flows(cluster)
        await until(pilot, lambda: len(cells(pilot)) == 2)
        cluster.kill("node-b")
        await until(pilot, lambda: "stale" in str(cells(pilot)))
        await until(pilot, lambda: "node-b away" in page(pilot).query_one(Notice).text)
        await until(pilot, lambda: "node-b away for" in screen_text(pilot))
        await pilot.press("2")
        await until(pilot, lambda: cells(pilot)[1]["state"] == "AWAY")
        cluster.tell("node-a", flow("node-a", "root/2", ("10.244.0.2", 1), VIP, to=("10.244.0.9", 8080)))
        cluster.start("node-b")
        cluster.tell("node-b", SEEN_BY_B)
        await until(pilot, lambda: cells(pilot)[1]["state"] == "NotReady" and cells(pilot)[1]["restarts"] == "1")
        await pilot.press("1")
        await until(pilot, lambda: len(cells(pilot)) == 2 and "stale" not in str(cells(pilot)))
        assert "REJECTED" not in str(cells(pilot))
        await until(pilot, lambda: not page(pilot).query_one(Notice).text)
        cluster.kill("controller")
        await until(pilot, lambda: "controller away" in page(pilot).query_one(Notice).text)
        assert "default/client:43122" in str(cells(pilot))
        cluster.start("controller")
        cluster.add_pod("late", "node-a", "10.244.0.9")
        await until(pilot, lambda: "default/late:8080" in str(cells(pilot)))
        await until(pilot, lambda: not page(pilot).query_one(Notice).text)

    play(cluster, scenario, (200, 30))


def test_a_node_that_hangs_is_away_until_it_answers(cluster: Processes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.client.CALL_TIMEOUT", 0.2)

    async def scenario(pilot: Pilot[None], app: PodwireApp) -> None:
        show_flows(cluster)
        await until(pilot, lambda: len(cells(pilot)) == 2)
        cluster.nodes["node-b"].hangs = True
        await until(
            pilot, lambda: [row["node"] for row in cells(pilot) if "stale" in row["node"]] == ["node-b (stale)"]
        )
        cluster.nodes["node-b"].hangs = False
        await until(pilot, lambda: "stale" not in str(cells(pilot)))

    play(cluster, scenario, (200, 30))


def test_markup_and_control_characters_in_names_are_shown_as_they_are(cluster: Processes) -> None:
    async def scenario(pilot: Pilot[None], app: PodwireApp) -> None:
        bad = "[red]\x1b[31mEVIL[/]\n"
        cluster.tell("node-a", flow("node-a", "root/1", CLIENT, VIP, state=bad, protocol="[b]"))
        await until(pilot, lambda: "[red]" in screen_text(pilot))
        assert "\x1b" not in screen_text(pilot)
        assert "[b]" in screen_text(pilot)
        assert page(pilot).table.cells(page(pilot).table.rows[0])["state"].startswith("[red]\\x1b[")
        await pilot.press("enter")
        await until(pilot, lambda: "[red]\\x1b[31mEVIL[/]\\n" in screen_text(pilot))

    play(cluster, scenario, (200, 40))


def test_tiny_terminal_and_resize_storm(cluster: Processes) -> None:
    async def scenario(pilot: Pilot[None], app: PodwireApp) -> None:
        show_flows(cluster)
        await until(pilot, lambda: len(cells(pilot)) == 2)
        for width, height in ((20, 3), (1, 1), (300, 90), (40, 8), (79, 5), (10, 50)) * 3:
            await pilot.resize_terminal(width, height)
        await until(pilot, lambda: page(pilot).query_one("#too-small", Static).display)
        assert not page(pilot).table.display
        await pilot.resize_terminal(30, 5)
        await until(pilot, lambda: "Too small: 40x8 is needed" in screen_text(pilot))
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: "client:43122" in screen_text(pilot))

    play(cluster, scenario)


def test_ten_thousand_flows_stay_quick(cluster: Processes) -> None:
    flows = [flow("node-a", f"root/{n}", ("10.244.0.2", n), VIP, to=ENDPOINT) for n in range(1, 10_001)]

    async def scenario(pilot: Pilot[None], app: PodwireApp) -> None:
        cluster.tell("node-a", *flows)
        await until(pilot, lambda: len(page(pilot).table.rows) == 10_000, 20)
        began = time.monotonic()
        await pilot.press("end")
        await until(pilot, lambda: page(pilot).table.cursor_row is page(pilot).table.rows[-1])
        assert time.monotonic() - began < 2.0
        assert page(pilot).table.scroll_offset.y > 9_900
        moved = page(pilot).table.cursor_row
        assert moved is not None
        cluster.tell("node-a", ended=[f"root/{n}" for n in range(1, 5_000)])
        await until(pilot, lambda: len(page(pilot).table.rows) == 5_001, 20)
        await pilot.press("home")
        assert page(pilot).table.scroll_offset.y == 0

    play(cluster, scenario)


def test_too_many_flows_are_said(cluster: Processes) -> None:
    async def main() -> None:
        from tui.model.cluster import ClusterModel

        app = PodwireApp(cluster.directory, ClusterModel(limit=10))
        async with app.run_test() as pilot:
            cluster.tell("node-a", *[flow("node-a", f"root/{n}", ("10.244.0.2", n), VIP) for n in range(1, 16)])
            await until(pilot, lambda: "5 more records" in screen_text(pilot))
            assert len(cells(pilot)) == 10

    asyncio.run(main())


def test_help_and_quit(cluster: Processes) -> None:
    async def scenario(pilot: Pilot[None], app: PodwireApp) -> None:
        await pilot.press("question_mark")
        await until(pilot, lambda: "hold the picture" in screen_text(pilot))
        await pilot.press("q")
        assert not isinstance(app.screen, Detail)
        await pilot.press("slash", "q")
        assert page(pilot).query_one(Input).value == "q"
        await pilot.press("enter", "q")
        await until(pilot, lambda: not app.is_running)

    play(cluster, scenario)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_end_it_in_order(cluster: Processes, number: signal.Signals) -> None:
    async def scenario(pilot: Pilot[None], app: PodwireApp) -> None:
        os.kill(os.getpid(), number)
        await until(pilot, lambda: app._exit)
        assert app.return_code == 128 + number

    play(cluster, scenario)


def test_ctrl_c_quits_from_wherever_one_is(cluster: Processes) -> None:
    async def scenario(pilot: Pilot[None], app: PodwireApp) -> None:
        await pilot.press("slash", "w", "ctrl+c")
        await until(pilot, lambda: app._exit)
        assert app.return_code == 0

    play(cluster, scenario)


def test_keys_pressed_quickly_while_flows_come_find_every_screen_drawable(cluster: Processes) -> None:
    async def scenario(pilot: Pilot[None], app: PodwireApp) -> None:
        show_flows(cluster)
        await until(pilot, lambda: len(cells(pilot)) == 2)
        push, drawn = app.push_screen, []

        def push_and_draw(screen: Detail, *rest: Any) -> object:
            pushed = push(screen, *rest)
            for shown in app._visible():  # what the timer does, at the worst moment: pushed, not composed
                shown.update_rows()
                drawn.append(shown)
            return pushed

        app.push_screen = push_and_draw  # type: ignore[method-assign,assignment]
        for packets in range(8):
            cluster.tell("node-a", flow("node-a", "root/1", CLIENT, VIP, to=ENDPOINT, packets=packets))
            for key in ("question_mark", "escape", "escape", "enter", "enter", "escape", "escape"):
                app.post_message(Key(key, None))
            app._next_draw, app._drawn_version = 0.0, -1
            app.draw()
            await pilot.pause()
        assert any(isinstance(screen, Detail) for screen in drawn)
        done = asyncio.Event()
        app.call_later(done.set)  # after all keys
        await until(pilot, done.is_set)
        await until(pilot, lambda: len(app.screen_stack) <= 2)
        if isinstance(app.screen, Detail):
            await pilot.press("escape")
        assert isinstance(app.screen, Page)
        assert len(cells(pilot)) == 2

    play(cluster, scenario)


def test_the_cluster_runs_on_when_the_tui_crashes(cluster: Processes) -> None:
    async def main() -> None:
        app = PodwireApp(cluster.directory)
        async with app.run_test() as pilot:
            await until(pilot, lambda: page(pilot).query_one(StatusBar).status.cluster == "lab")
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        asyncio.run(main())
    cluster.add_pod("late", "node-a", "10.244.0.9")
    play(cluster, lambda pilot, app: until(pilot, lambda: len(app.model.pod_rows()) >= 3))


def test_without_a_terminal_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TerminalError, match="needs a terminal"):
        run(tmp_path)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stderr.isatty", lambda: False, raising=False)
    with pytest.raises(TerminalError, match="standard error"):
        check_terminal()
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "dumb")
    with pytest.raises(TerminalError, match="TERM"):
        check_terminal()
