"""What can be said to the console, typed after `:` or chosen in the palette: one list for both, and how words find it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """One thing to say."""

    words: str
    """What is typed after `:`."""
    title: str
    """What the palette shows."""
    explanation: str
    run: Callable[[], None]
    also: tuple[str, ...] = ()
    """Other words for it."""


def matching(commands: Sequence[Command], typed: str) -> list[Command]:
    """The commands that `typed` can become, best first: its beginning, words' beginnings, any part, letters in their order."""
    ranked = [(rank, command) for command in commands if (rank := _rank(command, _plain(typed))) is not None]
    return [command for _, command in sorted(ranked, key=lambda pair: pair[0])]


def spoken(commands: Sequence[Command], typed: str) -> Command | None:
    """The command that is meant: one of these words, else what they begin; else the only one that they can become."""
    found = matching(commands, typed)
    if not found or not _plain(typed):
        return None
    clear = _rank(found[0], _plain(typed)) or 0
    return found[0] if clear < _LOOSE or len(found) == 1 else None


_LOOSE = 3
"""Ranks from here on are guesses."""


def _plain(text: str) -> str:
    return " ".join(text.lower().split())


def _rank(command: Command, typed: str) -> int | None:
    ranks = [rank for words in (command.words, *command.also) if (rank := _closeness(words.lower(), typed)) is not None]
    if (rank := _closeness(command.title.lower(), typed)) is not None:
        ranks.append(max(1, rank))
    return min(ranks, default=None)


def _closeness(words: str, typed: str) -> int | None:
    if words == typed:
        return 0
    if words.startswith(typed):
        return 1
    if _begins(words.replace("-", " ").split(), typed.split()):
        return 2
    if typed in words:
        return _LOOSE
    letters = iter(words)
    return _LOOSE + 1 if all(letter in letters for letter in typed.replace(" ", "")) else None


def _begins(words: list[str], typed: list[str]) -> bool:
    """Does each typed word begin a word, in order."""
    left = iter(words)
    return all(any(word.startswith(part) for word in left) for part in typed)
