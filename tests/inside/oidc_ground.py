"""A prepared provider in memory, and what programs and browsers do with it: the ground of the provider's flow tests."""

from __future__ import annotations

import base64
import html
import json
import re
import tempfile
import unittest
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

from inside import oidc, topology
from inside import state as lake
from inside.oidc import clients as clients_table
from inside.oidc import people, store
from inside.oidc.app import create_app
from inside.state import Facts, State

BASE_PORT = 20000
DEVICE = clients_table.DEVICE
EXCHANGE = clients_table.EXCHANGE
ALL = "openid profile email offline_access wlcg wlcg.groups storage.read:/escape storage.modify:/escape"


def unpacked(token: str) -> tuple[dict, dict]:
    """Header and claims of a JWT, unchecked."""
    header, claims = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in token.split(".")[:2])
    return header, claims


class Page:
    """One HTML answer: its status, its text and its forms."""

    def __init__(self, answer) -> None:
        self.status = answer.status_code
        self.location = answer.headers.get("Location", "")
        self.headers = answer.headers
        self.text = answer.get_data(as_text=True)

    def forms(self) -> list[tuple[str, dict[str, str]]]:
        found = []
        for form in re.finditer(r'<form[^>]*action="([^"]*)"[^>]*>(.*?)</form>', self.text, re.DOTALL):
            fields = {}
            for field in re.findall(r"<input[^>]*>", form[2]):
                name, value = re.search(r'name="([^"]*)"', field), re.search(r'value="([^"]*)"', field)
                if name:
                    fields[name[1]] = html.unescape(value[1]) if value else ""
            found.append((html.unescape(form[1]), fields))
        return found


class ProviderCase(unittest.TestCase):
    """Each test has a lake state of its own with the provider prepared, and a fresh browser."""

    @classmethod
    def setUpClass(cls) -> None:
        cls._root = tempfile.TemporaryDirectory()
        cls.template = Path(cls._root.name) / "template"
        cls.facts = Facts("t1", "41.5.1", "me", ports={name: BASE_PORT + i for i, name in enumerate(topology.port_names())})
        oidc.prepare(State(cls.template), cls.facts)

    @classmethod
    def tearDownClass(cls) -> None:
        cls._root.cleanup()

    def setUp(self) -> None:
        self.state = State(self.template)
        (self.state.oidc / "provider.db").unlink(missing_ok=True)
        for left in self.state.oidc.glob("provider.db-*"):
            left.unlink()
        oidc.prepare(self.state, self.facts)
        self.secrets = clients_table.read_secrets(self.state)
        self.app = create_app(self.state, self.facts)
        self.issuer = lake.issuer(self.facts)
        self.browser = self.app.test_client()
        self.program = self.app.test_client(use_cookies=False)

    def store(self) -> store.Store:
        return store.Store(self.state.oidc / "provider.db")

    # What a program does

    def post(self, path: str, fields: dict, client: str = "qostui", secret: str | None = None):
        """POST with the client's own way to say who it is; `fields` values may be lists."""
        headers = {}
        if client == "qostui":
            fields = {"client_id": client, **fields}
        elif client:
            word = f"{client}:{self.secrets[client] if secret is None else secret}"
            headers["Authorization"] = "Basic " + base64.b64encode(word.encode()).decode()
        return self.program.post(path, data=fields, headers=headers, base_url=self.issuer)

    def token(self, fields: dict, client: str = "qostui", status: int = 200) -> dict:
        answer = self.post("/token", fields, client)
        self.assertEqual(answer.status_code, status, answer.get_data(as_text=True))
        self.assertEqual(answer.headers["Cache-Control"], "no-store")
        return answer.get_json()

    def refused(self, error: str, fields: dict, client: str = "qostui", status: int = 400) -> dict:
        answer = self.token(fields, client, status)
        self.assertEqual(answer["error"], error)
        return answer

    # What a browser does

    def get(self, path: str) -> Page:
        return Page(self.browser.get(path, base_url=self.issuer))

    def submit(self, page: Page, number: int = 0, **fields: str) -> Page:
        action, hidden = page.forms()[number]
        return Page(self.browser.post(action, data={**hidden, **fields}, base_url=self.issuer))

    def password(self, person: str) -> str:
        return people.password_file(self.state, person).read_text().strip()

    def log_in(self, page: Page, person: str) -> Page:
        done = self.submit(page, login=person, password=self.password(person))
        self.assertEqual(done.status, 303)
        return self.get(done.location)

    def device(self, scope: str = ALL, client: str = "qostui", **more: str) -> dict:
        answer = self.post("/device_authorization", {"scope": scope, **more}, client)
        self.assertEqual(answer.status_code, 200, answer.get_data(as_text=True))
        return answer.get_json()

    def approve(self, device: dict, person: str = "alice", number: int = 0) -> Page:
        parts = urlsplit(device["verification_uri_complete"])
        page = self.get(f"{parts.path}?{parts.query}")
        if "password" in page.forms()[0][1]:
            page = self.log_in(page, person)
        return self.submit(page, number)

    def poll(self, device: dict, client: str = "qostui", **more: str) -> dict:
        return {"grant_type": DEVICE, "device_code": device["device_code"], **more}

    def tokens(self, person: str = "alice", scope: str = ALL, client: str = "qostui", **more: str) -> dict:
        device = self.device(scope, client, **more)
        self.approve(device, person)
        return self.token(self.poll(device), client)

    def authorize(self, person: str = "alice", client: str = "rucio", number: int = 0, **more: str) -> tuple[dict, dict]:
        """Walk the code flow; the answer's parameters and the request's."""
        asked = {
            "response_type": "code",
            "client_id": client,
            "redirect_uri": f"{lake.url(self.facts, 'rucio')}/auth/oidc_code",
            "scope": "openid profile offline_access",
            "state": "st",
            "nonce": "no",
            "audience": "rucio",
            **more,
        }
        page = self.get("/authorize?" + urlencode(asked))
        if page.forms() and "password" in page.forms()[0][1]:
            page = self.log_in(page, person)
        self.assertEqual(page.status, 200, page.text)
        done = self.submit(page, number)
        self.assertEqual(done.status, 302, done.text)
        self.assertTrue(done.location.startswith(asked["redirect_uri"] + "?"), done.location)
        return {name: values[0] for name, values in parse_qs(urlsplit(done.location).query).items()}, asked

    # What a service does

    def introspect(self, token: str, client: str = "rucio") -> dict:
        answer = self.post("/introspect", {"token": token}, client)
        self.assertEqual(answer.status_code, 200)
        return answer.get_json()
