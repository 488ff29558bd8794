"""The profile picker: where each profile leads, as whom, and how that is shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen

from ...domain.profile import Profile, host_text
from ...domain.table import Column, Fact, View
from ...domain.text import clean
from ...services.feeds import Changes
from ..ink import hints
from ..widgets.header import METHODS
from ..widgets.line import Line
from ..widgets.live_table import LiveTable


@dataclass(frozen=True, slots=True)
class Choice:
    """One profile in the picker."""

    key: str
    profile: Profile
    current: bool
    place: int


def _detail(choice: Choice, now: datetime) -> Sequence[Fact]:
    return (Fact(choice.profile.name), Fact("host", clean(choice.profile.rucio_host)))


VIEW: View[Choice] = View(
    id="profiles",
    title="Profiles",
    columns=(
        Column("current", "", lambda c, now: clean("●" if c.current else ""), lambda c: c.place, 1, style=lambda c: "primary bold"),
        Column("name", "PROFILE", lambda c, now: clean(c.profile.name), lambda c: c.profile.name, 20, letter="p"),
        Column("account", "ACCOUNT", lambda c, now: clean(c.profile.account), lambda c: c.profile.account, 12, letter="a"),
        Column(
            "auth", "SHOWN BY", lambda c, now: clean(METHODS.get(c.profile.auth, c.profile.auth)), lambda c: c.profile.auth, 11, letter="b"
        ),
        Column("host", "RUCIO", lambda c, now: clean(host_text(c.profile.rucio_host)), lambda c: c.profile.rucio_host, letter="r"),
        Column(
            "rights",
            "",
            lambda c, now: clean("read-only" if c.profile.read_only else ""),
            lambda c: c.profile.read_only,
            9,
            style=lambda c: "success",
        ),
    ),
    order=(("current", False),),
    detail=_detail,
    record=lambda c: {"name": c.profile.name, "rucio_host": c.profile.rucio_host, "account": c.profile.account, "auth": c.profile.auth},
)


class Switch(ModalScreen[str | None]):
    """Choose a profile; None when the reader leaves."""

    DEFAULT_CSS = """
    Switch { align: center middle; background: $background 60%; }
    Switch > Vertical {
        width: 92; max-width: 100%; height: auto; max-height: 90%; background: $panel; border: round $primary; padding: 0 1;
    }
    Switch Line { background: $panel; }
    Switch LiveTable { background: $panel; overflow-y: auto; }
    Switch:ansi > Vertical { background: ansi_default; }
    """
    AUTO_FOCUS = "LiveTable"
    BINDINGS = [Binding("escape,q", "leave", "leave", id="switch.leave")]

    def __init__(self, profiles: Mapping[str, Profile], current: str | None, now: Callable[[], datetime]) -> None:
        super().__init__()
        choices = [Choice(name, profile, name == current, place) for place, (name, profile) in enumerate(profiles.items())]
        self._current = current
        self._choices = {choice.key: choice for choice in choices}
        self.table: LiveTable[Choice] = LiveTable(VIEW, now)
        self.table.styles.height = min(24, len(choices) + 2)

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Line([("Switch to a profile", "bold primary")], hints(("enter", "switches"), ("esc", "leaves")))
            yield self.table
            yield Line([("Nothing is carried over: rows, filters, marks and log-in are those of the new profile.", "muted")])

    def on_mount(self) -> None:
        self.table.apply(Changes(self._choices, frozenset(), frozenset()))
        if self._current is not None:
            self.table.select(self._current)

    @on(LiveTable.Opened)
    def _chosen(self) -> None:
        self.dismiss(self.table.cursor_key)

    def action_leave(self) -> None:
        self.dismiss(None)
