"""What the console needs of the rest, as Protocols: a session, the settings, and how either is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from ..domain.profile import Identity, Profile
from ..domain.table import View
from ..services.feeds import FeedPort


class SessionPort(Protocol):
    """What the console needs of a session."""

    @property
    def views(self) -> tuple[View[Any], ...]: ...

    def feed(self, view_id: str) -> FeedPort[Any]: ...

    def identity(self) -> Identity: ...

    def watch(self, view_ids: set[str]) -> None: ...

    def close(self) -> None: ...


class SettingsPort(Protocol):
    """What the console needs of the settings."""

    @property
    def profiles(self) -> Mapping[str, Profile]: ...

    @property
    def theme(self) -> str: ...

    @property
    def theme_over_ssh(self) -> str: ...

    @property
    def keymap(self) -> Mapping[str, str]: ...

    @property
    def key_faults(self) -> tuple[str, ...]: ...

    @property
    def state_dir(self) -> Path: ...


Open = Callable[[Profile], SessionPort]
Reload = Callable[[], SettingsPort]
