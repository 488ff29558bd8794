"""What the console needs of the rest, as Protocols: a session, the settings, and how either is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ..domain.profile import Identity, Profile
from ..domain.table import Row, View
from ..services.errands import Errand, Told
from ..services.feeds import Cancel, FeedPort

if TYPE_CHECKING:
    from ..services.ports_credentials import Desk
    from ..services.warnings import Ending

T = TypeVar("T")


class SessionPort(Protocol):
    """What the console needs of a session."""

    @property
    def profile(self) -> Profile: ...

    @property
    def views(self) -> tuple[View[Any], ...]: ...

    def feed(self, view_id: str) -> FeedPort[Any]: ...

    def identity(self) -> Identity: ...

    def watch(self, view_ids: set[str]) -> None: ...

    def begin(self, name: str, work: Callable[[Desk, Cancel], T], told: Told[T], *, time_limit_s: float = ...) -> Errand: ...

    def report(self, name: str, take: Callable[[Sequence[Row]], None], told: Told[None]) -> Errand: ...

    def report_view(self, name: str) -> View[Any]: ...

    def on_terminal(self, arguments: Sequence[str], environment: Mapping[str, str]) -> int: ...

    def endings(self, now: datetime) -> list[Ending]: ...

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
