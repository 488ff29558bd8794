"""The prompt `:`: go to a pane, switch profile, change colours, help, quit; with completion."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input

from ..ink import Piece
from .line import Line


class JumpInput(Input):
    """The input of the prompt."""

    BINDINGS = [
        Binding("escape", "leave", "leave", show=False, id="jump.leave"),
        Binding("tab,down", "complete(1)", "next completion", show=False, id="jump.next"),
        Binding("shift+tab,up", "complete(-1)", "completion before", show=False, id="jump.before"),
    ]

    class Left(Message):
        """The reader leaves the prompt."""

    class Complete(Message):
        """Another completion, forward or back."""

        def __init__(self, step: int) -> None:
            super().__init__()
            self.step = step

    def action_leave(self) -> None:
        self.post_message(self.Left())

    def action_complete(self, step: int) -> None:
        self.post_message(self.Complete(step))

    async def action_submit(self) -> None:
        """Take the line at once, not by message: a key typed right behind Enter is for what comes after."""
        if isinstance(self.parent, Widget) and isinstance(self.parent.parent, Jump):
            self.parent.parent.take(self.value)


class Jump(Vertical):
    """A line of what there is, and the line where it is typed."""

    DEFAULT_CSS = """
    Jump { display: none; height: 2; dock: bottom; background: $panel; }
    Jump.-open { display: block; }
    Jump Horizontal { height: 1; }
    Jump #colon { width: 3; }
    Jump JumpInput { height: 1; border: none; padding: 0; background: $panel; }
    Jump JumpInput:focus { border: none; }
    Jump Line { background: $panel; }
    """

    class Said(Message):
        """A whole command."""

        def __init__(self, words: str) -> None:
            super().__init__()
            self.words = words

    class Closed(Message):
        """The prompt is gone."""

    def __init__(self, commands: Callable[[], Sequence[str]]) -> None:
        super().__init__()
        self._commands = commands
        self._typed = ""
        self._chosen = -1
        self._before: Widget | None = None
        self.hints = Line()
        self.input = JumpInput(select_on_focus=False)

    def compose(self) -> ComposeResult:
        self.input.cursor_blink = False
        yield self.hints
        with Horizontal():
            yield Line([(" : ", "bold primary")], id="colon")
            yield self.input

    def open(self, text: str = "") -> None:
        """Show the prompt."""
        self._before = self.screen.focused
        self.add_class("-open")
        self._typed, self._chosen = text, -1
        self.input.value = text
        self.input.cursor_position = len(text)
        self.input.focus()
        self._hint()

    def close(self) -> None:
        """Hide it and give the focus back at once."""
        self.remove_class("-open")
        self.screen.set_focus(self._before)
        self.post_message(self.Closed())

    def matching(self) -> list[str]:
        """Commands that what was typed can become; those that begin with it first."""
        typed = self._typed.strip().lower()
        commands = list(self._commands())
        first = [command for command in commands if command.lower().startswith(typed)]
        return first + [command for command in commands if typed in command.lower() and command not in first]

    def _hint(self) -> None:
        pieces: list[Piece] = [(" ", "")]
        for place, command in enumerate(self.matching()):
            pieces += [(f" {command} ", "bold reverse primary" if place == self._chosen else "muted"), (" ", "")]
        if len(pieces) == 1:
            pieces.append(("nothing is called that", "warning"))
        self.hints.show(pieces, [("tab", "primary bold"), (" completes ", "muted")])

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        if self._chosen >= 0:
            matching = self.matching()
            if self._chosen < len(matching) and matching[self._chosen] == event.value:
                return
        self._typed, self._chosen = event.value, -1
        self._hint()

    @on(JumpInput.Complete)
    def _complete(self, event: JumpInput.Complete) -> None:
        matching = self.matching()
        if matching:
            self._chosen = (
                (self._chosen + event.step) % len(matching) if self._chosen >= 0 else (0 if event.step > 0 else len(matching) - 1)
            )
            self.input.value = matching[self._chosen]
            self.input.cursor_position = len(self.input.value)
            self._hint()

    def take(self, text: str) -> None:
        """Close the prompt and pass on what was typed; a `:` in front is forgiven."""
        words = text.strip().lstrip(":").strip()
        known = list(self._commands())
        if words and words not in known:
            matching = [command for command in known if command.lower().startswith(words.lower())]
            words = matching[0] if matching else words
        self.close()
        if words:
            self.post_message(self.Said(words))

    @on(JumpInput.Left)
    def _left(self) -> None:
        self.close()
