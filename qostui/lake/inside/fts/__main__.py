"""`python -m inside.fts --state DIR`: the lake's FTS stand-in, on the socket the supervisor bound."""

from __future__ import annotations

import argparse
import atexit
import logging
import os
from pathlib import Path

from .. import web
from ..state import State
from . import app
from .service import Service

_THREADS = 8


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="inside.fts", description="FTS stand-in of qostui's lake")
    parser.add_argument("--state", required=True, type=Path, help="state directory of the lake")
    parser.add_argument("--allow-local", action="store_true", help="take file: and mock: URLs too (for tests only)")
    given = parser.parse_args()
    os.umask(0o077)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    state = State(given.state)
    service = Service(state, state.read(), allow_local=given.allow_local)

    def begin() -> None:
        service.open()
        atexit.register(service.close)

    web.serve(app.make(service), state, client_certificates=True, threads=_THREADS, after_fork=begin)


if __name__ == "__main__":
    main()
