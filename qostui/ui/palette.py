"""The command palette: everything that can be said to the console, found by typing."""

from __future__ import annotations

from typing import Protocol, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from ..domain.text import clean
from .commands import Command, matching


class Offers(Protocol):
    """What the palette asks of the app."""

    def commands(self) -> list[Command]:
        """Everything that can be said."""


class Palette(Provider):
    """Everything that `:` knows; titles are never read as markup."""

    async def discover(self) -> Hits:
        for command in self._commands():
            title, explanation = _shown(command)
            yield DiscoveryHit(Content(title), command.run, text=title, help=explanation)

    async def search(self, query: str) -> Hits:
        found = matching(self._commands(), query)
        for place, command in enumerate(found):
            title, explanation = _shown(command)
            yield Hit(1 - place / len(found), Content(title), command.run, text=title, help=explanation)

    def _commands(self) -> list[Command]:
        return cast(Offers, self.app).commands()


def _shown(command: Command) -> tuple[str, str]:
    # Textual reads the help text as markup whatever its type is: brackets become round ones.
    return clean(command.title), clean(f":{command.words}  {command.explanation}").replace("[", "(").replace("]", ")")
