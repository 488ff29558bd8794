"""HTTPS for the lake's own services: gunicorn over a socket the supervisor bound, with grid client certificates."""

from __future__ import annotations

import gc
import os
import re
import ssl
from collections.abc import Callable, Iterable
from typing import Any

from gunicorn.app.base import BaseApplication

from .state import LISTEN_FD, State

_GRACE_S = 3
_WORKER_GRACE_S = 1
"""Seconds that calls under way have left after SIGTERM: until the arbiter kills the worker, and until it closes by itself."""

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_SHORT_NAMES = {
    "commonName": "CN",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "countryName": "C",
    "domainComponent": "DC",
    "stateOrProvinceName": "ST",
    "localityName": "L",
    "emailAddress": "emailAddress",
    "userId": "UID",
}
_PROXY_COMPONENT = re.compile(r"(/CN=(\d+|proxy|limited proxy))+$")


class _Server(BaseApplication):
    def __init__(self, app: WsgiApp, settings: dict[str, Any]) -> None:
        self._app = app
        self._settings = settings
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._settings.items():
            self.cfg.set(name, value)

    def load(self) -> WsgiApp:
        return self._app


def serve(
    app: WsgiApp,
    state: State,
    *,
    socket_fd: int = LISTEN_FD,
    client_certificates: bool = False,
    threads: int = 4,
    after_fork: Callable[[], None] | None = None,
) -> None:
    """Serve `app` over TLS until SIGTERM.

    One worker process with `threads` threads: a streamed answer holds a thread for as long as it is read.
    `after_fork` runs in the worker, where threads may be started. Client certificates are optional for the client
    and, where given, verified against the lake's CA directory with proxies allowed and CRLs checked.
    """
    for name in ("LISTEN_FDS", "LISTEN_PID"):
        os.environ.pop(name, None)  # gunicorn would take all inherited sockets instead of the one named here
    settings: dict[str, Any] = {
        "bind": f"fd://{socket_fd}",
        "worker_class": "gthread",
        "workers": 1,
        "threads": threads,
        "timeout": 300,
        "graceful_timeout": _GRACE_S,
        "keepalive": 15,
        "certfile": str(state.host_cert),
        "keyfile": str(state.host_key),
        "worker_tmp_dir": os.environ.get("TMPDIR"),
        "control_socket_disable": True,
        "proc_name": None,
        "accesslog": None,
    }
    if client_certificates:
        settings["ca_certs"] = str(state.ca)
        settings["cert_reqs"] = ssl.CERT_OPTIONAL
        settings["ssl_context"] = _grid_context(state)

    def begin(worker: Any) -> None:
        # The arbiter kills a worker when the grace is over, and the worker waits for its clients just as long: whoever
        # lost that race was killed before it could close. So the worker, and only it, is to be done earlier.
        worker.cfg.set("graceful_timeout", _WORKER_GRACE_S)
        if after_fork is not None:
            after_fork()

    settings["post_worker_init"] = begin
    gc.collect()
    gc.freeze()  # the worker is forked from here: what the collector does not touch stays shared
    _Server(app, settings).run()


def _grid_context(state: State) -> Callable[[Any, Callable[[], ssl.SSLContext]], ssl.SSLContext]:
    """A gunicorn `ssl_context` hook: RFC 3820 proxies allowed (ssl.VERIFY_ALLOW_PROXY_CERTS), CRLs checked."""

    def context(_config: object, factory: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
        made = factory()
        for crl in sorted(state.certificates.glob("*.r0")):
            made.load_verify_locations(cafile=str(crl))
            made.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
            break
        made.verify_flags |= ssl.VERIFY_ALLOW_PROXY_CERTS
        return made

    return context


def client_dn(environ: dict[str, Any]) -> str | None:
    """The verified client certificate's subject in slash form without its proxy components; None without one.

    gunicorn's gthread worker leaves the TLS socket in `environ['gunicorn.socket']`; whatever a client sends as a
    header cannot get here.
    """
    certificate_of = getattr(environ.get("gunicorn.socket"), "getpeercert", None)
    certificate = certificate_of() if certificate_of else None
    if not certificate:
        return None
    parts = (f"{_SHORT_NAMES.get(kind, kind)}={value}" for rdn in certificate["subject"] for kind, value in rdn)
    return _PROXY_COMPONENT.sub("", "".join(f"/{part}" for part in parts))
