"""The FTS stand-in end to end, over TLS, with real copies by gfal2 (`file:` URLs) and made-up ones (`mock:`).

Run by the lake's interpreter: it alone has Flask and gfal2. Shapes are compared with answers of a real FTS 3.13.3.
"""

from __future__ import annotations

import json
import os
import signal
import stat
import time
import unittest
import uuid
import zlib
from pathlib import Path
from typing import Any, ClassVar

from fts_ground import Ground
from inside import topology

RECORDED: dict[str, Any] = json.loads((Path(__file__).parents[1] / "unit" / "fts_recorded.json").read_text())
SLOW = "mock://b.test/slow?time=60&size_post=10"
QUICK = "mock://b.test/f?time=1&size_post=10"
SOURCE = "mock://a.test/f?size=10"


class Flows(unittest.TestCase):
    ground: ClassVar[Ground]

    @classmethod
    def setUpClass(cls) -> None:
        cls.ground = Ground()
        cls.addClassCleanup(cls.ground.close)
        cls.ground.start()

    def setUp(self) -> None:
        self.robot = self.ground.client("robot")
        self.alice = self.ground.client("alice")
        self.bob = self.ground.client("bob")
        self.nobody = self.ground.client(None)
        self.files = self.ground.root / "files" / uuid.uuid4().hex
        self.files.mkdir(parents=True)

    def local(self, name: str, content: bytes | None = None) -> str:
        path = self.files / name
        if content is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return f"file://{path}"

    def children(self) -> list[int]:
        """Transfer children of the service."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                words = (process / "cmdline").read_bytes().split(b"\0")
                mine = str(self.ground.root).encode() in (process / "environ").read_bytes()
            except OSError:
                continue
            if mine and any(word.endswith(b"fts/transfer.py") for word in words):
                found.append(int(process.name))
        return found

    def assert_recorded(self, answer: Any, recorded: dict[str, Any]) -> None:
        self.assertEqual(answer.status_code, recorded["status"], answer.text)
        self.assertEqual(answer.json(), recorded["response"])


class Faces(Flows):
    """Who speaks, and what the service says of itself."""

    def test_it_says_that_it_is_a_stand_in(self) -> None:
        root = self.nobody.get("/")
        self.assertTrue(root["_qostui"]["stand_in"])
        self.assertIn("stand-in", root["_qostui"]["text"])
        for name in ("api", "core", "schema", "delegation"):
            self.assertIn("major", root[name])

    def test_nobody_gets_what_a_real_fts_gives_nobody(self) -> None:
        self.assert_recorded(self.nobody.ask("GET", "/whoami"), RECORDED["anonymous_whoami"])
        self.assert_recorded(self.nobody.ask("GET", "/jobs"), RECORDED["anonymous_jobs"])
        for method, path in (("POST", "/jobs"), ("GET", "/files"), ("GET", "/config/se"), ("GET", "/ban/se"), ("GET", "/delegation/x")):
            self.assertEqual(self.nobody.ask(method, path, {}).status_code, 403, path)

    def test_a_token_without_a_provider_is_refused_as_recorded(self) -> None:
        answer = self.ground.client(None, headers={"Authorization": "Bearer abc"}).ask("GET", "/whoami")
        self.assertEqual((answer.status_code, answer.text), (400, RECORDED["bearer"]["response"]))

    def test_a_certificate_is_its_dn(self) -> None:
        me = self.alice.get("/whoami")
        self.assertEqual(set(me), set(RECORDED["anonymous_whoami"]["response"]))
        self.assertEqual(
            (me["user_dn"], me["vos"], me["method"], me["is_root"]),
            (topology.distinguished_name("alice"), ["escape"], "certificate", False),
        )
        self.assertEqual(len(me["delegation_id"]), 16)
        self.assertTrue(self.robot.get("/whoami")["is_root"])
        pem = self.alice.ask("GET", "/whoami/certificate").text
        self.assertEqual(pem.split(), self.ground.state.user_cert("alice").read_text().split())

    def test_a_header_cannot_make_somebody_of_nobody(self) -> None:
        forged = self.ground.client(
            None, headers={"SSL_CLIENT_S_DN": topology.distinguished_name("robot"), "X-SSL-Client-Verify": "SUCCESS"}
        )
        self.assertEqual(forged.get("/whoami")["user_dn"], "anon")

    def test_bodies_that_are_no_json(self) -> None:
        answer = self.robot.http.post(self.ground.url + "/jobs", data=b"\x00{", timeout=10)
        self.assertEqual(answer.status_code, 400)
        self.assertEqual(self.robot.ask("POST", "/jobs", [1]).status_code, 400)
        self.assertEqual(self.robot.ask("GET", "/jobs?limit=9999").status_code, 400)
        self.assertEqual(self.robot.ask("GET", "/no/such/path/here").status_code, 404)


class Copies(Flows):
    """Transfers of real bytes."""

    content = os.urandom(200_000)
    checksum = f"ADLER32:{zlib.adler32(content):08x}"

    def test_a_file_arrives_with_its_parents_and_its_checksum(self) -> None:
        source, destination = self.local("in", self.content), self.local("new/deep/out")
        params = {"verify_checksum": "both", "job_metadata": {"issuer": "rucio"}}
        told = {"filesize": len(self.content), "checksum": self.checksum, "metadata": {"request_id": "r"}}
        job_id = self.robot.submit(source, destination, params, **told)
        job, [file] = self.robot.wait(job_id)
        self.assertEqual((job["job_state"], file["file_state"], file["reason"], job["reason"]), ("FINISHED", "FINISHED", "", ""))
        self.assertEqual((self.files / "new/deep/out").read_bytes(), self.content)
        self.assertEqual(set(job) - {"http_status"}, set(RECORDED["job"]))
        self.assertEqual(set(file), set(RECORDED["files_answer"]["response"][0]))
        self.assertEqual(file["filesize"], len(self.content))
        self.assertGreater(file["throughput"], 0)
        self.assertEqual([len(file[name]) for name in ("start_time", "finish_time")], [19, 19])
        log = self.robot.ask("GET", f"/jobs/{job_id}/files/{file['file_id']}/log").text
        self.assertIn("Transfer finished successfully", log)
        self.assertIn(destination, log)

    def test_reasons_name_the_step_that_failed(self) -> None:
        source = self.local("in", self.content)
        there = self.local("there", b"already")
        os.mkdir(self.files / "shut", 0o555)
        cases = [
            (self.local("none"), self.local("o1"), {}, None, "SOURCE [2] ", False),
            (source, there, {"overwrite": False}, None, "DESTINATION [17] Destination file exists and overwrite is not enabled", False),
            (source, self.local("o2"), {"verify_checksum": "both"}, "ADLER32:deadbeef", "TRANSFER [5] Source and user-defined", False),
            (
                source,
                self.local("o3"),
                {"verify_checksum": "target"},
                "ADLER32:deadbeef",
                "TRANSFER [5] DESTINATION CHECKSUM MISMATCH",
                False,
            ),
            (SOURCE, "mock://b.test/f?time=1&size_post=5", {}, None, "DESTINATION [22] Source and destination file size mismatch", True),
            ("mock://a.test/f?errno=13", "mock://b.test/f", {}, None, "SOURCE [13] Permission denied", False),
            (SOURCE, "mock://b.test/f?errno=13", {"overwrite": False}, None, "DESTINATION [13] Permission denied", False),
            (SOURCE, "mock://b.test/f?time=1&transfer_errno=28", {}, None, "TRANSFER [28] No space left on device", False),
        ]
        jobs = [self.robot.submit(case[0], case[1], case[2], checksum=case[3]) for case in cases]
        for job_id, (_, _, _, _, reason, recoverable) in zip(jobs, cases, strict=True):
            with self.subTest(reason=reason):
                job, [file] = self.robot.wait(job_id)
                self.assertEqual((job["job_state"], file["file_state"]), ("FAILED", "FAILED"))
                self.assertTrue(file["reason"].startswith(reason), file["reason"])
                self.assertIs(file["recoverable"], recoverable)
                self.assertEqual(job["reason"], "One or more files failed. Please have a look at the details for more information")
        self.assertEqual((self.files / "there").read_bytes(), b"already")

    def test_rucio_asks_for_many_jobs_at_once(self) -> None:
        ids = [self.robot.submit(SOURCE, QUICK, metadata={"request_id": str(number)}) for number in range(2)]
        for job_id in ids:
            self.robot.wait(job_id)
        fields = "file_state,dest_surl,finish_time,start_time,staging_start,staging_finished,reason,source_surl,file_metadata"
        answer = self.robot.ask("GET", f"/jobs/{','.join(ids)}?files={fields}")
        self.assertEqual(answer.status_code, 200)
        for number, job in enumerate(answer.json()):
            self.assertEqual((job["job_id"], job["http_status"]), (ids[number], "200 Ok"))
            self.assertEqual(set(job["files"][0]), set(fields.split(",")))
            self.assertEqual(job["files"][0]["file_metadata"], {"request_id": str(number)})
        unknown = str(uuid.uuid4())
        mixed = self.robot.ask("GET", f"/jobs/{unknown},{ids[0]}?files={fields}")
        self.assertEqual(mixed.status_code, 207)
        self.assertEqual(mixed.json()[0]["http_status"], "404 Not Found")
        recorded = RECORDED["unknown_job"]
        self.assert_recorded(self.robot.ask("GET", f"/jobs/{recorded['response']['job_id']}"), recorded)
        self.assertEqual(self.robot.get(f"/jobs/{ids[0]}/job_state"), "FINISHED")
        self.assert_recorded(self.robot.ask("GET", f"/jobs/{ids[0]}/nofield"), RECORDED["no_field"])

    def test_lists_of_jobs_and_files(self) -> None:
        job_id = self.robot.submit(SOURCE, QUICK)
        self.assertIn(job_id, [job["job_id"] for job in self.robot.get("/jobs")])
        self.robot.wait(job_id)
        self.assertNotIn(job_id, [job["job_id"] for job in self.robot.get("/jobs")])
        found = self.robot.get("/jobs?state_in=FINISHED&time_window=1&limit=500&fields=job_id,job_state,reason")
        self.assertIn({"job_id": job_id, "job_state": "FINISHED", "reason": ""}, found)
        self.assertIn(job_id, [file["job_id"] for file in self.robot.get("/files?state_in=FINISHED&time_window=1")])
        self.assertIn(job_id, [file["job_id"] for file in self.bob.get("/files?state_in=FINISHED&time_window=1")])

    def test_some_files_of_a_job_fail(self) -> None:
        good, bad = ({"sources": [self.local(name)], "destinations": [self.local(f"o{name}")]} for name in ("one", "two"))
        self.local("one", b"x")
        job, files = self.robot.wait(self.robot.submit_all([good, bad]))
        self.assertEqual((job["job_state"], [file["file_state"] for file in files]), ("FINISHEDDIRTY", ["FINISHED", "FAILED"]))

    def test_a_failure_that_may_pass_is_tried_again(self) -> None:
        job_id = self.robot.submit(SOURCE, "mock://b.test/f?time=1&transfer_errno=110", {"retry": 1, "retry_delay": 1})
        _, [file] = self.robot.wait(job_id)
        self.assertEqual((file["file_state"], file["retry"], file["reason"]), ("FAILED", 1, "TRANSFER [110] Connection timed out"))
        [retry] = self.robot.get(f"/jobs/{job_id}/files/{file['file_id']}/retries")
        self.assertEqual(set(retry), set(RECORDED["retries"]["response"][0]))
        self.assertEqual((retry["attempt"], retry["file"]["file_id"]), (1, file["file_id"]))
        log = self.robot.ask("GET", f"/jobs/{job_id}/files/{file['file_id']}/log").text
        self.assertEqual(log.count("Transfer accepted"), 2)

    def test_another_source_takes_over(self) -> None:
        sources = [self.local("gone"), self.local("here", b"bytes")]
        job, files = self.robot.wait(self.robot.submit(sources, self.local("out"), selection_strategy="orderly"))
        self.assertEqual((job["job_state"], job["job_type"]), ("FINISHED", "R"))
        self.assertEqual([file["file_state"] for file in files], ["FAILED", "FINISHED"])
        self.assertEqual((self.files / "out").read_bytes(), b"bytes")

    def test_hops_run_in_order_and_stop_at_the_first_that_fails(self) -> None:
        start, middle, end = self.local("start", b"bytes"), self.local("middle"), self.local("end")
        path = [{"sources": [start], "destinations": [middle]}, {"sources": [middle], "destinations": [end]}]
        job, files = self.robot.wait(self.robot.submit_all(path, {"multihop": True}))
        self.assertEqual((job["job_state"], job["job_type"], [file["file_state"] for file in files]), ("FINISHED", "H", ["FINISHED"] * 2))
        self.assertEqual((self.files / "end").read_bytes(), b"bytes")
        path[0]["sources"] = [self.local("gone")]
        job, files = self.robot.wait(self.robot.submit_all(path, {"multihop": True}))
        self.assertEqual((job["job_state"], [file["file_state"] for file in files]), ("FAILED", ["FAILED", "NOT_USED"]))

    def test_tape_is_waited_for_before_and_after(self) -> None:
        staged = self.robot.submit("mock://a.test/f?size=10&staging_time=2", QUICK, {"bring_online": 60})
        archived = self.robot.submit(SOURCE, f"{QUICK}&archiving_time=2", {"archive_timeout": 60})
        broken = self.robot.submit("mock://a.test/f?size=10&staging_time=1&staging_errno=5", QUICK, {"bring_online": 60})
        job, [file] = self.robot.wait(staged)
        self.assertEqual(job["job_state"], "FINISHED")
        self.assertLessEqual(file["staging_start"], file["staging_finished"])
        self.assertTrue(file["bringonline_token"])
        self.assertGreaterEqual(file["start_time"], file["staging_finished"])
        job, [file] = self.robot.wait(archived)
        self.assertEqual(job["job_state"], "FINISHED")
        self.assertLess(file["archive_start_time"], file["archive_finish_time"])
        _, [file] = self.robot.wait(broken)
        self.assertEqual((file["file_state"], file["reason"]), ("FAILED", "STAGING [5] Input/output error"))

    def test_tape_is_not_waited_for_longer_than_the_job_allows(self) -> None:
        late = self.robot.submit("mock://a.test/f?size=10&staging_time=60", QUICK, {"bring_online": 2})
        _, [file] = self.robot.wait(late)
        self.assertEqual((file["file_state"], file["reason"]), ("FAILED", "STAGING [110] bring-online timeout has been exceeded"))

    def test_a_token_in_a_url_is_seen_by_nobody(self) -> None:
        token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"
        job_id = self.robot.submit(f"{SOURCE}&authz=Bearer%20{token}", f"mock://b.test/f?time=1&transfer_errno=5&authz=Bearer%20{token}")
        _, [file] = self.robot.wait(job_id)
        log = self.robot.ask("GET", f"/jobs/{job_id}/files/{file['file_id']}/log").text
        self.assertIn("authz=Bearer%20***", file["source_surl"])
        for text in (log, json.dumps(file), self.ground.log()):
            self.assertNotIn("eyJ", text)

    def test_a_job_that_waited_too_long_is_given_up(self) -> None:
        self.robot.ask("POST", "/ban/se", {"storage": "mock://late.test", "status": "WAIT_AS", "message": ""})
        self.addCleanup(self.robot.ask, "DELETE", "/ban/se?storage=mock://late.test")
        job_id = self.robot.submit("mock://late.test/f?size=1", QUICK, {"max_time_in_queue": "1s"})
        job, _ = self.robot.wait(job_id)
        self.assertEqual(
            (job["job_state"], job["reason"]), ("CANCELED", "Job has been canceled because it stayed in the queue for too long")
        )


class Steering(Flows):
    """Cancelling, priorities, bans, settings."""

    def test_cancelling_kills_the_transfer(self) -> None:
        job_id = self.robot.submit(SOURCE, SLOW)
        _, [file] = self.robot.wait(job_id, until={"ACTIVE"})
        self.assertIn(file["pid"], self.children())
        answer = self.robot.ask("DELETE", f"/jobs/{job_id}").json()
        self.assertEqual(set(answer), set(RECORDED["cancel"]["response"]))
        for name in ("job_state", "reason", "cancel_job", "http_status", "http_message"):
            self.assertEqual(answer[name], RECORDED["cancel"]["response"][name], name)
        deadline = time.monotonic() + 5
        while file["pid"] in self.children() and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertNotIn(file["pid"], self.children())
        time.sleep(0.3)
        _, [file] = self.robot.wait(job_id)
        self.assertEqual((file["file_state"], file["reason"]), ("CANCELED", "Job canceled by the user"))
        self.assertTrue(file["finish_time"])
        again = self.robot.ask("DELETE", f"/jobs/{job_id}")
        self.assertEqual((again.status_code, again.json()["http_status"]), (200, "304 Not Modified"))

    def test_one_file_of_a_job_is_cancelled(self) -> None:
        job_id = self.robot.submit_all([{"sources": [SOURCE], "destinations": [SLOW]}, {"sources": [SOURCE], "destinations": [QUICK]}])
        files = self.robot.get(f"/jobs/{job_id}/files")
        self.assertEqual(self.robot.ask("DELETE", f"/jobs/{job_id}/files/{files[0]['file_id']}").json(), "CANCELED")
        job, files = self.robot.wait(job_id)
        self.assertEqual((job["job_state"], [file["file_state"] for file in files]), ("FINISHEDDIRTY", ["CANCELED", "FINISHED"]))

    def test_a_priority_changes_as_recorded(self) -> None:
        job_id = self.robot.submit(SOURCE, SLOW)
        self.addCleanup(self.robot.ask, "DELETE", f"/jobs/{job_id}")
        answer = self.robot.ask("POST", f"/jobs/{job_id}", {"params": {"priority": 5}})
        recorded = RECORDED["priority"]["response"]
        self.assertEqual(answer.status_code, 200)
        self.assertEqual(set(answer.json()), set(recorded))
        self.assertEqual(set(answer.json()["files"][0]), set(recorded["files"][0]))
        self.assertEqual((answer.json()["priority"], answer.json()["files"][0]["priority"]), (5, 5))
        self.assertEqual(self.robot.ask("POST", f"/jobs/{job_id}", {"params": {"priority": "high"}}).status_code, 400)

    def test_a_ban_goes_as_recorded(self) -> None:
        empty, ban, listed, refused, lifted, nobody = RECORDED["ban"]
        self.assertEqual(self.robot.get("/ban/se"), empty["response"])
        self.assertEqual(self.alice.ask("POST", "/ban/se", ban["body"]).status_code, 403)
        self.assert_recorded(self.robot.ask("POST", "/ban/se", ban["body"]), ban)
        [shown] = self.robot.get("/ban/se")
        self.assertEqual(set(shown), set(listed["response"][0]))
        for name in ("se", "message", "status"):
            self.assertEqual(shown[name], listed["response"][0][name])
        self.assert_recorded(self.robot.ask("POST", "/jobs", refused["body"]), refused)
        self.assertEqual(self.robot.ask("DELETE", "/ban/se?storage=mock://bad.test").status_code, lifted["status"])
        self.assertEqual(self.robot.get("/ban/dn"), nobody["response"])

    def test_a_ban_cancels_or_holds_what_waits(self) -> None:
        for status, after in (("CANCEL", "CANCELED"), ("WAIT", "FINISHED")):
            with self.subTest(status=status):
                where = f"mock://{status.lower()}.test"
                self.robot.ask("POST", "/ban/se", {"storage": where, "status": "WAIT_AS"})
                job_id = self.robot.submit(f"{where}/f?size=10", QUICK)
                self.assertEqual(self.robot.get(f"/jobs/{job_id}/files")[0]["file_state"], "ON_HOLD")
                hit = self.robot.ask("POST", "/ban/se", {"storage": where, "status": status}).json()
                self.assertEqual(hit, [job_id] if status == "CANCEL" else [])
                self.robot.ask("DELETE", f"/ban/se?storage={where}")
                self.assertEqual(self.robot.wait(job_id)[0]["job_state"], after)

    def test_a_banned_user_cannot_submit(self) -> None:
        dn = topology.distinguished_name("bob")
        job_id = self.bob.submit(SOURCE, SLOW)
        self.assertEqual(self.robot.ask("POST", "/ban/dn", {"user_dn": dn, "message": "x"}).json(), [job_id])
        self.addCleanup(self.robot.ask, "DELETE", f"/ban/dn?user_dn={dn}")
        self.assertEqual(self.bob.get(f"/jobs/{job_id}/job_state"), "CANCELED")
        answer = self.bob.ask("POST", "/jobs", {"files": [{"sources": [SOURCE], "destinations": [QUICK]}]})
        self.assertEqual(answer.status_code, 403)
        self.assertEqual([ban["dn"] for ban in self.robot.get("/ban/dn")], [dn])

    def test_settings_are_kept_and_a_links_limit_holds(self) -> None:
        recorded = RECORDED["config_se"]
        self.assert_recorded(self.robot.ask("POST", "/config/se", recorded["body"]), recorded)
        self.assertEqual(self.robot.get("/config/se")["mock://src.test"]["se_info"]["inbound_max_active"], 5)
        self.assert_recorded(self.robot.ask("POST", "/config/links", RECORDED["config_link"]["body"]), RECORDED["config_link"])
        self.assertEqual(self.alice.ask("POST", "/config/links", RECORDED["config_link"]["body"]).status_code, 403)
        one = {"symbolicname": "one", "source": "mock://one.test", "destination": "mock://b.test", "min_active": 1, "max_active": 1}
        self.assertEqual(self.robot.ask("POST", "/config/links", one).status_code, 201)
        jobs = [self.robot.submit("mock://one.test/f?size=10", "mock://b.test/f?time=2&size_post=10") for _ in range(2)]
        [first], [second] = (self.robot.wait(job_id)[1] for job_id in jobs)
        self.assertEqual((first["file_state"], second["file_state"]), ("FINISHED", "FINISHED"))
        self.assertGreaterEqual(second["start_time"], first["finish_time"])
        for path in ("/optimizer", "/optimizer/current", "/optimizer/evolution", "/status/hosts", "/config/shares", "/config/global"):
            self.assertEqual(self.robot.ask("GET", path).status_code, 200, path)


class Owners(Flows):
    """Whose job is whose, and with whose credential it runs."""

    def test_the_vo_reads_a_job_and_its_owner_steers_it(self) -> None:
        job_id = self.alice.submit(SOURCE, SLOW)
        self.addCleanup(self.robot.ask, "DELETE", f"/jobs/{job_id}")
        [file] = self.alice.get(f"/jobs/{job_id}/files")
        for path in ("", "/files", "/job_state", f"/files/{file['file_id']}/retries"):
            self.assertEqual(self.bob.ask("GET", f"/jobs/{job_id}{path}").status_code, 200, path)
        for method, path in (("DELETE", ""), ("POST", ""), ("DELETE", f"/files/{file['file_id']}")):
            self.assertEqual(self.bob.ask(method, f"/jobs/{job_id}{path}", {}).status_code, 403, (method, path))
        self.assertIn(job_id, [each["job_id"] for each in self.bob.get("/jobs")])
        self.assertEqual(self.alice.get(f"/jobs/{job_id}")["cancel_job"], False)
        self.assertEqual(self.robot.get(f"/jobs/{job_id}")["user_dn"], topology.distinguished_name("alice"))
        own = self.robot.submit(SOURCE, QUICK)
        answer = self.alice.ask("GET", f"/jobs/{own}/files/{file['file_id']}/log")
        self.assertEqual(answer.status_code, 404)

    def test_without_a_delegated_proxy_nothing_is_taken(self) -> None:
        body = {"files": [{"sources": ["davs://localhost:1/a"], "destinations": ["davs://localhost:1/b"]}]}
        answer = self.bob.ask("POST", "/jobs", body)
        self.assertEqual(
            (answer.status_code, answer.json()["message"]), (419, f'No delegation found for "{topology.distinguished_name("bob")}"')
        )

    def test_a_proxy_is_delegated_and_the_job_runs_with_it(self) -> None:
        mine = self.alice.get("/whoami")["delegation_id"]
        self.assertIsNone(self.alice.get(f"/delegation/{mine}"))
        request = self.alice.ask("GET", f"/delegation/{mine}/request")
        self.assertEqual(request.headers["X-Delegation-ID"], mine)
        self.assertEqual(self.alice.ask("GET", f"/delegation/{mine}/request").content, request.content)
        put = f"{self.ground.url}/delegation/{mine}/credential"
        wrong = self.bob.sign(request.content)
        self.assertEqual(self.alice.http.put(put, data=wrong, timeout=10).status_code, 400)
        self.assertEqual(self.alice.http.put(put, data=self.alice.sign(request.content, hours=-1), timeout=10).status_code, 400)
        self.assertEqual(self.alice.http.put(put, data=b"nonsense", timeout=10).status_code, 400)
        self.assertEqual(self.bob.http.put(put, data=wrong, timeout=10).status_code, 403)
        accepted = self.alice.http.put(put, data=self.alice.sign(request.content), timeout=10)
        self.assertEqual(accepted.status_code, 201, accepted.text)
        kept = self.alice.get(f"/delegation/{mine}")
        self.assertEqual(set(kept), {"termination_time", "voms_attrs"})
        proxy = self.ground.state.fts / "proxies" / f"{mine}.pem"
        self.assertEqual(stat.S_IMODE(proxy.stat().st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(proxy.parent.stat().st_mode), 0o700)
        self.assertEqual(proxy.read_text().count("PRIVATE KEY"), 2)
        self.assertEqual(list((self.ground.state.fts / "requests").iterdir()), [])
        job_id = self.alice.submit("davs://localhost:1/a", "davs://localhost:1/b")
        _, [file] = self.alice.wait(job_id)
        self.assertTrue(file["reason"].startswith("SOURCE [112] "), file["reason"])
        log = self.alice.ask("GET", f"/jobs/{job_id}/files/{file['file_id']}/log").text
        self.assertIn(f"Proxy: {proxy}", log)
        self.assertEqual(self.alice.ask("DELETE", f"/delegation/{mine}").status_code, 204)
        self.assertFalse(proxy.exists())


class Endurance(unittest.TestCase):
    """What survives the end of the service, and what does not."""

    def assert_gone(self, pid: int, deadline: float) -> None:
        while (alive := Path(f"/proc/{pid}").exists()) and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertFalse(alive, "a transfer outlived the service")

    def test_a_crash_loses_no_job_and_leaves_no_child(self) -> None:
        ground = Ground()
        self.addCleanup(ground.close)
        ground.start()
        robot = ground.client("robot")
        active = robot.submit(SOURCE, "mock://b.test/f?time=4&size_post=10")
        waiting = [robot.submit(SOURCE, QUICK) for _ in range(6)]
        never = robot.submit(
            SOURCE, "mock://b.test/f?time=60&size_post=10", {"overwrite_on_retry": True, "overwrite": False, "strict_copy": True}
        )
        _, [file] = robot.wait(active, until={"ACTIVE"})
        robot.wait(never, until={"ACTIVE"})
        ground.stop(signal.SIGKILL)
        self.assert_gone(file["pid"], time.monotonic() + 5)
        ground.start()
        robot = ground.client("robot")
        for job_id in (active, *waiting):
            self.assertEqual(robot.wait(job_id)[0]["job_state"], "FINISHED")
        _, [dead] = robot.wait(never)
        self.assertEqual((dead["file_state"], dead["reason"]), ("FAILED", "TRANSFER [4] Transfer process died"))

    def test_it_ends_within_five_seconds_with_a_transfer_going_on(self) -> None:
        ground = Ground()
        self.addCleanup(ground.close)
        ground.start()
        robot = ground.client("robot")
        _, [file] = robot.wait(robot.submit(SOURCE, SLOW), until={"ACTIVE"})
        deadline = time.monotonic() + 5
        ground.stop()
        self.assertLess(time.monotonic(), deadline)
        # A worker that gunicorn kills at the end of its grace cannot wait for its child: that one ends by its closed input.
        self.assert_gone(file["pid"], deadline)

    def test_what_it_keeps_is_private(self) -> None:
        ground = Ground()
        self.addCleanup(ground.close)
        ground.start()
        robot = ground.client("robot")
        robot.wait(robot.submit(SOURCE, QUICK))
        for path in ground.state.fts.rglob("*"):
            self.assertEqual(path.stat().st_mode & 0o077, 0, path)


if __name__ == "__main__":
    unittest.main()
