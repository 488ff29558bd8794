"""What the provider shows and keeps: introspection, revocation, userinfo, pages, files."""

from __future__ import annotations

import base64
import hashlib
import logging
import re
import stat

from inside import oidc, topology
from inside import state as lake
from inside.oidc import clients as clients_table
from inside.oidc import store
from inside.oidc.app import create_app
from inside.state import Facts
from oidc_ground import ALL, DEVICE, ProviderCase, unpacked


class Pages(ProviderCase):
    """Endpoints for services, pages for people, and what lasts."""

    # Introspection, revocation, userinfo

    def test_introspection(self) -> None:
        tokens = self.tokens()
        told = self.introspect(tokens["access_token"])
        self.assertEqual((told["active"], told["sub"], told["scope"], told["client_id"]), (True, "alice", ALL, "qostui"))
        self.assertEqual(self.introspect(tokens["refresh_token"]), {"active": False})
        self.assertEqual(self.introspect(tokens["id_token"]), {"active": False})
        self.assertEqual(self.introspect("x.y.z"), {"active": False})
        self.assertEqual(self.post("/introspect", {"token": tokens["access_token"]}).status_code, 401)
        theirs = self.tokens(client="oidc-agent")
        self.assertTrue(self.introspect(theirs["refresh_token"], "oidc-agent")["active"])

    def test_revocation(self) -> None:
        tokens = self.tokens()
        self.assertEqual(self.post("/revoke", {"token": tokens["access_token"]}, "rucio").status_code, 400)
        self.assertEqual(self.post("/revoke", {"token": tokens["access_token"]}).status_code, 200)
        self.assertEqual(self.introspect(tokens["access_token"]), {"active": False})
        self.assertEqual(self.userinfo(tokens["access_token"]).status_code, 401)
        again = self.token({"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]})
        self.assertEqual(self.post("/revoke", {"token": again["refresh_token"]}).status_code, 200)
        self.assertEqual(self.introspect(again["access_token"]), {"active": False})
        self.refused("invalid_grant", {"grant_type": "refresh_token", "refresh_token": again["refresh_token"]})
        self.assertEqual(self.post("/revoke", {"token": "unknown"}).status_code, 200)

    def userinfo(self, token: str):
        return self.program.get("/userinfo", base_url=self.issuer, headers={"Authorization": f"Bearer {token}"})

    def test_userinfo(self) -> None:
        answer = self.userinfo(self.tokens()["access_token"]).get_json()
        self.assertEqual(answer["sub"], "alice")
        self.assertEqual((answer["preferred_username"], answer["wlcg.groups"]), ("alice", ["/escape", "/escape/qos"]))
        self.assertEqual(self.userinfo(self.tokens(scope="storage.read:/")["access_token"]).status_code, 403)
        refused = self.userinfo("nonsense")
        self.assertEqual(refused.status_code, 401)
        self.assertIn('error="invalid_token"', refused.headers["WWW-Authenticate"])

    def test_userinfo_tells_what_was_granted_and_no_more(self) -> None:
        told = self.userinfo(
            self.tokens("bob", "openid email eduperson_entitlement eduperson_scoped_affiliation")["access_token"]
        ).get_json()
        assert told == {
            "sub": "bob",
            "email": "bob@escape.test",
            "email_verified": True,
            "eduperson_entitlement": ["urn:geant:escape.test:group:escape#lake"],
            "eduperson_scoped_affiliation": ["member@escape.test"],
        }

    def test_discovery(self) -> None:
        documents = [
            self.program.get("/.well-known/" + name, base_url=self.issuer).get_json()
            for name in ("openid-configuration", "oauth-authorization-server")
        ]
        self.assertEqual(documents[0], documents[1])
        self.assertEqual(documents[0]["issuer"], self.issuer)
        self.assertIn(DEVICE, documents[0]["grant_types_supported"])
        for name, address in documents[0].items():
            if name.endswith(("_endpoint", "_uri")):
                self.assertTrue(address.startswith(self.issuer), name)

    # Pages

    def test_log_in_is_throttled(self) -> None:
        page = self.get("/device")
        for _ in range(store.FAILURES_ALLOWED):
            self.assertEqual(self.submit(page, login="alice", password="wrong").status, 401)
        closed = self.submit(page, login="alice", password=self.password("alice"))
        self.assertEqual(closed.status, 429)
        self.assertGreater(int(closed.headers["Retry-After"]), 0)
        self.assertEqual(self.submit(page, login="bob", password=self.password("bob")).status, 303)

    def test_names_that_may_not_log_in(self) -> None:
        page = self.get("/device")
        for name in ("robot", "", "nobody", "alice' OR 1=1 --"):
            self.assertEqual(self.submit(page, login=name, password=self.password("alice")).status, 401, name)

    def test_forged_forms_are_refused(self) -> None:
        device = self.device()
        page = self.get("/device")
        self.assertEqual(self.submit(page, csrf="0" * 64, login="alice", password=self.password("alice")).status, 400)
        self.log_in(page, "alice")
        page = self.get("/device?user_code=" + device["user_code"])
        self.assertEqual(self.submit(page, csrf="").status, 400)
        self.assertEqual(self.submit(page, csrf="\u00e4").status, 400)
        self.refused("authorization_pending", self.poll(device))
        bare = self.app.test_client()
        self.assertEqual(
            bare.post("/login", data={"login": "alice", "password": self.password("alice")}, base_url=self.issuer).status_code, 400
        )

    def test_log_in_changes_the_session_and_leads_nowhere_else(self) -> None:
        page = self.get("/device")
        name = "__Host-idp-t1"
        before = self.browser.get_cookie(name, "localhost").value
        done = self.submit(page, login="alice", password=self.password("alice"), next="//evil.test/device")
        self.assertEqual(done.location, "/device")
        cookie = done.headers["Set-Cookie"]
        for word in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"):
            self.assertIn(word, cookie)
        self.assertNotEqual(self.browser.get_cookie(name, "localhost").value, before)

    def test_logging_in_again_ends_the_session_before(self) -> None:
        name = "__Host-idp-t1"
        page = self.get("/device")
        self.log_in(page, "alice")
        before = self.browser.get_cookie(name, "localhost").value
        assert self.store().login(before)
        hidden = {"csrf": self.get("/device?user_code=" + self.device()["user_code"]).forms()[0][1]["csrf"], "next": "/device"}
        fields = {**hidden, "login": "bob", "password": self.password("bob")}
        assert self.browser.post("/login", data=fields, base_url=self.issuer).status_code == 303
        assert self.store().login(before) is None
        assert self.store().login(self.browser.get_cookie(name, "localhost").value)["person"] == "bob"

    def test_log_out(self) -> None:
        device = self.device()
        self.log_in(self.get("/device"), "alice")
        page = self.get("/device?user_code=" + device["user_code"])
        self.assertIn("Logged out", self.submit(page, 2).text)
        self.assertIn("password", self.get("/device").forms()[0][1])

    def test_pages_escape_and_load_nothing(self) -> None:
        self.log_in(self.get("/device"), "alice")
        device = self.device(audience="https://x.test/<script>alert(1)</script>")
        page = self.get("/device?user_code=" + device["user_code"])
        self.assertNotIn("<script", page.text)
        self.assertIn("&lt;script&gt;", page.text)
        self.assertIn("default-src 'none'", page.headers["Content-Security-Policy"])
        self.assertIsNone(re.search(r'(src|href)="', page.text))
        style = re.search(r"<style>(.*?)</style>", page.text, re.DOTALL)[1]
        allowed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        self.assertIn(f"'sha256-{allowed}'", page.headers["Content-Security-Policy"])
        for text in ("qostui console", "storage.read:/escape", "Allow", "Deny"):
            self.assertIn(text, page.text)

    # What lasts

    def test_everything_survives_a_restart(self) -> None:
        tokens = self.tokens()
        kid = unpacked(tokens["access_token"])[0]["kid"]
        waiting = self.device()
        oidc.prepare(self.state, self.facts)
        self.app = create_app(self.state, self.facts)
        self.program = self.app.test_client(use_cookies=False)
        self.assertTrue(self.introspect(tokens["access_token"])["active"])
        again = self.token({"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]})
        self.assertEqual(unpacked(again["access_token"])[0]["kid"], kid)
        self.refused("authorization_pending", self.poll(waiting))

    def test_new_ports_change_the_issuer_and_keep_the_keys(self) -> None:
        published = self.state.jwks.read_text()
        moved = Facts("t1", "41.5.1", "me", ports={name: port + 1000 for name, port in self.facts.ports.items()})
        oidc.prepare(self.state, moved)
        self.assertEqual(self.state.jwks.read_text(), published)
        self.assertEqual(clients_table.read_secrets(self.state), self.secrets)
        self.assertEqual(unpacked(oidc.mint(self.state, moved, "alice", "", "openid", 60))[1]["iss"], lake.issuer(moved))
        self.assertIn(str(moved.ports["rucio"]), oidc.idpsecrets(self.state, moved)[topology.VO]["redirect_uris"][0])

    def test_minted_tokens(self) -> None:
        token = oidc.mint(self.state, self.facts, "alice", "rucio", "openid profile wlcg.groups", 600)
        self.assertTrue(self.introspect(token)["active"])
        self.assertEqual(self.userinfo(token).get_json()["wlcg.groups"], ["/escape", "/escape/qos"])
        old = oidc.mint(self.state, self.facts, "alice", "rucio", "openid", -5)
        claims = unpacked(old)[1]
        self.assertLess(claims["iat"], claims["exp"])
        self.assertEqual(self.introspect(old), {"active": False})

    def test_secret_files_are_private_and_old_pass_words_stay(self) -> None:
        before = self.password("alice")
        oidc.prepare(self.state, self.facts)
        self.assertEqual(self.password("alice"), before)
        files = [path for path in self.state.oidc.iterdir() if path != self.state.jwks] + list(self.state.client.iterdir())
        self.assertGreaterEqual(len(files), 6)
        for path in files:
            self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600, path)

    def test_no_secret_in_the_log(self) -> None:
        logging.getLogger().setLevel(logging.DEBUG)
        with self.assertLogs(level="DEBUG") as seen:
            tokens = self.tokens()
            self.token({"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]})
            self.token({"grant_type": "client_credentials"}, "rucio")
            self.browser = self.app.test_client()
            self.submit(self.get("/device"), login="alice", password="hunter2-wrong")
        logged = "\n".join(seen.output)
        self.assertIn("token issued to qostui for alice", logged)
        for secret in (
            tokens["access_token"].split(".")[2],
            tokens["refresh_token"],
            self.secrets["rucio"],
            "hunter2",
            self.password("alice"),
        ):
            self.assertNotIn(secret, logged)
