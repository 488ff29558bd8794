"""The doctor on servers that misbehave: certificates out of their time or of another name, xroot without TLS, odd issuers."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from qostui.adapters.doctor import peer, servers
from qostui.adapters.doctor.case import Case
from qostui.config import Settings
from qostui.domain.errors import ConnectionProblem, Problem
from qostui.domain.finding import Finding
from qostui.domain.profile import Profile
from qostui.lake.inside import authority
from tests.contract import fake_rucio
from tests.contract.fake_rucio import Reply

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


class Wanted:
    """A Cancel that nobody uses."""

    wanted = True

    def closes(self, close: Callable[[], None]) -> None:
        """Never called."""


@pytest.fixture(scope="module")
def ca() -> authority.Credential:
    return authority.new_authority("Doctor CA", NOW - 500 * DAY)


@pytest.fixture(scope="module")
def host(ca: authority.Credential, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Certificate and key of a server that is well."""
    return saved(ca, tmp_path_factory.mktemp("host"), NOW)


def saved(ca: authority.Credential, place: Path, made: datetime) -> tuple[Path, Path]:
    files = place / "host.pem", place / "host.key"
    authority.save(authority.issue(ca, "localhost", made, host=True), *files)
    return files


@pytest.fixture
def profile(ca: authority.Credential, tmp_path: Path) -> Profile:
    file = tmp_path / "ca.pem"
    file.write_bytes(authority.certificate_pem(ca.certificate))
    return Profile("p", "https://localhost:1", "ops", "userpass", ca=file)


def serving(files: tuple[Path, Path]) -> Callable[[socket.socket], ssl.SSLSocket]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    return lambda plain: context.wrap_socket(plain, server_side=True)


@contextmanager
def listening(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """A loopback port; `answer` gets each connection."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                answer(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def seen(profile: Profile, port: int, *, name: str = "localhost", xroot: bool = False) -> peer.Peer:
    return peer.certificate(name, port, peer.trusting(str(profile.ca)), "the door", Wanted(), xroot=xroot)


def judged(profile: Profile, shown: peer.Peer) -> Finding:
    (found,) = servers.lasting("servers.doors", "d", "the door", shown, Case(profile, Settings()))
    return found


def test_a_good_certificate_is_read(profile: Profile, host: tuple[Path, Path]) -> None:
    wrap = serving(host)
    with listening(lambda connection: wrap(connection).close()) as port:
        shown = seen(profile, port)
    assert (shown.refused, shown.names) == ("", ("localhost",))
    assert shown.subject.endswith("/CN=localhost")
    assert judged(profile, shown).level == "ok"


@pytest.mark.parametrize(("age", "level"), [(400, "fault"), (360, "warning"), (345, "note"), (100, "ok")])
def test_a_certificate_by_its_age(profile: Profile, ca: authority.Credential, tmp_path: Path, age: int, level: str) -> None:
    wrap = serving(saved(ca, tmp_path, NOW - age * DAY))
    with listening(lambda connection: wrap(connection).close()) as port:
        found = judged(profile, seen(profile, port))
    assert found.level == level
    assert ("expired 35 d ago" in found.summary) == (level == "fault")


def test_a_certificate_that_is_not_accepted_tells_why(profile: Profile, host: tuple[Path, Path], tmp_path: Path) -> None:
    stranger = tmp_path / "stranger.pem"
    stranger.write_bytes(authority.certificate_pem(authority.new_authority("Stranger", NOW).certificate))
    wrap = serving(host)
    with listening(lambda connection: wrap(connection).close()) as port:
        shown = seen(replace(profile, ca=stranger), port)
        assert shown.expires == x509.load_pem_x509_certificate(host[0].read_bytes()).not_valid_after_utc
        found = judged(profile, shown)
    assert (found.level, "unable to get local issuer" in found.summary) == ("fault", True)


def test_who_does_not_speak_tls_or_says_nothing_is_a_problem(profile: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(lambda connection: connection.sendall(b"220 GridFTP ready\r\n")) as port, pytest.raises(Problem):
        seen(profile, port)
    monkeypatch.setattr(peer, "CONNECT_S", 0.2)
    with listening(lambda connection: connection.settimeout(20) or drain(connection)) as port, pytest.raises(ConnectionProblem):
        seen(profile, port)


def drain(connection: socket.socket) -> None:
    """Read until the other side hangs up."""
    while connection.recv(4096):
        pass


def xroot(flags: int, wrap: Callable[[socket.socket], ssl.SSLSocket] | None) -> Callable[[socket.socket], None]:
    """The beginning of an xroot server: handshake, kXR_protocol with these flags, TLS where it offers that."""

    def answer(connection: socket.socket) -> None:
        request = b""
        while len(request) < 44:
            part = connection.recv(44 - len(request))
            if not part:
                return
            request += part
        assert struct.unpack(">5I", request[:20]) == (0, 0, 0, 4, 2012)
        assert struct.unpack(">HH", request[20:24]) == (0, 3006)
        connection.sendall(struct.pack(">HHIII", 0, 0, 8, 0x520, 1))
        connection.sendall(struct.pack(">HHIII", 0, 0, 8, 0x520, flags))
        if wrap is not None:
            wrap(connection).close()

    return answer


def test_xroot_goes_over_to_tls_on_its_own_port(profile: Profile, host: tuple[Path, Path]) -> None:
    with listening(xroot(0xC0000001, serving(host))) as port:
        assert seen(profile, port, xroot=True).names == ("localhost",)


def test_xroot_without_tls_is_told(profile: Profile) -> None:
    with listening(xroot(0x00000001, None)) as port, pytest.raises(ConnectionProblem, match="offers no TLS"):
        seen(profile, port, xroot=True)


def test_what_is_no_xroot_is_told(profile: Profile) -> None:
    for nonsense in (b"HTTP/1.1 400 Bad Request\r\n\r\n", b""):
        with listening(lambda connection, said=nonsense: connection.sendall(said)) as port, pytest.raises(ConnectionProblem):  # type: ignore[misc]
            seen(profile, port, xroot=True)


# issuers and FTS --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "level", "word"),
    [
        (lambda reply, address: reply.send(200, json.dumps({"issuer": f"{address}/"}).encode()), "ok", "answers"),
        (lambda reply, address: reply.send(200, json.dumps({"issuer": address}).encode()), "fault", "calls itself"),
        (lambda reply, address: reply.send(200, b"{}"), "fault", "calls itself nothing"),
        (lambda reply, address: reply.send(200, b"<html>hello", "text/html"), "fault", "no discovery document"),
        (lambda reply, address: reply.send(200, b"[1]"), "fault", "no discovery document"),
        (lambda reply, address: reply.send(404, b""), "fault", "no discovery document"),
        (lambda reply, address: reply.send(503, b""), "fault", "HTTP 503"),
        (lambda reply, address: reply.cut(), "fault", "the token issuer at localhost"),
        (lambda reply, address: reply.send(302, b"", Location="https://elsewhere.example/"), "fault", "sends us on"),
    ],
)
def test_token_issuers(profile: Profile, host: tuple[Path, Path], answer: Callable[[Reply, str], None], level: str, word: str) -> None:
    with fake_rucio.running(wrap=serving(host)) as server:
        address = f"https://localhost:{server.port}"
        server.answers["/"] = lambda reply: answer(reply, address)
        seen_by = Case(replace(profile, issuer=f"{address}/", client_id="c"), Settings())
        (found,) = servers.check_issuer(seen_by, Wanted())
    assert (found.level, word in found.summary) == (level, True), found
    assert [asked.path for asked in server.asked] == ["/.well-known/openid-configuration"]
    assert not [name for asked in server.asked for name in asked.headers if name.lower() in ("authorization", "x-rucio-auth-token")]


def test_an_issuer_without_tls_is_refused_unasked(profile: Profile) -> None:
    with fake_rucio.running() as server:
        (found,) = servers.check_issuer(Case(replace(profile, issuer=server.address, client_id="c"), Settings()), Wanted())
    assert (found.level, server.asked) == ("fault", [])


@pytest.mark.parametrize(("status", "level"), [(200, "ok"), (403, "ok"), (500, "fault"), (503, "fault")])
def test_any_answer_of_fts_but_a_failure_will_do(profile: Profile, host: tuple[Path, Path], status: int, level: str) -> None:
    with fake_rucio.running(wrap=serving(host)) as server:
        server.answers["/"] = lambda reply: reply.send(status)
        (found,) = servers.check_fts(Case(replace(profile, fts=f"https://localhost:{server.port}"), Settings()), Wanted())
    assert found.level == level
