"""The Rucio REST server under gunicorn, with X.509 and proxy log-in as Apache's mod_ssl would give it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from . import sqlite_writes, web
from .state import State

_THREADS = 16
"""Each stream that is being read holds one: a console, a `rucio list` and a stalled reader must not stop log-ins."""


def main(argv: list[str] | None = None) -> int:
    """Serve Rucio over the inherited socket until SIGTERM."""
    parser = argparse.ArgumentParser(prog="inside.rucio_server")
    parser.add_argument("--state", type=Path, required=True)
    state = State(parser.parse_args(argv).state)
    sqlite_writes.take_locks_early()
    from rucio.web.rest.flaskapi.v1.main import application as rucio
    from sqlalchemy.orm import configure_mappers

    configure_mappers()

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        environ.pop("SSL_CLIENT_S_DN", None)
        subject = web.client_dn(environ)
        if subject is not None:
            environ["SSL_CLIENT_S_DN"] = subject
        answer: Iterable[bytes] = rucio(environ, start_response)
        return answer

    web.serve(application, state, client_certificates=True, threads=_THREADS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
