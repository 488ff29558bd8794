"""The WSGI application of the provider."""

from __future__ import annotations

import functools
import logging
import secrets

from flask import Flask

from .. import atomic, register
from .. import state as lake
from ..state import Facts, State
from . import clients, endpoints, grants
from .browser import Browser
from .keys import SigningKey, key_file
from .people import Doorkeeper
from .provider import Provider
from .store import Store

MAX_REQUEST_BYTES = 64 * 1024


def _forgery_secret(state: State) -> bytes:
    path = state.oidc / "forms.key"
    if not path.exists():
        made = secrets.token_hex(32)
        register.note(state, made)
        atomic.write(path, made, 0o600)
    return path.read_text().encode()


def create_app(state: State, facts: Facts) -> Flask:
    """The application over a prepared state directory; nothing of the database is open before the first request."""
    for name in ("authlib", "joserfc"):
        logging.getLogger(name).setLevel(logging.WARNING)  # Authlib writes whole tokens at DEBUG
    app = Flask("qostui-oidc", static_folder=None, template_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_REQUEST_BYTES
    store = Store(state.oidc / "provider.db")
    key = SigningKey.load(key_file(state))
    note = functools.partial(register.note, state)
    server = Provider(app, lake.issuer(facts), clients.load(state, facts), Doorkeeper(state), key, store, note)
    grants.register(server)
    app.register_blueprint(endpoints.blueprint(server))
    app.register_blueprint(Browser(server, _forgery_secret(state), facts.id).blueprint())
    return app
