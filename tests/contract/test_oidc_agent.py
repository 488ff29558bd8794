"""Talking to oidc-agent: an agent made by hand on a UNIX socket that misbehaves on demand."""

from __future__ import annotations

import json
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from qostui.adapters import bearers, environment, oidc_agent
from qostui.domain.errors import ConnectionProblem, CredentialProblem, Problem, ServerProblem
from qostui.domain.profile import Profile

GOOD = {"status": "success", "access_token": "tok-agent", "issuer": "https://op/", "expires_at": 4_000_000_000}


class FakeAgent:
    """Answers each connection once; keeps it open, as the real one does."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.asked: list[dict[str, Any]] = []
        self.says: Any = GOOD
        self.parts: Callable[[bytes], list[bytes]] = lambda whole: [whole]
        self._open: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(place))
        self._listener.listen(8)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(connection)
            self.asked.append(json.loads(connection.recv(65536)))
            whole = self.says if isinstance(self.says, bytes) else json.dumps(self.says).encode()
            for part in self.parts(whole):
                connection.sendall(part)
                time.sleep(0.01)
            if self.says == b"":
                connection.close()

    def close(self) -> None:
        for each in (self._listener, *self._open):
            each.close()


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAgent]:
    short = Path(tempfile.mkdtemp(prefix="agent-", dir="/tmp"))
    made = FakeAgent(short / "s")
    monkeypatch.setattr(environment, "_agent", [str(made.place)])
    monkeypatch.setattr(oidc_agent, "_known", {})
    yield made
    made.close()
    shutil.rmtree(short)


def test_the_socket_is_taken_out_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "_agent", [])
    assert environment.agent_socket() == ""
    env = {"OIDC_SOCK": "/tmp/oidc-x/oidc-agent.1", "OIDCD_PID": "7", "PATH": "/bin"}
    assert environment.take(env) is None
    assert "OIDC_SOCK" not in env
    assert environment.agent_socket() == "/tmp/oidc-x/oidc-agent.1"


def test_a_token_is_asked_for_once_and_kept_while_it_lasts(agent: FakeAgent) -> None:
    profile = Profile("p", "https://r", "alice", "oidc", oidc_agent="lake")
    assert bearers.current(profile).reveal() == "tok-agent"
    assert bearers.current(profile).reveal() == "tok-agent"
    (asked,) = agent.asked
    assert asked == {"request": "access_token", "account": "lake", "min_valid_period": 120, "application_hint": "qostui"}
    # A server refused it: the agent is asked again.
    bearers.after_refusal(profile, "tok-agent")
    assert len(agent.asked) == 2
    agent.says = GOOD | {"expires_at": time.time() + 30}
    oidc_agent.forget("lake")
    bearers.current(profile)
    bearers.current(profile)
    assert len(agent.asked) == 4


def test_scope_and_audience_are_handed_on(agent: FakeAgent) -> None:
    found = oidc_agent.ask("lake", "storage.read:/x", "https://door")
    assert (agent.asked[0]["scope"], agent.asked[0]["audience"]) == ("storage.read:/x", "https://door")
    assert found.issuer == "https://op/"
    assert found.expires is not None


def test_an_answer_in_parts(agent: FakeAgent) -> None:
    agent.says = GOOD | {"access_token": "t" * 9000}
    agent.parts = lambda whole: [whole[:4096], whole[4096:4097], whole[4097:]]
    assert len(oidc_agent.ask("lake").token.reveal()) == 9000


@pytest.mark.parametrize(
    ("says", "kind", "text"),
    [
        ({"status": "failure", "error": "No account configured with that short name"}, CredentialProblem, "no account 'lake'"),
        ({"status": "failure", "error": "invalid_scope\x1b[2J"}, CredentialProblem, "gives no token"),
        ({"error": "OIDC: server down", "info": "hint"}, CredentialProblem, "server down"),
        ({"status": "failure"}, CredentialProblem, "no reason"),
        ({"status": "success"}, ServerProblem, "no access token"),
        (GOOD | {"access_token": "a b"}, ServerProblem, "no access token"),
        (GOOD | {"access_token": 7}, ServerProblem, "no access token"),
        (b"[1, 2]", ConnectionProblem, "in time"),
        (b"\xff\xfe", ConnectionProblem, "in time"),
        (b"", ServerProblem, "makes no sense"),
        (b"x" * (oidc_agent.MAX_BYTES + 10), ServerProblem, "makes no sense"),
    ],
)
def test_what_it_says_otherwise_is_one_line(
    agent: FakeAgent, says: Any, kind: type[Problem], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oidc_agent, "LIMIT_S", 0.5)
    agent.says = says
    with pytest.raises(kind, match=text) as caught:
        oidc_agent.ask("lake")
    assert caught.value.step
    assert "\x1b" not in caught.value.summary


@pytest.mark.parametrize("end", [None, "soon", True, 1e300, -1e300, float("nan")])
def test_an_odd_end_is_no_end(agent: FakeAgent, end: Any) -> None:
    agent.says = GOOD | {"expires_at": end}
    assert oidc_agent.ask("lake").expires is None


def test_no_agent_and_a_dead_one(agent: FakeAgent, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(environment, "_agent", [])
    with pytest.raises(CredentialProblem, match="no oidc-agent runs"):
        oidc_agent.ask("lake")
    monkeypatch.setattr(environment, "_agent", [str(tmp_path / "gone")])
    with pytest.raises(ConnectionProblem, match="cannot talk to oidc-agent"):
        oidc_agent.ask("lake")
    (tmp_path / "file").write_text("x")
    monkeypatch.setattr(environment, "_agent", [str(tmp_path / "file")])
    with pytest.raises(CredentialProblem, match="not the socket"):
        oidc_agent.ask("lake")
