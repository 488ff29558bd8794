"""The console: one screen of tabs over the session of one profile. Knows panes, not what is in them.

What the first picture does not need is loaded and mounted when it is asked for: dialogs, the prompt, other panes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from rich.color import ColorSystem
from rich.console import RenderableType
from textual import on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.driver import Driver
from textual.events import Event, Key, Resize
from textual.screen import Screen
from textual.widgets import ContentSwitcher

from ..domain.errors import Problem, UsageProblem
from ..domain.profile import Identity, Profile
from ..domain.text import clean
from ..services.feeds import FeedStatus
from ..services.layouts import Layouts
from . import clipboard, crash, terminal, themes
from .beat import Beat
from .commands import Command
from .dress import Wardrobe
from .driver import HardDriver
from .paint import Painter
from .palette import Palette
from .panes import PANES, FeedPane
from .ports import Open, Reload, SessionPort, SettingsPort
from .shortcut import Shortcut
from .widgets.header import Header
from .widgets.jump import Jump
from .widgets.key_bar import KeyBar
from .widgets.tab_bar import Tab, TabBar


class Main(Screen[None], inherit_bindings=False):
    """The screen of tabs; dialogs over it do not see its keys."""

    # The table is focused by name: the first widget that could take the focus is the hidden filter.
    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("colon", "app.jump", "go to", id="app.jump"),
        Binding("question_mark", "app.help", "help", id="app.help"),
        Binding("ctrl+t", "app.switch", "switch profile", show=False, id="app.switch"),
        Binding("ctrl+p", "app.command_palette", "find a command", show=False, id="app.palette"),
        Binding("ctrl+l", "app.redraw", "paint anew", show=False, id="app.redraw"),
        Binding("tab,right_square_bracket", "app.next_pane(1)", "next pane", show=False, id="app.next-pane"),
        Binding("shift+tab,left_square_bracket", "app.next_pane(-1)", "pane before", show=False, id="app.pane-before"),
        Binding("minus", "app.last_pane", "last pane", show=False, id="app.last-pane"),
        *(
            Binding(str(number), f"app.pane({number})", f"pane {number}", show=False, id=f"app.pane-{number}")
            for number in range(1, len(PANES) + 1)
        ),
    ]


class QostuiApp(App[int], inherit_bindings=False):
    """The application: header, tabs, the pane that is seen, prompt and footer."""

    CSS = """
    ContentSwitcher { height: 1fr; }
    Toast { max-width: 90%; }
    .-jumping KeyBar { display: none; }
    SearchIcon { display: none; }
    """
    COMMANDS = {Palette}
    # Textual would bind ctrl+p a second time, where it cannot be bound to anything else.
    ENABLE_COMMAND_PALETTE = False
    BINDINGS = [Binding("q,ctrl+c,ctrl+q", "end(0)", "quit", id="app.quit")]

    def __init__(
        self,
        settings: SettingsPort,
        profile_name: str | None,
        open_session: Open,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        reload: Reload | None = None,
        lacks: Callable[[Profile], str] = lambda profile: "",
        theme_directories: tuple[Path, ...] = (),
        environ: Mapping[str, str] = os.environ,
        line: terminal.Line = terminal.LOCAL,
    ) -> None:
        super().__init__()
        self.use_command_palette = True
        self._painter = Painter()
        self.settings = settings
        self.session: SessionPort | None = None
        self.now = now
        self._first_profile = profile_name
        self._open_session = open_session
        self._reload = reload
        self._lacks = lacks
        self._environ = environ
        self._beat = Beat(self, line)
        self._shortcut = Shortcut(self, line.frames)
        self._layouts = Layouts(settings.state_dir / "columns.json")
        self._identity: Identity | None = None
        self._panes: dict[str, FeedPane] = {}
        self._active: str | None = None
        self._before: str | None = None
        self.line = line
        self.wardrobe = Wardrobe(settings, theme_directories, environ, line)
        self.wardrobe.dress(self)
        self._crashed = False
        self._stop_watching: Callable[[], None] = lambda: None
        self.header = Header(seconds=line.seconds)
        self.tabs = TabBar()
        self.switcher = ContentSwitcher()
        self.jump = Jump(self.commands)

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return themes.VARIABLES

    def get_default_screen(self) -> Screen[Any]:
        return Main(id="_default")

    def get_driver_class(self) -> type[Driver]:
        return HardDriver

    # --- life ------------------------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        yield self.header
        yield self.tabs
        yield self.switcher
        yield KeyBar()

    def on_mount(self) -> None:
        if self.settings.keymap:
            self.set_keymap(dict(self.settings.keymap))
        for fault in (*self.settings.key_faults, *self.wardrobe.faults(self)):
            self.say(fault, "warning")
        self._stop_watching = self.wardrobe.watch(lambda loaded: self.call_later(self.reload_themes, loaded))
        self._beat.start()
        if self._first_profile is None:
            from .screens.first_run import FirstRun

            self.push_screen(FirstRun(), self._configured)
        else:
            self.open_profile(self._first_profile)

    def on_unmount(self) -> None:
        self._stop_watching()
        self._beat.stop()

    async def on_event(self, event: Event) -> None:
        if isinstance(event, Key):
            self._beat.collector.key_pressed()
            if await self._shortcut.take(event):
                return
        await super().on_event(event)

    def open_profile(self, name: str) -> None:
        """Leave the profile that is open, with all it showed, and open this one; waits for nothing."""
        profile = self.settings.profiles[name]
        if self.session is not None:
            self.session.close()
        self.session = self._open_session(profile)
        views = {view.id: view for view in self.session.views}
        active = self._active
        self._panes = {
            kind.view_id: kind(views[kind.view_id], self.session.feed(kind.view_id), self.now, self._layouts)
            for kind in PANES
            if kind.view_id in views
        }
        for pane in self._panes.values():
            pane.belong(self, self.session)
            pane.feed.listen(partial(self._beat.news, pane))
        self._active = self._before = None
        first = active if active in self._panes else next(iter(self._panes))
        # A new switcher, since the old panes keep their ids until they are gone. The other panes are mounted when first shown.
        retired, self.switcher = self.switcher, ContentSwitcher(self._panes[first], initial=first)
        with self.batch_update():
            retired.display = False
            self.mount(self.switcher, after=self.tabs)
            retired.remove()
            self.show_pane(first)
        self._beat.expect_rows()

    def _configured(self, name: str | None) -> None:
        """The first-run page wrote a profile, or was left."""
        if name is None or self._reload is None:
            self.end(0)
            return
        try:
            self.settings = self._reload()
        except UsageProblem as problem:
            self.explain(problem)
            return
        self.open_profile(name)

    def end(self, code: int) -> None:
        """Exit with this code, whatever is still under way."""
        if self.session is not None:
            self.session.close()
            self.session = None
        self.exit(code, return_code=code)
        if isinstance(self._driver, HardDriver):
            self._driver.arm(code)

    def action_end(self, code: int) -> None:
        self.end(code)

    def repaint_all(self) -> None:
        """The terminal takes bytes again after some were dropped."""
        if self._driver is not None:
            self._driver.write("\x1b[?2026l")
        self.action_redraw()

    def action_redraw(self) -> None:
        self._painter.forget()
        self.screen.refresh(repaint=True, layout=True)

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        """Only what differs from what the terminal shows is written."""
        if self._driver is not None and not self.is_headless and self._running and not self._closed and not self._batch_count:
            renderable = self._painter.least(renderable, self.size, self.console._color_system or ColorSystem.TRUECOLOR)
        super()._display(screen, renderable)

    def input_dropped(self, count: int) -> None:
        """Keys came faster than they could be handled."""
        self.say(f"{count:,} keys came too fast and were dropped", "warning")

    def failed(self, error: Exception) -> None:
        """A beat raised: as if a message had."""
        self._handle_exception(error)

    def _fatal_error(self) -> None:
        """Textual would print a traceback with all local values: ours goes to a file, without them."""
        self._return_code = crash.EXIT
        self._return_value = crash.EXIT
        if self._crashed:
            return  # what fails while the console ends because of the first failure is no second one
        self._crashed = True
        error = self._exception or RuntimeError("unknown")
        path = crash.report(error, self.settings.state_dir, "the screen")
        self._exit_renderables.clear()
        self._exit_renderables.append(crash.sentence(error, path))
        self._close_messages_no_wait()

    def panic(self, *renderables: Any) -> None:
        """Whatever Textual wants to print on a failure goes the same way."""
        self._fatal_error()

    # --- what is seen ----------------------------------------------------------------------------------------

    @property
    def pane(self) -> FeedPane | None:
        """The pane that is seen."""
        return self._panes.get(self._active) if self._active is not None else None

    def show_pane(self, name: str) -> None:
        """Bring this pane to the front; the others are no longer painted, and polled slowly."""
        if name not in self._panes or self.session is None:
            return
        if name != self._active:
            self._before, self._active = self._active, name
        self.session.watch({name})
        pane = self._panes[name]
        if not pane.is_attached and name not in {child.id for child in self.switcher.children}:
            # Not seen before it has its lines: until then the pane before stays, so that nothing is blank for a moment.
            pane.display = False
            self.switcher.mount(pane)
        if pane.is_mounted:
            self._bring(name)
        else:
            pane.call_after_refresh(self._bring, name)

    def _bring(self, name: str) -> None:
        if name != self._active:
            return
        self._panes[name].drain()
        self.switcher.current = name
        self._focus_pane()
        self.show_frame()

    def _focus_pane(self) -> None:
        if self.pane is not None and len(self.screen_stack) == 1:
            self.pane.focus_table()

    @property
    def rows_held(self) -> int:
        """Rows in all panes together."""
        return sum(len(pane.table.model.rows) for pane in self._panes.values())

    def show_frame(self) -> None:
        """Header and tabs: twice a second, cheap, and written only where they differ."""
        if self.session is None:
            self.header.show_identity(None, self.now())
            return
        now = self.now()
        if endings := self.session.endings(now):
            from ..services.warnings import sentences

            for text, severity in sentences(endings, now):
                self.say(text, severity)
        self._identity = self.session.identity()
        self.header.show_identity(self._identity, self.now())
        self.tabs.show_tabs([_tab(pane, pane.feed.status) for pane in self._panes.values()], self._active)

    def on_resize(self, _: Resize) -> None:
        self.call_after_refresh(self.show_frame)

    def say(self, text: str, severity: str = "information") -> None:
        """A passing message; never read as markup."""
        self.notify(clean(text), severity=severity, markup=False, timeout=8 if severity != "information" else 3)  # type: ignore[arg-type]  # a plain str

    @on(FeedPane.Explain)
    def _explain(self, event: FeedPane.Explain) -> None:
        self.explain(event.problem)

    def explain(self, problem: Problem) -> None:
        """All of an error, over the console."""
        from .screens.explain import Explain

        self.push_screen(Explain(problem))

    @on(FeedPane.Copied)
    def _copied(self, event: FeedPane.Copied) -> None:
        self.copy(event.text, event.what)

    def copy(self, text: str, what: str) -> None:
        """Put a text on the clipboard of the terminal, and say what it was."""
        try:
            written = clipboard.sequence(text, tmux=bool(self._environ.get("TMUX")))
        except ValueError as error:
            self.say(f"not copied: {error}", "warning")
            return
        self._clipboard = text
        if self._driver is not None:
            self._driver.write(written)
        self.say(f"copied {what}")

    # --- keys ------------------------------------------------------------------------------------------------

    def action_pane(self, number: int) -> None:
        names = list(self._panes)
        if number <= len(names):
            self.show_pane(names[number - 1])

    def action_next_pane(self, step: int) -> None:
        names = list(self._panes)
        if self._active in names:
            self.show_pane(names[(names.index(self._active) + step) % len(names)])

    def action_last_pane(self) -> None:
        if self._before is not None:
            self.show_pane(self._before)

    def action_help(self) -> None:
        from .screens.help import Help

        self.push_screen(Help(self, self.screen, self.settings.key_faults))

    async def action_jump(self) -> None:
        if not self.jump.is_mounted:
            await self.screen_stack[0].mount(self.jump, before="KeyBar")
        self.screen.add_class("-jumping")
        self.jump.open()

    def action_switch(self) -> None:
        from .screens.switch import Switch

        current = self._identity.profile if self._identity is not None else None
        picker = Switch(self.settings.profiles, current, self.now, self._reload, self._take_settings, lacks=self._lacks)
        self.push_screen(picker, self._switched)

    def _take_settings(self, settings: SettingsPort) -> None:
        self.settings = settings

    def _switched(self, name: str | None) -> None:
        if name is None:
            return
        if name not in self.settings.profiles:
            self.say(f"profile {name} is gone from the configuration", "warning")
            return
        self.open_profile(name)

    @on(Jump.Closed)
    def _jump_closed(self) -> None:
        self.screen_stack[0].remove_class("-jumping")
        if self.pane is not None:
            self.pane.focus_table()

    def use_theme(self, name: str) -> None:
        """Other colours, at once."""
        self.wardrobe.wear(self, name)

    def reload_themes(self, loaded: themes.Loaded) -> None:
        """Theme files have changed, come or gone."""
        for told in self.wardrobe.reload(self, loaded):
            self.say(told, "warning")

    def commands(self) -> list[Command]:
        """What can be said: at the prompt `:` and in the palette alike."""
        panes = [
            Command(pane.view.title.lower(), f"Go to {pane.view.title}", "pane", partial(self.show_pane, name), (name, *pane.view.aliases))
            for name, pane in self._panes.items()
        ]
        profiles = [
            Command(
                f"profile {clean(name)}",
                f"Profile {name}",
                f"{clean(profile.account)} at {clean(profile.rucio_host)}",
                partial(self._switched, name),
            )
            for name, profile in self.settings.profiles.items()
        ]
        return [
            *panes,
            *(command for pane in self._panes.values() for command in pane.commands()),
            Command("profile", "Switch profile", "where each profile leads, and as whom", self.action_switch),
            *profiles,
            Command("help", "Help", "all keys of this pane", self.action_help, ("?",)),
            Command("quit", "Quit", "leave the console", partial(self.end, 0), ("q",)),
            *(
                Command(f"theme {short}", f"Theme {short}", "colours", partial(self.use_theme, name), (f"theme {name}",))
                for name in self.wardrobe.names
                for short in (themes.short(name),)
            ),
        ]

    @on(Jump.Said)
    def _said(self, event: Jump.Said) -> None:
        if event.command is None:
            self.say(f"nothing is called {event.words}", "warning")
        else:
            event.command.run()


def _tab(pane: FeedPane, status: FeedStatus) -> Tab:
    signs = {"failed": ("✖", "error bold"), "paused": ("‖", "warning bold"), "waiting": ("…", "muted")}
    sign, style = signs.get(status.state, ("", ""))
    if status.problem is not None:
        sign, style = signs["failed"]
    return Tab(pane.view.id, pane.view.title, status.count if status.state != "waiting" or status.count else None, sign, style)
