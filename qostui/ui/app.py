"""The way into the console: looks at the terminal before Textual is imported, runs the app, says how it ended."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .. import paths
from . import crash, terminal

if TYPE_CHECKING:
    from ..config import Settings
    from .console import QostuiApp


def run(settings: Settings, profile_name: str | None, read_only: bool = False, *, ssh: bool | None = None) -> int:
    """Run the console and return its exit code; None as profile opens the first-run page.

    `ssh` says whether to write less than usual; None leaves it to the settings and the environment. Raises UsageProblem
    where there is no terminal that it could run on.
    """
    terminal.check(os.environ)
    line = terminal.line(os.environ, settings.ssh if ssh is None else ssh)
    terminal.prepare(os.environ, line, development=os.environ.get("QOSTUI_DEVELOPMENT") == "1")
    with crash.CrashHandler(settings.state_dir) as handler:
        return _run(settings, profile_name, read_only, line, handler)


def _run(settings: Settings, profile_name: str | None, read_only: bool, line: terminal.Line, handler: crash.CrashHandler) -> int:
    from .. import config
    from ..domain.profile import Profile
    from ..services.session import VIEWS, Session, lacking, open_session

    ahead: dict[str, Session] = {}
    if profile_name is not None:
        first = open_session(settings.profiles[profile_name], settings, read_only=read_only or settings.read_only, start=False)
        first.recall(VIEWS[0].id)
        ahead[profile_name] = first
    from .console import QostuiApp

    def opened(profile: Profile) -> Session:
        if (session := ahead.pop(profile.name, None)) is not None:
            session.start()
            return session
        return open_session(profile, app.settings, read_only=read_only or app.settings.read_only)  # type: ignore[attr-defined,arg-type]

    def reloaded() -> Settings:
        return config.load()

    def lacks(profile: Profile) -> str:
        return lacking(profile, app.settings)  # type: ignore[arg-type]

    app = QostuiApp(settings, profile_name, opened, reload=reloaded, lacks=lacks, theme_directories=(paths.themes_dir(),), line=line)

    def tell(error: BaseException, path: Path | None) -> None:
        app.call_later(app.say, crash.sentence(error, path), "error")

    handler.tell = tell
    return serve(app, mouse=settings.mouse)


def serve(app: QostuiApp, *, mouse: bool = False) -> int:
    """Run the app to its end; the exit code."""
    from .driver import LOST, HardDriver

    app.run(mouse=mouse)
    if isinstance(app._driver, HardDriver):
        app._driver.disarm()
    if app.session is not None:
        app.session.close()
    code = app.return_code
    if code is None:
        code = crash.EXIT
        print("qostui: the console ended without saying why", file=sys.stderr)
    if code == LOST:
        _forget_terminal()
    return code


def _forget_terminal() -> None:
    """What is still buffered for a terminal that is gone must not turn the exit code into Python's 120."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is not None and not stream.closed:
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
