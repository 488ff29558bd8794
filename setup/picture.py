"""Makes docs/console.svg, the README's picture, from a real run of the console on the real lake.

Starts the lake when it is down, and stops what it started. Configuration, state and log-ins of this run lie in a
directory that goes with it; what would tell of this machine or give a secret away stops it before anything is written.
"""

from __future__ import annotations

import asyncio
import getpass
import html
import json
import os
import re
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from rich.cells import cell_len

if TYPE_CHECKING:
    from qostui.config import Settings
    from qostui.ui.panes import FeedPane

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "console.svg"
PROFILE = "lake-operator"
PANE = "rules"
SIZE = (120, 36)
LARGEST = 300_000
"""Bytes: more than this loads slowly where a README is read."""
PATIENCE_S = 60.0
_FONT = "ui-monospace, 'Fira Code', 'DejaVu Sans Mono', Menlo, Consolas, monospace"


_SPACE = "\u00a0"
_TEXT = re.compile(
    r'(?P<before><text [^>]*?)x="(?P<x>[\d.]+)"(?P<between>[^>]*?)textLength="(?P<length>[\d.]+)"(?P<after>[^>]*)>(?P<text>[^<]*)</text>'
)


class PictureError(Exception):
    """No picture could be made; the text says why."""


def main() -> int:
    """Make the picture; 0 when it is written."""
    try:
        with _lake() as state, TemporaryDirectory(prefix="qostui-picture-") as place:
            settings = _settings(state, Path(place))
            picture = tight(own_fonts(asyncio.run(_taken(settings))))
            _refuse_private(picture, settings, (state, Path(place)))
    except PictureError as error:
        print(f"picture: {error}", file=sys.stderr)
        return 1
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(picture, encoding="utf-8")
    print(f"{TARGET.relative_to(ROOT)}: {len(picture.encode()):,} bytes", file=sys.stderr)
    return 0


# --- the lake ------------------------------------------------------------------------------------------------


@contextmanager
def _lake() -> Iterator[Path]:
    """The state directory of a lake that is up; one that was down goes down again afterwards."""
    variables = dict(re.findall(r"^export (\w+)=(.*)$", _qostui("lake", "env"), re.MULTILINE))
    state = Path(shlex.split(variables["QOSTUI_LAKE"])[0])
    listed = json.loads(_lake_command(state, "status", "-o", "json", check=False))
    started = not any(service["pid"] for service in listed)
    try:
        # Also where it runs: this waits until all of it answers.
        _lake_command(state, "up")
        yield state
    finally:
        if started:
            _lake_command(state, "down")


def _lake_command(state: Path, *arguments: str, check: bool = True) -> str:
    """What the lake's command says of this lake: named each time, so that no change of environment can mean another one."""
    return _qostui("lake", "--state", str(state), *arguments, check=check)


def _qostui(*arguments: str, check: bool = True) -> str:
    done = subprocess.run([sys.executable, "-m", "qostui", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        raise PictureError(f"qostui {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


# --- the run -------------------------------------------------------------------------------------------------


def _settings(state: Path, place: Path) -> Settings:
    """Settings of a person who has nothing but the lake's profiles, with every file of the run below `place`."""
    file = place / "qostui.toml"
    _lake_command(state, "profiles", "--file", str(file))
    for name in ("NO_COLOR", "TMUX", "XDG_RUNTIME_DIR", *(name for name in os.environ if name.startswith("QOSTUI_"))):
        os.environ.pop(name, None)
    os.environ.update(XDG_STATE_HOME=str(place), XDG_CONFIG_HOME=str(place), XDG_CACHE_HOME=str(place), TERM="xterm-256color")
    os.environ["COLORTERM"] = "truecolor"

    from qostui import config
    from qostui.adapters import environment

    environment.take()
    return config.load(file)


async def _taken(settings: Settings) -> str:
    """The console with the stuck rules in view: one marked, the detail of one open; as SVG."""
    from qostui.adapters import backend
    from qostui.domain.profile import Profile
    from qostui.services import session
    from qostui.ui.console import QostuiApp

    session.wire(backend.connect)

    def opened(profile: Profile) -> session.Session:
        return session.open_session(profile, settings)

    app = QostuiApp(settings, PROFILE, opened, environ={})
    async with app.run_test(size=SIZE, notifications=True) as pilot:

        async def until(holds: Callable[[], bool], what: str) -> None:
            deadline = time.monotonic() + PATIENCE_S
            while not holds():
                if time.monotonic() > deadline:
                    problem = app.pane.feed.status.problem if app.pane is not None else None
                    raise PictureError(f"{what} did not come in {PATIENCE_S:.0f} s{f': {problem.summary}' if problem else ''}")
                await pilot.pause(0.1)

        def live(pane: FeedPane | None) -> bool:
            return pane is not None and pane.feed.status.state == "live" and len(pane.table.model) > 0

        for number in range(1, len(app.session.views if app.session else ()) + 1):
            # Each is looked at once, so that the bar of tabs tells the count of all.
            await pilot.press(str(number))
            await until(lambda: live(app.pane), f"live rows of pane {number}")
        app.show_pane(PANE)
        pane = app.pane
        if pane is None:
            raise PictureError(f"there is no pane {PANE}")
        stuck = [key for key, row in pane.table.model.rows.items() if getattr(row, "state", "") == "STUCK"]
        if not stuck:
            raise PictureError("the lake has no stuck rule: put it back with `qostui lake reset`")
        # The one that went furthest says most: some of its files are there, and one has failed.
        chosen = max(stuck, key=lambda key: getattr(pane.table.model.rows[key], "fraction", None) or 0.0)
        for key in stuck:
            if key != chosen:
                pane.table.select(key)
                await pilot.press("space")
        pane.table.select(chosen)
        await pilot.press("enter")
        await until(lambda: pane.detail_open, "the detail")
        # Highlights of what has just changed fade after a moment.
        await pilot.pause(2.0)
        await until(lambda: live(pane), "a live feed")
        picture = app.export_screenshot(title="qostui")
        app.end(0)
    return picture


# --- what may leave ------------------------------------------------------------------------------------------


def own_fonts(picture: str) -> str:
    """The picture with the reader's own monospace font: nothing is fetched from elsewhere when it is shown."""
    picture = re.sub(r"\s*@font-face\s*\{.*?\}", "", picture, flags=re.DOTALL)
    return re.sub(r"font-family:\s*Fira Code[^;]*;", f"font-family: {_FONT};", picture)


def tight(picture: str) -> str:
    """The picture with no space at the edge of a piece of text, since some viewers drop them and move what follows."""

    def moved(match: re.Match[str]) -> str:
        text = match["text"]
        left, right = (len(text) - len(each) for each in (text.lstrip(_SPACE), text.rstrip(_SPACE)))
        if left + right == 0 or left == len(text):
            return match[0]
        # All that is trimmed is one cell wide, and so is what Rich counts as one.
        cell = float(match["length"]) / cell_len(html.unescape(text))
        x, length = float(match["x"]) + left * cell, float(match["length"]) - (left + right) * cell
        return f'{match["before"]}x="{x:g}"{match["between"]}textLength="{length:g}"{match["after"]}>{text.strip(_SPACE)}</text>'

    return _TEXT.sub(moved, picture.replace("&#160;", _SPACE))


def _refuse_private(picture: str, settings: Settings, places: tuple[Path, ...]) -> None:
    text = html.unescape(picture).replace(_SPACE, " ")
    private = {str(place): "a path" for place in (*places, ROOT, Path.home()) if len(place.parts) > 1}
    private |= {name: "this machine" for name in (socket.gethostname(),) if len(name) > 3 and name != "localhost"}
    private |= {f"/home/{getpass.getuser()}": "a path", "/var/lib/": "a path", "/tmp/": "a path", "/home/": "a path"}  # noqa: S108
    for profile in settings.profiles.values():
        for file in (profile.password_file, profile.token_file):
            if file is not None:
                private[file.read_text().splitlines()[0]] = f"what {file.name} holds"
    for value, meaning in private.items():
        if value in text:
            raise PictureError(f"{meaning} would be in it")
    if "://" in re.sub(r"https?://(www\.w3\.org|www\.textualize\.io|localhost)\b", "", text):
        raise PictureError("an address of another machine would be in it")
    if len(picture.encode()) > LARGEST:
        raise PictureError(f"it has {len(picture.encode()):,} bytes, more than {LARGEST:,}")


if __name__ == "__main__":
    sys.exit(main())
