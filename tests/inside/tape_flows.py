"""The Tape REST API, spoken as FTS and gfal2 speak it; test_lake_storages.py starts this in the lake's environment."""

from __future__ import annotations

import json
import tempfile
import time
import unittest
from pathlib import Path

from inside import state as lake
from inside import tape_rest, tape_stage, topology
from inside.state import Facts, State
from joserfc import jwt
from joserfc.jwk import ECKey

FILE = "/data/lofar/f"


class TapeCase(unittest.TestCase):
    """An application in memory over one old file; `self.dn` is the certificate of the caller."""

    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.state = State(Path(directory.name))
        self.facts = Facts("abcd1234", "41.5.1", "nobody", {name: 21000 + at for at, name in enumerate(topology.port_names())})
        self.key = ECKey.generate_key("P-256", {"kid": "k1", "use": "sig", "alg": "ES256"})
        self.state.oidc.mkdir(parents=True)
        self.state.jwks.write_text(json.dumps({"keys": [self.key.as_dict(private=False)]}))
        file = self.state.data(tape_stage.tape_server()) / FILE.lstrip("/")
        file.parent.mkdir(parents=True)
        file.write_bytes(b"x")
        self.now = file.stat().st_mtime + 1000
        self.dn: str | None = topology.distinguished_name("alice")
        shelf = tape_stage.Shelf(self.state.live / "tape.db", self.state.data(tape_stage.tape_server()), lambda: self.now)
        self.client = tape_rest.make_app(self.state, self.facts, lambda _environ: self.dn, shelf).test_client()

    def token(self, key=None, **claims) -> dict[str, str]:
        """A header with a good token but for `claims`; the certificate is put away."""
        self.dn = None
        body = {"iss": lake.issuer(self.facts), "sub": "alice", "aud": topology.WLCG_ANY_AUDIENCE, "exp": int(time.time()) + 600}
        body |= {"scope": "storage.read:/ storage.stage:/lofar"} | claims
        return {"Authorization": f"Bearer {jwt.encode({'alg': 'ES256', 'kid': 'k1'}, body, key or self.key)}"}

    def stage(self, path: str = FILE, headers=None, **more):
        return self.client.post("/api/v1/stage", json={"files": [{"path": path, **more}]}, headers=headers)

    def locality(self, path: str = FILE, headers=None):
        return self.client.post("/api/v1/archiveinfo/", json={"paths": [path]}, headers=headers).get_json()

    def test_stage_poll_release(self) -> None:
        answer = self.stage()
        self.assertEqual(answer.status_code, 201)
        identifier = answer.get_json()["requestId"]
        self.assertTrue(answer.headers["Location"].endswith(f"/api/v1/stage/{identifier}"))
        (file,) = self.client.get(f"/api/v1/stage/{identifier}").get_json()["files"]
        self.assertEqual((file["state"], file["onDisk"]), ("STARTED", False))
        self.now += 60
        whole = self.client.get(f"/api/v1/stage/{identifier}").get_json()
        self.assertEqual((whole["files"][0]["state"], whole["files"][0]["onDisk"]), ("COMPLETED", True))
        self.assertIn("completedAt", whole)
        self.assertEqual(self.locality(), [{"path": FILE, "locality": "DISK_AND_TAPE"}])
        self.assertEqual(self.client.post(f"/api/v1/release/{identifier}", json={"paths": [FILE]}).status_code, 200)
        self.assertEqual(self.locality(), [{"path": FILE, "locality": "TAPE"}])

    def test_a_missing_file_fails_alone(self) -> None:
        identifier = self.stage("/data/lofar/none").get_json()["requestId"]
        (file,) = self.client.get(f"/api/v1/stage/{identifier}").get_json()["files"]
        self.assertEqual((file["state"], file["error"]), ("FAILED", "no such file"))
        self.assertEqual(self.locality("/data/lofar/none"), [{"path": "/data/lofar/none", "error": "no such file"}])

    def test_the_life_time_on_disk_is_kept(self) -> None:
        self.stage(diskLifetime="PT2M")
        self.now += 60
        self.assertEqual(self.locality()[0]["locality"], "DISK_AND_TAPE")
        self.now += 600
        self.assertEqual(self.locality()[0]["locality"], "TAPE")

    def test_cancel_and_delete(self) -> None:
        identifier = self.stage().get_json()["requestId"]
        self.assertEqual(self.client.post(f"/api/v1/stage/{identifier}/cancel", json={"paths": [FILE]}).status_code, 200)
        self.now += 60
        self.assertEqual(self.client.get(f"/api/v1/stage/{identifier}").get_json()["files"][0]["state"], "CANCELLED")
        self.assertEqual(self.client.post(f"/api/v1/stage/{identifier}/cancel", json={"paths": ["/data/lofar/g"]}).status_code, 400)
        self.assertEqual(self.client.delete(f"/api/v1/stage/{identifier}").status_code, 200)
        self.assertEqual(self.client.get(f"/api/v1/stage/{identifier}").status_code, 404)

    def test_nobody_is_asked_for_a_credential_and_a_stranger_refused(self) -> None:
        self.dn = None
        answer = self.stage()
        self.assertEqual((answer.status_code, answer.headers["WWW-Authenticate"]), (401, "Bearer"))
        self.dn = topology.distinguished_name("mallory")
        self.assertEqual(self.stage().status_code, 403)

    def test_a_reader_looks_and_does_not_stage(self) -> None:
        self.dn = topology.distinguished_name("bob")
        self.assertEqual(self.locality()[0]["locality"], "TAPE")
        self.assertEqual(self.stage().status_code, 403)
        self.assertEqual(self.client.post("/api/v1/release/x", json={"paths": [FILE]}).status_code, 403)

    def test_a_request_is_its_makers(self) -> None:
        identifier = self.stage().get_json()["requestId"]
        self.dn = topology.distinguished_name("robot")
        self.assertEqual(self.client.get(f"/api/v1/stage/{identifier}").status_code, 403)
        self.assertEqual(self.client.delete(f"/api/v1/stage/{identifier}").status_code, 403)

    def test_a_token_stages_below_its_path_only(self) -> None:
        headers = self.token()
        self.assertEqual(self.stage(headers=headers).status_code, 201)
        self.assertEqual(self.stage("/data/lofarother/f", headers).status_code, 403)
        self.assertEqual(self.locality(headers=headers)[0]["locality"], "TAPE")
        self.assertEqual(self.stage(headers=self.token(scope="storage.read:/")).status_code, 403)
        self.assertEqual(self.stage(headers=self.token(scope="storage.stage:/x/../lofar")).status_code, 403)

    def test_a_token_of_elsewhere_for_elsewhere_or_over_is_refused(self) -> None:
        other = ECKey.generate_key("P-256", {"kid": "k1"})
        bad = [{"iss": "https://elsewhere.example/"}, {"aud": "https://elsewhere.example"}, {"exp": int(time.time()) - 600}, {"exp": None}]
        for claims in bad:
            with self.subTest(claims=claims):
                self.assertEqual(self.stage(headers=self.token(**claims)).status_code, 401)
        self.assertEqual(self.stage(headers=self.token(key=other)).status_code, 401)
        self.assertEqual(self.stage(headers={"Authorization": "Bearer nonsense"}).status_code, 401)

    def test_a_bad_token_is_not_saved_by_a_good_certificate(self) -> None:
        headers = self.token(aud="https://elsewhere.example")
        self.dn = topology.distinguished_name("alice")
        self.assertEqual(self.stage(headers=headers).status_code, 401)

    def test_nonsense_is_answered_with_400(self) -> None:
        for body in (
            b"",
            b"[]",
            b"{",
            b'{"files": []}',
            b'{"files": [1]}',
            b'{"files": [{"path": 1}]}',
            b'{"files": [{"path": "/etc/passwd"}]}',
        ):
            with self.subTest(body=body):
                self.assertEqual(self.client.post("/api/v1/stage", data=body).status_code, 400)
        self.assertEqual(self.stage(diskLifetime="tomorrow").status_code, 400)
        self.assertEqual(self.stage(diskLifetime="P").status_code, 400)

    def test_the_document_is_open_and_the_release_of_an_old_id_works(self) -> None:
        self.assertEqual(self.client.post("/api/v1/release/forgotten", json={"paths": [FILE]}).status_code, 200)
        self.dn = None
        document = self.client.get("/.well-known/wlcg-tape-rest-api").get_json()
        self.assertEqual(document["endpoints"][0]["version"], "v1")


if __name__ == "__main__":
    unittest.main()
