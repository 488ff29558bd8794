"""The profile picker: where each profile leads, as whom, and how that is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from threading import Thread
from typing import Any

from textual import on
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen

from ...domain.errors import UsageProblem
from ...domain.profile import Profile, host_text
from ...domain.table import Column, Fact, View
from ...domain.text import clean
from ...services.feeds import Changes
from ..ink import hints
from ..ports import Reload, SettingsPort
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
    lacks: str = ""
    """What it needs before it can log in; "" while nothing is known to be missing."""

    @property
    def shown_by(self) -> str:
        """How it logs in, or what is missing for that."""
        return f"▲ {self.lacks}" if self.lacks else METHODS.get(self.profile.auth, self.profile.auth)


def _detail(choice: Choice, now: datetime) -> Sequence[Fact]:
    return (Fact(choice.profile.name), Fact("host", clean(choice.profile.rucio_host)))


VIEW: View[Choice] = View(
    id="profiles",
    title="Profiles",
    columns=(
        Column("current", "", lambda c, now: clean("●" if c.current else ""), lambda c: c.place, 1, style=lambda c, now: "primary bold"),
        Column("name", "PROFILE", lambda c, now: clean(c.profile.name), lambda c: c.profile.name, 20, letter="p"),
        Column("account", "ACCOUNT", lambda c, now: clean(c.profile.account), lambda c: c.profile.account, 12, letter="a"),
        Column(
            "auth",
            "SHOWN BY",
            lambda c, now: clean(c.shown_by),
            lambda c: c.profile.auth,
            11,
            style=lambda c, now: "warning" if c.lacks else "",
            letter="b",
        ),
        Column("host", "RUCIO", lambda c, now: clean(host_text(c.profile.rucio_host)), lambda c: c.profile.rucio_host, letter="r"),
        Column(
            "rights",
            "",
            lambda c, now: clean("read-only" if c.profile.read_only else ""),
            lambda c: c.profile.read_only,
            9,
            style=lambda c, now: "success",
        ),
    ),
    order=(("current", False),),
    detail=_detail,
    record=lambda c: {"name": c.profile.name, "rucio_host": c.profile.rucio_host, "account": c.profile.account, "auth": c.profile.auth},
)


def _choices(profiles: Mapping[str, Profile], current: str | None) -> dict[str, Choice]:
    return {name: Choice(name, profile, name == current, place) for place, (name, profile) in enumerate(profiles.items())}


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

    def __init__(
        self,
        profiles: Mapping[str, Profile],
        current: str | None,
        now: Callable[[], datetime],
        reload: Reload | None = None,
        took: Callable[[SettingsPort], None] = lambda settings: None,
        *,
        lacks: Callable[[Profile], str] = lambda profile: "",
    ) -> None:
        """`reload` reads the settings anew; `took` is told when they are good. Until then `profiles` are offered.

        `lacks` says what a profile needs before it can log in. Both may wait for a disk, so they are asked in a thread.
        """
        super().__init__()
        self._reload = reload
        self._took = took
        self._fault = Line()
        self._fault.display = False
        self._lacks = lacks
        self._current = current
        self._choices = _choices(profiles, current)
        self.table: LiveTable[Choice] = LiveTable(VIEW, now)
        self.table.styles.height = min(24, len(self._choices) + 2)

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Line([("Switch to a profile", "bold primary")], hints(("enter", "switches"), ("esc", "leaves")))
            yield self.table
            yield self._fault
            yield Line([("Nothing is carried over: rows, filters, marks and log-in are those of the new profile.", "muted")])

    def on_mount(self) -> None:
        self.table.apply(Changes(self._choices, frozenset(), frozenset()))
        if self._current is not None:
            self.table.select(self._current)
        self._look_at(self._choices.values())
        if self._reload is not None:
            # A file on a slow disk holds up neither the picker nor its keys: what is new comes into it when it has been read.
            Thread(target=self._read, args=(self._reload, self.app), name="settings", daemon=True).start()

    def _read(self, reload: Reload, app: App[Any]) -> None:
        try:
            settings = reload()
        except UsageProblem as problem:
            app.call_later(self._unreadable, problem, app)
        else:
            app.call_later(self._read_well, settings)

    def _read_well(self, settings: SettingsPort) -> None:
        self._took(settings)
        if self.is_mounted:
            self._offer(settings.profiles)

    def _unreadable(self, problem: UsageProblem, app: App[Any]) -> None:
        self._fault.show([("✖ The configuration does not hold now: these are the profiles from before.", "error bold")])
        self._fault.display = True
        told = f"{problem.summary}; {problem.step}" if problem.step else problem.summary
        app.notify(clean(told), severity="warning", markup=False, timeout=8)

    def _offer(self, profiles: Mapping[str, Profile]) -> None:
        """Other profiles than before; the cursor stays where it is as long as its profile is there."""
        before, self._choices = self._choices, _choices(profiles, self._current)
        new = {key: choice for key, choice in self._choices.items() if choice != before.get(key)}
        gone = frozenset(before.keys() - self._choices.keys())
        if new or gone:
            self.table.styles.height = min(24, len(self._choices) + 2)
            self.table.apply(Changes(new, gone, frozenset()))
            self._look_at(new.values())

    def _look_at(self, choices: Iterable[Choice]) -> None:
        Thread(target=self._look, args=(list(choices), self.app), name="what profiles lack", daemon=True).start()

    def _look(self, choices: Sequence[Choice], app: App[Any]) -> None:
        for choice in choices:
            if lacks := self._lacks(choice.profile):
                app.call_later(self._show_lack, choice, lacks)

    def _show_lack(self, choice: Choice, lacks: str) -> None:
        offered = self._choices.get(choice.key)
        if self.is_mounted and offered is not None and offered.profile == choice.profile:
            self._choices[choice.key] = replace(offered, lacks=lacks)
            self.table.apply(Changes({choice.key: self._choices[choice.key]}, frozenset(), frozenset()))

    @on(LiveTable.Opened)
    def _chosen(self) -> None:
        self.dismiss(self.table.cursor_key)

    def action_leave(self) -> None:
        self.dismiss(None)
