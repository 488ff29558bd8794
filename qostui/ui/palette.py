"""The command palette: panes, profiles, themes and the actions of the app, found by typing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from ..domain.text import clean


class Offers(Protocol):
    """What the palette asks of the app."""

    def offers(self) -> list[tuple[str, str, Callable[[], None]]]:
        """(title, help, what to do)."""


class Palette(Provider):
    """Everything that `:` and the keys can do; titles are never read as markup."""

    async def discover(self) -> Hits:
        for title, explanation, command in self._offers():
            yield DiscoveryHit(Content(title), command, text=title, help=explanation)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for title, explanation, command in self._offers():
            if (score := matcher.match(title)) > 0:
                yield Hit(score, Content(title), command, text=title, help=explanation)

    def _offers(self) -> Iterator[tuple[str, str, Callable[[], None]]]:
        for title, explanation, command in cast(Offers, self.app).offers():
            # Textual reads the help text as markup whatever its type is: brackets become round ones.
            yield clean(title), clean(explanation).replace("[", "(").replace("]", ")"), command
