"""The configuration: what a broken file is told, what overrides it, and how profiles are written."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest

from qostui import config, paths
from qostui.domain.errors import UsageProblem
from qostui.domain.profile import Profile

GOOD = """\
# my lake
default_profile = "ops"
theme = "night"

[keys]
"pane.refresh" = "f5"

[profiles.ops]
rucio_host = "https://rucio.example.org:8443"
account = "ops"
auth = "x509_proxy"
proxy = "~/proxy.pem"
ca = "ca.pem"
color = "#ff0000"

[profiles."fair.test"]
rucio_host = "https://test.example.org"
account = "fair"
auth = "userpass"
password_file = "/etc/fair"
read_only = true
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(GOOD)
    return path


def test_reads_profiles(file: Path) -> None:
    settings = config.load(file, {})
    assert settings.profile().name == "ops"
    assert settings.profile("ops").proxy == Path("~/proxy.pem").expanduser()
    assert settings.profile("ops").ca == file.parent / "ca.pem"
    assert settings.profile("fair.test").read_only
    assert settings.profile("fair.test").login_name == "fair"
    assert settings.keymap == {"pane.refresh": "f5"}
    assert settings.theme == "night"


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ('theme = "night"', 'teme = "night"', 3, "did you mean theme?"),
        ('account = "ops"', 'acount = "ops"', 10, "did you mean account?"),
        ('account = "fair"', "account = 7", 18, "account must be a text in quotes"),
        ('auth = "userpass"', 'auth = "userpas"', 19, "did you mean userpass?"),
        ('password_file = "/etc/fair"', "", 19, "auth userpass needs password_file or password_keyring"),
        ('rucio_host = "https://test.example.org"', 'rucio_host = "test.example.org"', 17, "is not an http(s) address"),
        ('default_profile = "ops"', 'default_profile = "opps"', 2, "did you mean ops?"),
        ("read_only = true", 'read_only = "yes"', 21, "read_only must be true or false"),
        ('color = "#ff0000"', 'color = "$(id)"', 14, "is not a colour"),
        ('theme = "night"', "theme = night", 3, "not valid TOML"),
        ('[profiles."fair.test"]', '[profiles."../up"]', 16, "cannot be the name of a profile"),
        ('account = "ops"\n', "", 8, "profile ops has no account"),
    ],
)
def test_says_file_line_key_and_the_nearest_known_one(file: Path, old: str, new: str, line: int, says: str) -> None:
    assert old in GOOD
    file.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(UsageProblem) as caught:
        config.load(file, {})
    told = f"{caught.value.summary} {caught.value.step}"
    assert says in told
    assert f"{file}:{line}:" in told
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("content", [b"\xff\xfe", b"\x00", b"a = [", b"profiles = 3", b"[profiles]\nx = 1", b"keys = []"])
def test_nonsense_is_a_usage_problem(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(content)
    with pytest.raises(UsageProblem, match=r"config\.toml"):
        config.load(path, {})


def test_no_file_is_fine_but_a_named_one_must_exist(tmp_path: Path) -> None:
    settings = config.load(env={"XDG_CONFIG_HOME": str(tmp_path)})
    assert settings.file is None
    with pytest.raises(UsageProblem, match="nothing is configured"):
        settings.profile()
    with pytest.raises(UsageProblem, match="no such file"):
        config.load(env={"QOSTUI_CONFIG": str(tmp_path / "none.toml")})


def test_the_environment_overrides(file: Path) -> None:
    env = {"QOSTUI_CONFIG": str(file), "QOSTUI_PROFILE": "fair.test", "QOSTUI_READ_ONLY": "1", "QOSTUI_MAX_OK_RULES": "7"}
    settings = config.load(env=env)
    assert settings.profile().name == "fair.test"
    assert settings.read_only
    assert settings.max_ok_rules == 7
    with pytest.raises(UsageProblem, match="QOSTUI_READ_ONLY"):
        config.load(file, {"QOSTUI_READ_ONLY": "maybe"})
    with pytest.raises(UsageProblem, match=r"no profile is called 'opz'") as caught:
        config.load(file, {"QOSTUI_PROFILE": "opz"}).profile()
    assert caught.value.step == "did you mean ops?"


def test_what_the_environment_handed_over_is_a_profile_of_its_own(file: Path) -> None:
    config.hand_over(Profile("env", "https://env.example.org", "me", "oidc"))
    try:
        assert config.load(file, {}).profile("env").account == "me"
        assert config.load(file, {}).profile().name == "ops"
    finally:
        config.hand_over(None)
    assert "env" not in config.load(file, {}).profiles


def test_writing_profiles_keeps_everything_else(file: Path) -> None:
    config.write_profiles(
        file,
        {
            "lake": {
                "rucio_host": "https://localhost:1",
                "account": "ops",
                "auth": "oidc",
                "token_file": "/t",
                "key": None,
                "read_only": True,
            }
        },
        default_profile="lake",
        replacing=("fair.test",),
    )
    settings = config.load(file, {})
    assert settings.default_profile == "lake"
    assert set(settings.profiles) == {"ops", "lake"}
    assert settings.profile("lake").read_only
    assert "# my lake" in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [each.name for each in file.parent.iterdir() if each.name.startswith(".")] == []


def test_what_would_not_load_is_not_written(file: Path) -> None:
    with pytest.raises(UsageProblem):
        config.write_profiles(file, {"bad": {"rucio_host": "nowhere", "account": "x", "auth": "oidc"}})
    assert file.read_text() == GOOD


def test_a_reader_never_sees_half_a_file(file: Path) -> None:
    stop, seen = threading.Event(), []

    def read() -> None:
        while not stop.is_set():
            seen.append(len(config.load(file, {}).profiles))

    thread = threading.Thread(target=read)
    thread.start()
    for number in range(30):
        config.write_profiles(file, {f"p{number}": {"rucio_host": "https://h", "account": "a", "auth": "oidc", "token_file": "/t"}})
    stop.set()
    thread.join()
    assert seen == sorted(seen)


def test_the_runtime_directory_is_used_only_when_it_is_ours_alone(tmp_path: Path) -> None:
    state = {"XDG_STATE_HOME": str(tmp_path / "state")}
    tmp_path.chmod(0o755)
    assert paths.runtime_dir(state | {"XDG_RUNTIME_DIR": str(tmp_path)}) == tmp_path / "state" / "qostui" / "run"
    tmp_path.chmod(0o700)
    assert paths.runtime_dir(state | {"XDG_RUNTIME_DIR": str(tmp_path)}) == tmp_path / "qostui"
    assert paths.config_dir({"XDG_CONFIG_HOME": "relative", "HOME": "/h"}) == Path("/h/.config/qostui")
