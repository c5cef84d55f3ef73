"""Which columns a page shows: a list to tick, over the page."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Label, SelectionList
from textual.widgets.selection_list import Selection


class ColumnChoice(ModalScreen[frozenset[str]]):
    """Ends with the names of the columns that are not wanted. The last one cannot be taken away."""

    DEFAULT_CSS = """
    ColumnChoice { align: center middle; }
    ColumnChoice > Vertical {
        width: 40; height: auto; max-height: 90%; border: round $primary; background: $surface; padding: 0 1;
    }
    ColumnChoice SelectionList { height: auto; max-height: 1fr; border: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,c", "close", "Done", key_display="esc", priority=True)]

    def __init__(self, columns: Sequence[tuple[str, str]], hidden: Collection[str]) -> None:
        super().__init__()
        self._columns = columns
        self._hidden = hidden

    def compose(self) -> ComposeResult:
        """Lay the list out."""
        with Vertical():
            yield Label("Columns: space or enter chooses, esc is done")
            entries = [Selection(title, name, name not in self._hidden) for name, title in self._columns]
            yield SelectionList[str](*entries)

    def action_close(self) -> None:
        """Be done."""
        if not self.is_current:
            return
        wanted = set(self.query_one(SelectionList).selected)
        hidden = frozenset(name for name, _ in self._columns if name not in wanted)
        self.dismiss(hidden if wanted else frozenset(self._hidden))
