"""How tokens are obtained: device flow, code flow, refresh, client credentials, exchange."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, urlencode, urlsplit

from inside import oidc, topology
from inside import state as lake
from inside.oidc import scopes
from oidc_ground import ALL, EXCHANGE, ProviderCase, unpacked


class Tokens(ProviderCase):
    """The grants, as clients use them."""

    # The device flow

    def test_device_flow_gives_wlcg_tokens(self) -> None:
        device = self.device()
        self.assertEqual(device["interval"], 2)
        self.assertEqual(device["verification_uri"], self.issuer + "device")
        self.assertRegex(device["user_code"], r"^[A-Z]{4}-[A-Z]{4}$")
        self.refused("authorization_pending", self.poll(device))
        self.assertIn("Connected", self.approve(device).text)
        answer = self.token(self.poll(device))
        header, claims = unpacked(answer["access_token"])
        jwk = self.program.get("/jwks", base_url=self.issuer).get_json()["keys"][0]
        self.assertEqual(header, {"alg": "RS256", "typ": "at+jwt", "kid": jwk["kid"]})
        self.assertEqual(set(jwk) & {"d", "p", "q", "dp", "dq", "qi"}, set())
        self.assertEqual((claims["iss"], claims["sub"], claims["aud"]), (self.issuer, "alice", topology.WLCG_ANY_AUDIENCE))
        self.assertEqual((claims["wlcg.ver"], claims["wlcg.groups"]), ("1.0", ["/escape", "/escape/qos"]))
        self.assertEqual((claims["scope"], claims["client_id"], answer["scope"]), (ALL, "qostui", ALL))
        self.assertEqual(claims["exp"] - claims["iat"], answer["expires_in"])
        self.assertEqual(claims["nbf"], claims["iat"])
        identity = unpacked(answer["id_token"])[1]
        self.assertEqual((identity["aud"], identity["sub"], identity["email"]), ("qostui", "alice", "alice@escape.test"))
        half = hashlib.sha256(answer["access_token"].encode()).digest()[:16]
        self.assertEqual(identity["at_hash"], base64.urlsafe_b64encode(half).decode().rstrip("="))
        self.refused("invalid_grant", self.poll(device))

    def test_all_that_is_handed_out_is_in_the_register(self) -> None:
        device = self.device()
        self.approve(device)
        given = self.token(self.poll(device))
        again = self.token({"grant_type": "refresh_token", "refresh_token": given["refresh_token"]})
        code = self.authorize()[0]["code"]
        alone = oidc.mint(self.state, self.facts, "alice", "rucio", "openid", 60)
        tokens = [answer[kind] for answer in (given, again) for kind in ("access_token", "refresh_token", "id_token")]
        kept = json.loads((self.state.oidc / "key.json").read_text())
        noted = [json.loads(line) for line in self.state.register.read_text().splitlines()]
        made = [device["device_code"], code, alone, *tokens, *self.secrets.values(), self.password("alice"), kept["d"], kept["p"]]
        self.assertEqual([secret[:4] for secret in made if secret not in noted], [])
        self.assertEqual(self.state.register.stat().st_mode & 0o777, 0o600)

    def test_polling_too_fast_is_slowed_down(self) -> None:
        device = self.device()
        self.refused("authorization_pending", self.poll(device))
        self.refused("slow_down", self.poll(device))
        self.assertEqual(self.store().device(device["device_code"])["interval"], 7)

    def test_device_code_runs_out(self) -> None:
        device = self.device()
        self.store()._database().execute("UPDATE device SET expires=?", (int(time.time()) - 1,))
        self.refused("expired_token", self.poll(device))
        self.log_in(self.get("/device"), "alice")
        self.assertEqual(self.get("/device?user_code=" + device["user_code"]).status, 404)

    def test_denied_device(self) -> None:
        device = self.device()
        self.assertIn("Denied", self.approve(device, number=1).text)
        self.refused("access_denied", self.poll(device))

    def test_device_code_is_bound_to_its_client(self) -> None:
        device = self.device()
        self.approve(device)
        self.refused("unauthorized_client", self.poll(device), client="oidc-agent")
        self.refused("invalid_client", {**self.poll(device), "client_id": "oidc-agent"}, client="", status=401)

    def test_narrower_scope_and_audience_on_the_poll(self) -> None:
        device = self.device(audience="https://first.test")
        self.approve(device)
        self.refused("invalid_scope", self.poll(device, scope="storage.read:/"))
        answer = self.token(self.poll(device, scope="storage.read:/escape/sub", audience="https://a.test https://b.test"))
        claims = unpacked(answer["access_token"])[1]
        self.assertEqual((claims["scope"], claims["aud"]), ("storage.read:/escape/sub", ["https://a.test", "https://b.test"]))
        self.assertNotIn("id_token", answer)
        self.assertNotIn("wlcg.groups", claims)
        again = self.token({"grant_type": "refresh_token", "refresh_token": answer["refresh_token"]})
        claims = unpacked(again["access_token"])[1]
        self.assertEqual((claims["scope"], claims["aud"]), (ALL, "https://first.test"))

    def test_typed_code_may_be_spelled_loosely(self) -> None:
        device = self.device()
        self.log_in(self.get("/device"), "alice")
        page = self.get("/device?user_code=" + device["user_code"].lower().replace("-", "%20"))
        self.assertIn(device["user_code"], page.text)

    def test_guessing_codes_is_throttled(self) -> None:
        self.log_in(self.get("/device"), "bob")
        statuses = [self.get("/device?user_code=BCDF-GHJ" + letter).status for letter in "KLMNPQR"]
        self.assertEqual(statuses, [404] * 5 + [429] * 2)

    # Who may have what

    def test_a_person_is_granted_only_what_is_theirs(self) -> None:
        claims = unpacked(self.tokens("bob", ALL + " storage.stage:/ compute.create")["access_token"])[1]
        self.assertEqual(claims["scope"], "openid profile email offline_access wlcg wlcg.groups storage.read:/escape")
        self.assertEqual(claims["wlcg.groups"], ["/escape"])

    def test_a_group_asked_for_by_name_comes_first(self) -> None:
        claims = unpacked(self.tokens("alice", "openid wlcg.groups:/escape/qos")["access_token"])[1]
        self.assertEqual(claims["wlcg.groups"], ["/escape/qos", "/escape"])
        claims = unpacked(self.tokens_of_new_browser("bob", "openid wlcg.groups:/escape/qos")["access_token"])[1]
        self.assertEqual(claims["scope"], "openid")

    def tokens_of_new_browser(self, person: str, scope: str) -> dict:
        self.browser = self.app.test_client()
        return self.tokens(person, scope)

    def test_unknown_and_foreign_scopes_are_refused(self) -> None:
        for bad in (
            "storage.write:/x",
            "storage.read",
            "storage.read:x",
            "admin",
            "storage.read:/a/../b",
            "storage.read:/%2E%2e/b",
            "fts:A",
        ):
            answer = self.post("/device_authorization", {"scope": f"openid {bad}"})
            self.assertEqual((answer.status_code, answer.get_json()["error"]), (400, "invalid_scope"), bad)
        self.refused("invalid_scope", {"grant_type": "client_credentials", "scope": "scim:read"}, "rucio")
        self.refused("invalid_scope", {"grant_type": "client_credentials", "scope": "storage.read:/"}, "rucio-admin")

    def test_malformed_audience_is_refused(self) -> None:
        answer = self.post("/device_authorization", {"scope": "openid", "audience": 'a"b'})
        self.assertEqual((answer.status_code, answer.get_json()["error"]), (400, "invalid_target"))
        self.refused("invalid_target", {"grant_type": "client_credentials", "audience": "x" * 300}, "rucio")

    def test_scope_cover(self) -> None:
        for granted, wanted, held in (
            ("storage.read:/", "storage.read:/a/b", True),
            ("storage.read:/a", "storage.read:/a/", True),
            ("storage.read:/a", "storage.read:/ab", False),
            ("storage.read:/a", "storage.modify:/a", False),
            ("wlcg.groups", "wlcg.groups:/escape", True),
            ("openid", "profile", False),
            ("compute.read", "compute.read:/x", True),
        ):
            self.assertIs(scopes.covers([granted], wanted), held, (granted, wanted))

    # Refresh

    def test_refresh_rotates_and_narrows(self) -> None:
        first = self.tokens()
        narrow = {"grant_type": "refresh_token", "scope": "storage.read:/escape", "resource": ["https://a.test", "https://b.test"]}
        self.refused("invalid_scope", {**narrow, "scope": "storage.stage:/", "refresh_token": first["refresh_token"]})
        second = self.token({**narrow, "refresh_token": first["refresh_token"]})
        claims = unpacked(second["access_token"])[1]
        self.assertEqual((claims["scope"], claims["aud"]), ("storage.read:/escape", ["https://a.test", "https://b.test"]))
        self.assertNotEqual(second["refresh_token"], first["refresh_token"])
        third = self.token({"grant_type": "refresh_token", "refresh_token": second["refresh_token"]})
        self.assertEqual(third["scope"], ALL)

    def test_replayed_refresh_token_ends_the_family(self) -> None:
        first = self.tokens()
        second = self.token({"grant_type": "refresh_token", "refresh_token": first["refresh_token"]})
        self.assertTrue(self.introspect(second["access_token"])["active"])
        self.refused("invalid_grant", {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]})
        self.refused("invalid_grant", {"grant_type": "refresh_token", "refresh_token": second["refresh_token"]})
        self.assertEqual(self.introspect(second["access_token"]), {"active": False})

    def test_one_refresh_token_used_at_once_by_many_works_once_at_most(self) -> None:
        first = self.tokens()
        fields = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
        together = threading.Barrier(6)

        def use(_number: int) -> int:
            together.wait()
            return int(self.post("/token", fields).status_code)

        with ThreadPoolExecutor(6) as threads:
            answers = list(threads.map(use, range(6)))
        assert answers.count(200) <= 1, answers
        assert set(answers) <= {200, 400}, answers
        assert self.introspect(first["access_token"]) == {"active": False}

    def test_refresh_token_is_bound_to_its_client(self) -> None:
        first = self.tokens()
        self.refused("invalid_grant", {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}, "oidc-agent")
        self.token({"grant_type": "refresh_token", "refresh_token": first["refresh_token"]})

    def test_no_refresh_without_offline_access(self) -> None:
        self.assertNotIn("refresh_token", self.tokens(scope="openid storage.read:/"))

    # The code flow

    def exchange(self, answer: dict, asked: dict, client: str = "rucio", **more: str) -> dict:
        return {"grant_type": "authorization_code", "code": answer["code"], "redirect_uri": asked["redirect_uri"], **more}

    def test_code_flow_for_rucio(self) -> None:
        answer, asked = self.authorize()
        self.assertEqual(answer["state"], "st")
        tokens = self.token(self.exchange(answer, asked), "rucio")
        claims, identity = unpacked(tokens["access_token"])[1], unpacked(tokens["id_token"])[1]
        self.assertEqual((claims["aud"], claims["sub"], claims["scope"]), ("rucio", "alice", "openid profile offline_access"))
        self.assertEqual((identity["nonce"], identity["aud"], identity["preferred_username"]), ("no", "rucio", "alice"))
        self.assertAlmostEqual(identity["auth_time"], time.time(), delta=30)
        self.refused("invalid_grant", self.exchange(answer, asked), "rucio")
        self.assertEqual(self.introspect(tokens["access_token"]), {"active": False})
        self.refused("invalid_grant", {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}, "rucio")

    def test_code_is_bound_to_client_and_redirect_uri(self) -> None:
        answer, asked = self.authorize()
        self.refused("invalid_grant", self.exchange(answer, {"redirect_uri": asked["redirect_uri"] + "/"}), "rucio")
        self.refused("invalid_grant", self.exchange(answer, asked), "oidc-agent")
        self.token(self.exchange(answer, asked), "rucio")

    def test_code_runs_out(self) -> None:
        answer, asked = self.authorize()
        self.store()._database().execute("UPDATE code SET expires=?", (int(time.time()) - 1,))
        self.refused("invalid_grant", self.exchange(answer, asked), "rucio")

    def test_public_client_needs_pkce_s256(self) -> None:
        verifier = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
        mine = {"client": "qostui", "redirect_uri": "http://127.0.0.1:5555/callback"}
        bare = {"response_type": "code", "client_id": "qostui", "redirect_uri": mine["redirect_uri"], "scope": "openid", "state": "s"}
        for wrong in ({}, {"code_challenge": challenge}, {"code_challenge": verifier, "code_challenge_method": "plain"}):
            page = self.get("/authorize?" + urlencode(bare | wrong))
            self.assertEqual(parse_qs(urlsplit(page.location).query)["error"], ["invalid_request"], wrong)
        answer, asked = self.authorize(**mine, code_challenge=challenge, code_challenge_method="S256")
        self.refused("invalid_request", self.exchange(answer, asked))
        self.refused("invalid_grant", self.exchange(answer, asked, code_verifier=secrets.token_urlsafe(48)))
        self.assertIn("access_token", self.token(self.exchange(answer, asked, code_verifier=verifier)))

    def test_redirect_uri_must_match_exactly(self) -> None:
        good = f"{lake.url(self.facts, 'rucio')}/auth/oidc_code"
        for client, uri in (
            ("rucio", good + "/"),
            ("rucio", good + "?x=1"),
            ("rucio", good.replace("localhost", "localhost.evil.test")),
            ("rucio", ""),
            ("rucio", "\\\u00e4"),
            ("qostui", "http://127.0.0.1:1/other"),
            ("qostui", "http://127.0.0.1:1@evil.test/callback"),
            ("qostui", "http://evil.test:80/callback"),
            ("nobody", good),
        ):
            page = self.get(
                "/authorize?" + urlencode({"response_type": "code", "client_id": client, "redirect_uri": uri, "scope": "openid"})
            )
            self.assertEqual((page.status, page.location), (400, ""), uri)
        page = self.get("/authorize?" + urlencode({"response_type": '"\\', "client_id": "rucio", "redirect_uri": good}))
        self.assertEqual(page.status, 400)

    def test_denied_consent_and_prompt_none(self) -> None:
        self.assertEqual(
            self.authorize(number=1)[0], {"error": "access_denied", "state": "st"} | self.described(self.authorize(number=1)[0])
        )
        asked = {"response_type": "code", "client_id": "rucio", "redirect_uri": f"{lake.url(self.facts, 'rucio')}/auth/oidc_code"}
        query = "/authorize?" + urlencode({**asked, "scope": "openid", "prompt": "none", "state": "q"})
        self.assertEqual(parse_qs(urlsplit(self.get(query).location).query), {"error": ["consent_required"], "state": ["q"]})
        self.browser = self.app.test_client()
        self.assertEqual(parse_qs(urlsplit(self.get(query).location).query)["error"], ["login_required"])

    def described(self, answer: dict) -> dict:
        return {name: answer[name] for name in ("error_description",) if name in answer}

    # Clients on their own

    def test_client_credentials_as_rucio_asks(self) -> None:
        answer = self.token(
            {"grant_type": "client_credentials", "audience": "https://a.test https://b.test", "scope": "storage.read:/ offline_access"},
            "rucio",
        )
        claims = unpacked(answer["access_token"])[1]
        self.assertEqual((claims["sub"], claims["aud"]), ("rucio", ["https://a.test", "https://b.test"]))
        self.assertNotIn("refresh_token", answer)
        self.refused("unauthorized_client", {"grant_type": "client_credentials"}, "oidc-agent")

    def test_clients_must_prove_themselves(self) -> None:
        for client, secret in (("rucio", "wrong"), ("rucio", self.secrets["fts"]), ("nobody", "x")):
            answer = self.post("/token", {"grant_type": "client_credentials"}, client, secret)
            self.assertEqual((answer.status_code, answer.get_json()["error"]), (401, "invalid_client"))
        by_form = {"grant_type": "client_credentials", "client_id": "rucio", "client_secret": self.secrets["rucio"]}
        self.assertIn("access_token", self.token(by_form, ""))

    def test_token_exchange(self) -> None:
        mine = self.tokens()["access_token"]
        ask = {"grant_type": EXCHANGE, "subject_token": mine, "subject_token_type": "urn:ietf:params:oauth:token-type:access_token"}
        answer = self.token({**ask, "scope": "storage.read:/escape offline_access", "audience": "fts"}, "fts")
        claims = unpacked(answer["access_token"])[1]
        self.assertEqual((claims["sub"], claims["aud"], claims["client_id"]), ("alice", "fts", "fts"))
        self.assertEqual(answer["issued_token_type"], ask["subject_token_type"])
        self.assertIn("access_token", self.token({"grant_type": "refresh_token", "refresh_token": answer["refresh_token"]}, "fts"))
        self.refused("invalid_scope", {**ask, "scope": "storage.stage:/"}, "rucio")
        self.refused("invalid_grant", {**ask, "subject_token": mine[:-4] + "AAAA"}, "rucio")
        self.refused("unauthorized_client", ask, "oidc-agent")

    def test_unknown_grant_types(self) -> None:
        self.refused("unsupported_grant_type", {"grant_type": "password"})
        self.assertEqual(self.post("/token", {"grant_type": '"\\'}).status_code, 400)
        self.assertEqual(self.program.get("/token", base_url=self.issuer).status_code, 405)

    # The store itself: what holds when two requests pass the first look together

    def test_each_code_is_taken_once(self) -> None:
        kept = self.store()
        common = {"client": "rucio", "subject": "alice", "scope": "openid", "audience": ""}
        kept.add_code("c", **common, redirect="https://x.test", challenge=None, nonce=None, login_time=1)
        assert [kept.use_code("c"), kept.use_code("c")] == [True, False]
        kept.add_device("d", "BCDF-GHJK", "qostui", "openid", "", 2)
        assert not kept.use_device("d")
        assert kept.decide_device("BCDF-GHJK", "allow", "alice", "openid", 1)
        assert not kept.decide_device("BCDF-GHJK", "deny", "bob", "openid", 1)
        assert [kept.use_device("d"), kept.use_device("d")] == [True, False]

    def test_a_refresh_token_taken_twice_ends_its_family(self) -> None:
        kept = self.store()
        kept.add_family("f", "qostui", "alice", "openid", "", 1)
        token = kept.add_refresh("f")
        kept.add_issued("j", "f", kept.now() + 60)
        assert kept.use_refresh(token)
        newer = kept.add_refresh("f")
        assert not kept.use_refresh(token)
        assert kept.is_revoked("j")
        assert not kept.use_refresh(newer)
        assert not kept.use_refresh("unknown")
