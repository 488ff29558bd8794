"""The menu of what can be done with one credential: a letter for each, and why some are not available."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen

from ...domain.credential import Credential
from ...domain.keys import DEFAULTS
from ...domain.text import clean
from ...services.credential_actions import TABLE, Choice
from ...services.ports_credentials import ACTIONS
from ..ink import Piece, hints
from ..widgets.key_bar import key_text
from ..widgets.line import Line


class Actions(ModalScreen[str | None]):
    """Answers with the name of an action; None when the reader leaves."""

    DEFAULT_CSS = """
    Actions { align: center middle; background: $background 60%; }
    Actions > Vertical {
        width: 88; max-width: 100%; height: auto; max-height: 90%; background: $panel; border: round $primary; padding: 0 1;
    }
    Actions Line { background: $panel; }
    Actions Line.-cursor { background: $cursor; }
    Actions:ansi > Vertical { background: ansi_default; }
    Actions:ansi Line.-cursor { text-style: reverse; background: ansi_default; }
    """
    BINDINGS = [
        Binding("escape,q", "leave", "leave", id="actions.leave"),
        Binding("enter", "take", "take", id="actions.take"),
        Binding("down,j", "move(1)", "next", show=False, id="actions.down"),
        Binding("up,k", "move(-1)", "before", show=False, id="actions.up"),
        *(Binding(DEFAULTS[f"actions.{name}"], f"choose('{name}')", title, id=f"actions.{name}") for name, title in ACTIONS.items()),
    ]

    def __init__(self, row: Credential, offered: Sequence[Choice]) -> None:
        super().__init__()
        self._row = row
        self._offered = offered
        self._at = 0
        self._lines = [Line() for _ in offered]
        self._fault = Line()

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Line([(clean(self._row.kind), "bold primary"), (f"  {clean(self._row.who)}", "muted")], hints(("esc", "leaves")))
            yield Line()
            yield from self._lines
            yield self._fault
            yield Line([("Nothing happens before you have seen what it will be.", "muted")])

    def on_mount(self) -> None:
        self._paint()

    def _paint(self) -> None:
        keys = {active.binding.id: key_text(self.app, active.binding) for active in reversed(self.active_bindings.values())}
        for place, (choice, line) in enumerate(zip(self._offered, self._lines, strict=True)):
            name = choice.action.name
            line.set_class(place == self._at, "-cursor")
            left: list[Piece] = [
                ("▌ " if place == self._at else "  ", "primary"),
                (f"{keys.get(f'actions.{name}', ''):<3}", "muted" if choice.barred else "primary bold"),
                (choice.action.title, "muted" if choice.barred else ""),
            ]
            line.show(left, [("✖ not available ", "warning")] if choice.barred else ())

    def action_move(self, by: int) -> None:
        self._at = max(0, min(len(self._offered) - 1, self._at + by))
        self._fault.show([])
        self._paint()

    def action_take(self) -> None:
        self.action_choose(self._offered[self._at].action.name)

    def action_choose(self, name: str) -> None:
        """Answer with this action if it can be had, else say why not."""
        choice = next((each for each in self._offered if each.action.name == name), None)
        if choice is None:
            self._fault.show([(f"✖ {TABLE[name].title}: not for this one", "warning")])
        elif choice.barred:
            self._fault.show([(f"✖ {choice.barred}", "warning")])
        else:
            self.dismiss(name)

    def action_leave(self) -> None:
        self.dismiss(None)
