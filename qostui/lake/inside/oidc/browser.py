"""What browsers speak with the provider: log-in, consent of the code flow, the device page, log-out.

Every form carries a CSRF token: a keyed hash of the browser's session cookie. A log-in changes the session.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import secrets
from urllib.parse import urlencode

from authlib.oauth2.rfc6749.errors import OAuth2Error
from flask import Blueprint, Response, make_response, redirect, request

from . import pages, scopes
from .people import Visit
from .provider import Provider
from .store import LOGIN_LIFETIME_S

log = logging.getLogger("oidc")

_BACK = re.compile(r"/(authorize\?[!-~]*|device(\?[!-~]*)?)")
"""Where a log-in may lead: only to pages of this provider."""
_FRESH_LOGIN_S = 60
"""A log-in this young satisfies `prompt=login`."""
_USER_CODE = re.compile(r"[BCDFGHJKLMNPQRSTVWXZ]{8}")


class Browser:
    """The pages' routes over one provider."""

    def __init__(self, server: Provider, secret: bytes, lake: str) -> None:
        self.server = server
        self._secret = secret
        self._cookie = f"__Host-idp-{lake}"
        """Cookies know no ports: the lake's id keeps two lakes on one machine apart."""

    def blueprint(self) -> Blueprint:
        """The routes that browsers use."""
        routes = Blueprint("browser", __name__)
        routes.add_url_rule("/", view_func=self.root)
        routes.add_url_rule("/authorize", view_func=self.authorize, methods=["GET", "POST"])
        routes.add_url_rule("/device", view_func=self.device, methods=["GET", "POST"])
        routes.add_url_rule("/login", view_func=self.login, methods=["POST"])
        routes.add_url_rule("/logout", view_func=self.logout, methods=["POST"])
        return routes

    # Sessions

    def _session(self) -> str:
        held = request.cookies.get(self._cookie, "")
        return held if re.fullmatch(r"[A-Za-z0-9_-]{43}", held) else ""

    def _visit(self) -> Visit | None:
        row = self.server.store.login(self._session())
        user = self.server.user(row["person"]) if row else None
        return Visit(user, row["time"]) if row and user else None

    def _csrf(self, session: str) -> str:
        return hmac.new(self._secret, session.encode(), hashlib.sha256).hexdigest()

    def _forged(self) -> bool:
        session = self._session()
        return not session or not hmac.compare_digest(self._csrf(session), request.form.get("csrf", "").encode("ascii", "replace").decode())

    def _html(self, text: str, status: int = 200, session: str = "") -> Response:
        answer = make_response(text, status)
        answer.headers.update(pages.SECURITY_HEADERS)
        if session and session != self._session():
            answer.set_cookie(self._cookie, session, max_age=LOGIN_LIFETIME_S, secure=True, httponly=True, samesite="Lax", path="/")
        return answer

    def _forgery(self) -> Response:
        return self._html(
            pages.message("Try again", "This form is out of date or not from this site. Go back, reload it, and try again."), 400
        )

    def _login_page(self, back: str, problem: str = "", status: int = 200) -> Response:
        session = self._session() or secrets.token_urlsafe(32)
        return self._html(pages.login("/login", self._csrf(session), back, problem), status, session)

    # Log-in

    def root(self) -> Response:
        """Say what this is."""
        return self._html(pages.message("OpenID provider", f"Issuer: {self.server.issuer}"))

    def login(self) -> Response:
        """Check name and pass word; five failures close a name for two minutes."""
        back = request.form.get("next", "")
        if not _BACK.fullmatch(back):
            back = "/device"
        if self._forged():
            return self._forgery()
        name, store = request.form.get("login", "").strip(), self.server.store
        key = f"login:{name if name in self.server.doorkeeper.users else ''}"
        wait = store.wait_for(key)
        if wait:
            answer = self._login_page(back, f"Too many failed tries. Try again in {wait} seconds.", 429)
            answer.headers["Retry-After"] = str(wait)
            return answer
        user = self.server.doorkeeper.admit(name, request.form.get("password", ""))
        if not user:
            store.add_failure(key)
            log.warning("log-in refused")
            return self._login_page(back, "Name or pass word is wrong.", 401)
        store.clear_failures(key)
        store.remove_login(self._session())
        session = store.add_login(user.name)
        self.server.note(session)
        log.info("log-in of %s", user.name)
        answer = self._html("", 303, session)
        answer.headers["Location"] = back
        return answer

    def logout(self) -> Response:
        """End the browser's session."""
        if self._forged():
            return self._forgery()
        self.server.store.remove_login(self._session())
        answer = self._html(pages.message("Logged out", "You are logged out."))
        answer.delete_cookie(self._cookie, secure=True, httponly=True, samesite="Lax", path="/")
        return answer

    # Code flow

    def authorize(self) -> Response:
        """The authorization endpoint: log in, ask for consent, send the browser back to the client."""
        visit = self._visit()
        try:
            grant = self.server.get_consent_grant(end_user=visit)
        except OAuth2Error as error:
            if error.redirect_uri:
                return self._sealed(self.server.handle_error_response(None, error))
            return self._html(
                pages.message("This request cannot go on", f"The client sent a bad request: {error.description or error.error}"), 400
            )
        except ValueError:
            return self._html(pages.message("This request cannot go on", "The client sent a malformed request."), 400)
        prompt = (request.args.get("prompt") or "").split()
        back = "/authorize?" + urlencode(list(request.args.items(multi=True)))
        stale = visit is not None and "login" in prompt and self.server.store.now() - visit.time > _FRESH_LOGIN_S
        if visit is None or stale:
            if "none" in prompt:
                return self._sealed(redirect(self._refusal(grant, "login_required")))
            return self._login_page(back)
        if "none" in prompt:
            return self._sealed(redirect(self._refusal(grant, "consent_required")))
        if request.method == "POST":
            if self._forged():
                return self._forgery()
            allowed = visit if request.form.get("decision") == "allow" else None
            return self._sealed(self.server.create_authorization_response(grant_user=allowed, grant=grant))
        return self._consent(back, visit, grant.client.entry.title, grant.request.scope or "", self.server.requested_audience())

    @staticmethod
    def _refusal(grant: object, error: str) -> str:
        fields = {"error": error} | ({"state": request.args["state"]} if "state" in request.args else {})
        uri = str(getattr(grant, "redirect_uri", ""))
        return f"{uri}{'&' if '?' in uri else '?'}{urlencode(fields)}"

    @staticmethod
    def _sealed(answer: Response) -> Response:
        answer.headers["Cache-Control"] = "no-store"
        answer.headers["Referrer-Policy"] = "no-referrer"
        return answer

    def _consent(self, action: str, visit: Visit, client: str, scope: str, audience: str, code: str = "") -> Response:
        asked = scope.split()
        granted = visit.user.allowed(asked)
        refused = [each for each in asked if each not in granted]
        return self._html(pages.consent(action, self._csrf(self._session()), visit.user.name, client, granted, refused, audience, code))

    # Device flow

    def device(self) -> Response:
        """The verification page of the device flow (RFC 8628 section 3.3)."""
        raw = request.values.get("user_code", "")
        visit = self._visit()
        if visit is None:
            return self._login_page("/device" + (f"?{urlencode({'user_code': raw[:32]})}" if raw else ""))
        if not raw:
            return self._html(pages.device("/device"))
        if request.method == "POST" and self._forged():
            return self._forgery()
        store, key = self.server.store, f"code:{visit.user.name}"
        wait = store.wait_for(key)
        if wait:
            return self._html(pages.device("/device", f"Too many wrong codes. Try again in {wait} seconds."), 429)
        code = _spelled(raw)
        row = store.waiting_device(code) if code else None
        client = self.server.clients.get(row["client"]) if row else None
        if row is None or client is None:
            store.add_failure(key)
            return self._html(
                pages.device("/device", "This code is unknown, used or out of date. Check it, or start again on the device."), 404
            )
        granted = visit.user.allowed(row["scope"].split())
        if request.method == "GET":
            return self._consent("/device", visit, client.entry.title, row["scope"], row["audience"], code)
        allow = request.form.get("decision") == "allow" and (bool(granted) or not row["scope"])
        if not store.decide_device(code, "allow" if allow else "deny", visit.user.name, scopes.join(granted), visit.time):
            return self._html(pages.device("/device", "This code was used meanwhile. Start again on the device."), 409)
        log.info("device code of %s: %s by %s", client.client_id, "allowed" if allow else "denied", visit.user.name)
        if allow:
            return self._html(pages.message("Connected", "Access is allowed. You can close this page and go back to your device."))
        return self._html(pages.message("Denied", "Access is denied. You can close this page."))


def _spelled(code: str) -> str:
    """A user code as it is stored, whatever case and separators it was typed with; empty when it cannot be one."""
    letters = re.sub(r"[^A-Z]", "", code.upper()[:32])
    return f"{letters[:4]}-{letters[4:]}" if _USER_CODE.fullmatch(letters) else ""
