"""The application of `emulator tui`: pages over one model, which a feed keeps up to date from the control sockets."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from textual.app import App
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from emulator.errors import PodwireError
from tui.feed import Feed
from tui.model.cluster import ClusterModel
from tui.screens.detail import Detail
from tui.screens.events import EventsPage
from tui.screens.flows import FlowsPage
from tui.screens.help import HELP
from tui.screens.nodes import NodesPage
from tui.screens.page import Page
from tui.screens.pods import PodsPage
from tui.screens.services import ServicesPage
from tui.screens.window import Window
from tui.widgets.status_bar import StatusBar

TICK = 0.25
"""Seconds between two looks at the model: all that came meanwhile is drawn at once."""

IDLE_REFRESH = 1.0
"""Seconds after which ages are drawn anew though nothing came."""

BUSY_SHARE = 4
"""Drawing takes one part of this many at most: after a slow one the next waits in proportion."""

LAST_WORDS = 2.0
"""Seconds after a signal in which the terminal is brought in order, before the process ends in any case."""

MODE_PAGES: dict[str, Callable[[ClusterModel, Feed], Page[Any]]] = {
    "flows": FlowsPage,
    "nodes": NodesPage,
    "pods": PodsPage,
    "services": ServicesPage,
    "events": EventsPage,
}
MODES = tuple(MODE_PAGES)


class TerminalError(PodwireError):
    """No terminal on which the TUI could draw."""


class PodwireApp(App[None]):
    """The pages, the keys, and the timer that brings the model onto the screen."""

    TITLE = "Podwire"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    Screen { overflow: hidden; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(str(number), f"page('{mode}')", mode.capitalize(), show=False)
            for number, mode in enumerate(MODES, 1)
        ),
        Binding("tab", "next_page(1)", "Page", show=False, priority=True),
        Binding("shift+tab", "next_page(-1)", "Page back", show=False, priority=True),
        Binding("question_mark", "help", "Help", key_display="?"),
        Binding("q", "quit", "Quit"),
        Binding("ctrl+c", "quit", "Quit", show=False, priority=True),
    ]

    def __init__(self, directory: Path, model: ClusterModel | None = None, *, ends_process: bool = False) -> None:
        super().__init__()
        self._ends_process = ends_process
        self.model = model if model is not None else ClusterModel()
        self.feed = Feed(directory, self.model)
        self._drawn_version = -1
        self._drawn_at = 0.0
        self._next_draw = 0.0

    def on_mount(self) -> None:
        """Begin to listen and to draw."""
        for mode, page in MODE_PAGES.items():
            self.add_mode(mode, partial(page, self.model, self.feed))
        self.switch_mode(MODES[0])
        self.run_worker(self.feed.run(), name="feed")
        self._obey_signals()
        self.set_interval(TICK, self.draw)

    def _obey_signals(self) -> None:
        """Leave in order, so that the terminal is as it was, when the process is ended or its terminal goes."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGHUP):
                loop = asyncio.get_running_loop()
                loop.add_signal_handler(number, partial(self._leave, 128 + number))

    def _leave(self, status: int) -> None:
        """Leave in order; where the terminal is gone, Textual may wait for ever to tell it so, and is left behind."""
        self.exit(return_code=status)
        if self._ends_process:
            last = threading.Timer(LAST_WORDS, os._exit, (status,))
            last.daemon = True
            last.start()

    def draw(self) -> None:
        """Bring what changed onto the screen, and ages once a second."""
        began = time.monotonic()
        changed = self.model.version != self._drawn_version or self.model.flows.pending
        if began < self._next_draw or not (changed or began - self._drawn_at >= IDLE_REFRESH) or self._is_behind():
            return
        self._drawn_version = self.model.version
        for screen in self._visible():
            screen.update_rows()
        self._drawn_at = time.monotonic()
        self._next_draw = self._drawn_at + (BUSY_SHARE - 1) * (self._drawn_at - began)

    def _is_behind(self) -> bool:
        """Whether the terminal has not taken what was drawn before: a slow one gets fewer pictures, not old ones.

        Textual's driver has no word for it; its writer's queue (of 30 pictures) is what fills up.
        """
        queue = getattr(getattr(self._driver, "_writer_thread", None), "_queue", None)
        return queue is not None and not queue.empty()

    def _visible(self) -> list[Page[Any] | Window]:
        return [screen for screen in self.screen_stack[-2:] if isinstance(screen, Page | Window)]

    def action_page(self, mode: str) -> None:
        """Go to a page."""
        while isinstance(self.screen, ModalScreen):
            self.pop_screen()
        self.switch_mode(mode)

    def action_next_page(self, step: int) -> None:
        """Go to the next page."""
        self.action_page(MODES[(MODES.index(self.current_mode) + step) % len(MODES)])

    def action_help(self) -> None:
        """Show the keys."""
        if not isinstance(self.screen, ModalScreen):
            self.push_screen(Detail(lambda: ("Keys", HELP)))

    def on_page_flows_wanted(self, message: Page.FlowsWanted) -> None:
        """Show the flows page with a filter."""
        self.action_page("flows")
        if isinstance(self.screen, FlowsPage):
            self.screen.set_filter(message.text)

    def on_status_bar_page_wanted(self, message: StatusBar.PageWanted) -> None:
        """Go to the page that was clicked."""
        self.action_page(message.page.lower())


def run(state_directory: Path) -> int:
    """Watch the cluster until the user quits; returns the exit status. Raises TerminalError without a terminal."""
    check_terminal()
    app = PodwireApp(state_directory, ends_process=True)
    app.run()
    return app.return_code or 0


def check_terminal() -> None:
    """Raise TerminalError, which says what to do, where the TUI cannot draw."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise TerminalError("the TUI needs a terminal; without one use: emulator status, emulator get pods -w")
    if not sys.stderr.isatty():  # Textual draws there
        raise TerminalError("the TUI draws on standard error, which is not a terminal; leave out 2>FILE")
    if os.environ.get("TERM", "") in ("", "dumb", "unknown"):
        raise TerminalError("the terminal cannot be drawn on (TERM is not set, or dumb); use: emulator status")
