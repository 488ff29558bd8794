"""The encrypted keyring file: made once, opened by its pass phrase, never lost to a wrong one, a full disk or damage."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from keyrings.cryptfile.cryptfile import CryptFileKeyring

from qostui.adapters import keyring_
from qostui.domain.errors import CredentialProblem
from qostui.domain.profile import Secret

PHRASE = Secret("correct horse")


@pytest.fixture(autouse=True)
def closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # Cheaper to derive, so that the tests are; the file is made and read in the same way.
    monkeypatch.setattr(CryptFileKeyring, "time_cost", 1)
    monkeypatch.setattr(CryptFileKeyring, "memory_cost", 8 * 1024)
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    keyring_.close()
    yield
    keyring_.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keyring" / "secrets.cfg"


def test_what_is_put_comes_back_in_the_next_run(file: Path) -> None:
    assert not keyring_.is_open()
    keyring_.open_file(file, PHRASE)
    keyring_.put("refresh-1", Secret("s3cret"))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert b"s3cret" not in file.read_bytes()
    keyring_.close()
    with pytest.raises(CredentialProblem, match="no keyring is open"):
        keyring_.get("refresh-1")
    keyring_.open_file(file, PHRASE)
    assert keyring_.get("refresh-1").reveal() == "s3cret"
    assert keyring_.find("refresh-1") is not None
    assert keyring_.delete("refresh-1")
    assert not keyring_.delete("refresh-1")
    assert keyring_.find("refresh-1") is None
    assert {each.name for each in file.parent.iterdir()} == {"secrets.cfg", "secrets.lock"}


def test_a_wrong_pass_phrase_says_so_and_nothing_is_lost(file: Path) -> None:
    keyring_.open_file(file, PHRASE)
    keyring_.put("refresh-1", Secret("s3cret"))
    keyring_.close()
    before = file.read_bytes()
    for wrong in ("wrong", "", "  "):
        with pytest.raises(CredentialProblem) as caught:
            keyring_.open_file(file, Secret(wrong))
        assert caught.value.step
        assert not keyring_.is_open()
    assert file.read_bytes() == before
    keyring_.open_file(file, PHRASE)
    assert keyring_.get("refresh-1").reveal() == "s3cret"


@pytest.mark.parametrize("damage", [lambda text: text[: len(text) // 2], lambda text: b"[x]\ny = 1\n", lambda text: b"\xff\xfe\x00" * 50])
def test_a_damaged_file_is_left_as_it_is(file: Path, damage: Any) -> None:
    keyring_.open_file(file, PHRASE)
    keyring_.put("refresh-1", Secret("s3cret"))
    keyring_.close()
    file.write_bytes(damage(file.read_bytes()))
    before = file.read_bytes()
    with pytest.raises(CredentialProblem):
        keyring_.open_file(file, PHRASE)
    assert file.read_bytes() == before
    assert not keyring_.is_open()


def test_a_file_that_others_can_read_is_refused(file: Path) -> None:
    keyring_.open_file(file, PHRASE)
    keyring_.close()
    file.chmod(0o644)
    with pytest.raises(CredentialProblem, match="can be read by others"):
        keyring_.open_file(file, PHRASE)


def test_a_full_disk_costs_nothing_but_the_new_value(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keyring_.open_file(file, PHRASE)
    keyring_.put("refresh-1", Secret("old"))
    before = file.read_bytes()

    def full(_: Any, __: Any = None) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(CredentialProblem, match="No space left") as caught:
            keyring_.put("refresh-1", Secret("new"))
    assert caught.value.step
    assert file.read_bytes() == before
    # Known for this run: the old one may be worth nothing any more.
    assert keyring_.newest("refresh-1").reveal() == "new"
    with monkeypatch.context() as patched:
        patched.setattr(keyring_, "mkstemp", lambda **_: full(None))
        with pytest.raises(CredentialProblem, match="No space left"):
            keyring_.check_room()
    keyring_.check_room()
    keyring_.put("refresh-1", Secret("new"))
    keyring_.close()
    keyring_.open_file(file, PHRASE)
    assert keyring_.get("refresh-1").reveal() == "new"
    assert {each.name for each in file.parent.iterdir()} == {"secrets.cfg", "secrets.lock"}


def test_without_a_keyring_a_value_lives_for_the_run(file: Path) -> None:
    with pytest.raises(CredentialProblem, match="no keyring is open"):
        keyring_.put("refresh-1", Secret("s3cret"))
    assert keyring_.newest("refresh-1").reveal() == "s3cret"
    keyring_.open_file(file, PHRASE)
    assert keyring_.get("refresh-1").reveal() == "s3cret"
    keyring_.close()
    with pytest.raises(CredentialProblem):
        keyring_.get("refresh-1")


def test_two_consoles_do_not_lose_each_others_entries(file: Path) -> None:
    keyring_.open_file(file, PHRASE)
    code = (
        "import sys; from pathlib import Path\n"
        "from keyrings.cryptfile.cryptfile import CryptFileKeyring as K\n"
        "K.time_cost, K.memory_cost = 1, 8192\n"
        "from qostui.adapters import keyring_; from qostui.domain.profile import Secret\n"
        "keyring_.open_file(Path(sys.argv[1]), Secret('correct horse'))\n"
        "[keyring_.put(f'{sys.argv[2]}-{n}', Secret('x')) for n in range(8)]\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, str(file), who]) for who in ("a", "b")]
    assert [each.wait(60) for each in running] == [0, 0]
    assert all(keyring_.find(f"{who}-{number}") for who in ("a", "b") for number in range(8))


class Service:
    """A Secret Service that can be locked."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], str] = {}
        self.locked = False

    def _check(self) -> None:
        if self.locked:
            raise RuntimeError("locked")

    def get_password(self, service: str, name: str) -> str | None:
        self._check()
        return self.kept.get((service, name))

    def set_password(self, service: str, name: str, value: str) -> None:
        self._check()
        self.kept[service, name] = value

    def delete_password(self, service: str, name: str) -> None:
        self._check()
        del self.kept[service, name]


def test_an_unlocked_secret_service_is_used_and_a_locked_one_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service()
    monkeypatch.setattr(keyring_, "_secret_service", lambda: service)
    assert keyring_.is_open()
    keyring_.put("n", Secret("v"))
    assert service.kept == {("qostui", "n"): "v"}
    service.locked = True
    assert keyring_.get("n").reveal() == "v"
    with pytest.raises(CredentialProblem, match="does not answer"):
        keyring_.newest("n")
    with pytest.raises(CredentialProblem, match="does not take it"):
        keyring_.put("n", Secret("w"))
    assert keyring_.newest("n").reveal() == "w"
    service.locked = False
    assert keyring_.delete("n")
    assert service.kept == {}
