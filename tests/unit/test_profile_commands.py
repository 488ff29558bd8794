"""`qostui profile ...`: what is shown, what is written, what is refused, and what is proven."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from qostui import cli, config
from qostui.services import files
from tests.contract import fake_rucio
from tests.contract.fake_rucio import FakeRucio

CHECKOUT = Path(__file__).parents[2]
PASSWORD = "s3cret%$HOME"
CONFIG = """\
# mine
default_profile = "ops"

[profiles.ops]  # production
rucio_host = "https://rucio.example.org"
account = "ops"
auth = "userpass"
password_file = "{home}/password"
color = "red"

# tests
[profiles.test]
rucio_host = "https://test.example.org:8443"
account = "fair"
auth = "oidc"
oidc_agent = "escape"
read_only = true
"""
RUCIO_CFG = """\
[client]
rucio_host = https://rucio.example.org:443
auth_host = https://auth.example.org:443
account = ops
auth_type = x509_proxy
ca_cert = $RUCIO_HOME/ca.pem
client_cert = $NOT_SET/cert.pem
client_key = ~/key.pem
client_x509_proxy = ~/proxy.pem
username = ddm
vo = esc
request_retries = 3
[policy]
schema = generic
"""


class Terminal(io.StringIO):
    """A standard input with a person at it."""

    def isatty(self) -> bool:
        return True


class Commands:
    """Runs `qostui profile` in this process, at home in a directory of its own."""

    def __init__(self, home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.home = home
        self.file = home / "config" / "qostui" / "config.toml"
        self._capsys = capsys
        self._monkeypatch = monkeypatch

    def __call__(self, *arguments: str | Path) -> tuple[int, str, str]:
        code = cli.main(["profile", *map(str, arguments)])
        told = self._capsys.readouterr()
        return code, told.out, told.err

    def objects(self, *arguments: str) -> list[dict[str, Any]]:
        code, out, err = self(*arguments, "-o", "json")
        assert (code, err) == (0, "")
        found: list[dict[str, Any]] = json.loads(out)
        return found

    def configure(self, text: str = CONFIG) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_text(text.replace("{home}", str(self.home)))

    def tables(self) -> dict[str, Any]:
        found: dict[str, Any] = tomllib.loads(self.file.read_text())["profiles"]
        return found

    def secret(self, name: str, text: str) -> Path:
        file = self.home / name
        file.write_text(text)
        file.chmod(0o600)
        return file

    def type(self, text: str) -> None:
        """A person at a terminal types this."""
        self._monkeypatch.setattr(sys, "stdin", Terminal(text))
        self._monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)

    def editor(self, code: str) -> None:
        """The editor is a program that gets the text as `text` and leaves what it makes of it."""
        program = self.home / "editor.py"
        before = "import sys, pathlib\nfile = pathlib.Path(sys.argv[1])\ntext = file.read_text()\n"
        program.write_text(f"{before}{code}\nfile.write_text(text)\n")
        self._monkeypatch.setenv("EDITOR", f"{sys.executable} {program}")


@pytest.fixture
def profile(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Commands]:
    monkeypatch.setattr(cli, "_keep_memory_private", lambda: None)  # would hold for the whole suite
    monkeypatch.setenv("RUCIO_CLIENT_MODE", "1")
    for name in ("QOSTUI_CONFIG", "QOSTUI_PROFILE", "VISUAL", "EDITOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    yield Commands(tmp_path, capsys, monkeypatch)
    config.hand_over(None)


# --- seeing --------------------------------------------------------------------------------------------------


def test_the_list_says_where_each_leads(profile: Commands) -> None:
    profile.configure()
    assert profile.objects("list") == [
        {
            "profile": "ops",
            "default": True,
            "rucio_host": "rucio.example.org:443",
            "account": "ops",
            "auth": "userpass",
            "read_only": False,
            "color": "red",
        },
        {
            "profile": "test",
            "default": False,
            "rucio_host": "test.example.org:8443",
            "account": "fair",
            "auth": "oidc",
            "read_only": True,
            "color": "",
        },
    ]


def test_a_profile_is_shown_with_the_places_of_its_secrets_and_never_with_a_secret(profile: Commands) -> None:
    profile.configure()
    password = profile.secret("password", PASSWORD)
    (shown,) = profile.objects("show", "ops")
    assert shown["secrets"] == [f"pass word: file {password}"]
    assert shown["password_file"] == str(password)
    assert shown["token_file"] is None
    assert shown["default"] is True
    assert set(shown) == {"profile", "default", "secrets", *cli_keys()}
    password.chmod(0o644)
    assert profile.objects("show")[0]["secrets"] == [f"pass word: file {password}, which can be read by others (mode 0644)"]
    assert profile.objects("show", "test")[0]["secrets"] == ["access token: oidc-agent account escape"]
    code, out, _ = profile("show", "ops", "-o", "table")
    assert code == 0
    assert [line.split(None, 1) for line in out.splitlines() if line.startswith(("account", "secret"))] == [
        ["account", "ops"],
        ["secret", f"pass word: file {password}, which can be read by others (mode 0644)"],
    ]
    assert PASSWORD not in out


def cli_keys() -> tuple[str, ...]:
    from qostui.domain.profile import Profile

    return Profile.keys()


def test_what_the_environment_says_is_shown_without_its_token(profile: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RUCIO_HOST": "https://r.example.org", "RUCIO_ACCOUNT": "me", "BEARER_TOKEN": "t0ken"}.items():
        monkeypatch.setenv(name, value)
    (shown,) = profile.objects("show")
    assert (shown["profile"], shown["auth"], shown["secrets"][-1]) == ("env", "oidc", "access token: $BEARER_TOKEN")
    assert "t0ken" not in str(shown)


def test_an_unknown_name_has_a_near_one(profile: Commands) -> None:
    profile.configure()
    for action in ("show", "use", "edit", "remove --yes", "check"):
        code, out, err = profile(*action.split(), "tests")
        assert (code, out) == (2, "")
        assert "no profile is called 'tests'" in err
        assert "did you mean test?" in err


# --- writing -------------------------------------------------------------------------------------------------


def test_a_new_profile_is_added_to_a_file_that_keeps_all_else(profile: Commands) -> None:
    profile.configure()
    before = profile.file.read_text()
    code, out, err = profile(
        "add", "new", "rucio_host=https://new.example.org", "account=ops", "auth=x509_proxy", "proxy=~/x509up", "ca=ca.pem", "read_only=yes"
    )
    assert (code, out) == (0, "")
    assert "qostui profile check new" in err
    assert profile.file.read_text().startswith(before)
    assert profile.tables()["new"] == {
        "rucio_host": "https://new.example.org",
        "account": "ops",
        "auth": "x509_proxy",
        "proxy": str(profile.home / "x509up"),
        "ca": str(profile.home / "ca.pem"),
        "read_only": True,
    }
    assert stat.S_IMODE(profile.file.stat().st_mode) == 0o600


def test_the_first_profile_makes_the_file_also_where_a_variable_names_it(profile: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("rucio_host=https://r.example.org", "account=ops", "auth=oidc", "oidc_agent=escape")
    assert profile("add", "one", *words)[0] == 0
    assert list(profile.tables()) == ["one"]
    other = profile.home / "other" / "mine.toml"
    monkeypatch.setenv("QOSTUI_CONFIG", str(other))
    assert profile("add", "two", *words)[0] == 0
    assert list(tomllib.loads(other.read_text())["profiles"]) == ["two"]


def test_a_link_to_the_configuration_stays_a_link(profile: Commands) -> None:
    profile.configure()
    real = profile.home / "dotfiles.toml"
    profile.file.rename(real)
    profile.file.symlink_to(real)
    assert profile("use", "test")[0] == 0
    assert profile.file.is_symlink()
    assert 'default_profile = "test"' in real.read_text()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["acount=x"], "did you mean account?"),
        (["account"], "'account' is not KEY=VALUE"),
        (["account=x", "account=y"], "account is given twice"),
        (["account=x"], "profile new has no rucio_host"),
        (["read_only=perhaps"], "read_only is true or false"),
        (["rucio_host=https://h", "account=x", "auth=userpas"], "did you mean userpass?"),
        (["rucio_host=https://h", "account=x", "auth=oidc"], "auth oidc needs token_file or oidc_agent or issuer"),
        (["rucio_host=h.example.org", "account=x", "auth=oidc", "oidc_agent=a"], "is not an http(s) address"),
        (["rucio_host=https://me:pw@h", "account=x", "auth=oidc", "oidc_agent=a"], "no user name and no pass word"),
        (["--password-file", "x", "account=x"], "--password-file goes with --from"),
    ],
)
def test_what_is_wrong_with_a_new_profile_is_said_and_nothing_is_written(profile: Commands, words: list[str], says: str) -> None:
    profile.configure()
    before = profile.file.read_text()
    code, out, err = profile("add", "new", *words)
    assert (code, out) == (2, "")
    assert says in err
    assert "config.toml:" not in err, "no line of a file that does not have the profile"
    assert "pw" not in err
    assert profile.file.read_text() == before


def test_names_that_are_taken_or_cannot_be_one(profile: Commands) -> None:
    profile.configure()
    words = ("rucio_host=https://h", "account=x", "auth=oidc", "oidc_agent=a")
    for name, says in (("ops", "has a profile ops already"), ("env", "call it otherwise"), ("../up", "cannot be the name of a profile")):
        code, _, err = profile("add", name, *words)
        assert (code, says in err) == (2, True), err


def test_keys_are_changed_and_taken_away(profile: Commands) -> None:
    profile.configure()
    assert profile("edit", "ops", "account=root", "color=", "voms=escape:/escape/Role=operator")[0] == 0
    text = profile.file.read_text()
    assert text == CONFIG.replace("{home}", str(profile.home)).replace('account = "ops"', 'account = "root"').replace(
        'color = "red"', 'voms = "escape:/escape/Role=operator"'
    )
    code, _, err = profile("edit", "ops", "password_file=")
    assert (code, "auth userpass needs password_file" in err) == (2, True)
    assert profile.file.read_text() == text
    code, _, err = profile("edit", "env", "account=x")
    assert (code, "change the variables" in err) == (2, True)


@pytest.mark.parametrize(
    ("key", "bad", "good"),
    [
        ("issuer", "http://iam.example.org/", "https://iam.example.org/"),
        ("issuer", "https://iam.example.org/?x=1", "http://127.0.0.1:8080/"),
        ("issuer", "https://iam.example.org/#x", "http://localhost/"),
        ("issuer", "https://me@iam.example.org/", "http://[::1]:9/"),
        ("issuer", "http://localhost.example.org/", "https://iam.example.org"),
        ("voms", "-escape", "escape"),
        ("voms", "escape:Role=x", "escape:/escape/Role=production"),
        ("voms", "escape:/escape;id", "escape:/escape/lofar"),
        ("oidc_agent", "--all", "escape-prod"),
        ("oidc_agent", "two words", "escape"),
        ("scope", 'storage.read:/"x"', "openid storage.read:/ storage.modify:/a"),
        ("audience", "a\nb", "https://wlcg.cern.ch/jwt/v1/any"),
        ("vo", "a b", "esc"),
        ("color", "$(id)", "#00ff00"),
    ],
)
def test_new_keys_are_checked_well(profile: Commands, key: str, bad: str, good: str) -> None:
    profile.configure()
    profile("edit", "test", "issuer=https://iam.example.org/", "client_id=x")
    code, _, err = profile("edit", "test", f"{key}={bad}")
    assert code == 2
    assert f"qostui: {key}: " in err
    assert profile("edit", "test", f"{key}={good}") == (0, "", f"qostui: {profile.file}: profile test is changed\n")
    assert profile.tables()["test"][key] == good


def test_a_broken_file_is_left_alone_and_its_line_is_told(profile: Commands) -> None:
    profile.configure(CONFIG.replace('auth = "oidc"', 'auth = "oidk"'))
    before = profile.file.read_text()
    for arguments in (("use", "ops"), ("edit", "ops", "account=x"), ("list",)):
        code, _, err = profile(*arguments)
        assert code == 2
        assert f"{profile.file}:15: auth 'oidk' is not known" in err
    assert profile.file.read_text() == before
    assert profile("remove", "--yes", "test")[0] == 0, "which mends it"
    assert list(profile.tables()) == ["ops"]
    profile.configure("[profiles")
    assert profile("use", "ops")[0] == 2
    assert profile.file.read_text() == "[profiles"


def test_the_default_profile_is_chosen(profile: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    profile.configure()
    assert profile("use", "test")[0] == 0
    assert [each["profile"] for each in profile.objects("list") if each["default"]] == ["test"]
    monkeypatch.setenv("QOSTUI_PROFILE", "ops")
    assert "$QOSTUI_PROFILE says otherwise" in profile("use", "test")[2]


# --- removing ------------------------------------------------------------------------------------------------


def _kept(name: str) -> list[Path]:
    """What the console keeps for a profile: rows and a session."""
    found = []
    for directory in (config.paths.state_dir() / "last" / name, config.paths.runtime_dir() / name):
        directory.mkdir(parents=True, mode=0o700)
        (directory / "file").write_text("x")
        found.append(directory)
    return found


def test_removing_takes_what_was_kept_for_the_profile_and_nothing_else(profile: Commands) -> None:
    profile.configure()
    password = profile.secret("password", PASSWORD)
    gone, stays = _kept("ops"), _kept("test")
    code, out, err = profile("remove", "ops")
    assert (code, out) == (2, "")
    assert "--yes" in err
    assert all(each.exists() for each in gone)
    assert profile("remove", "--yes", "ops")[0] == 0
    assert list(profile.tables()) == ["test"]
    assert "default_profile" not in profile.file.read_text()
    assert "# tests" in profile.file.read_text()
    assert [each.exists() for each in (*gone, *stays)] == [False, False, True, True]
    assert password.exists()


def test_on_a_terminal_the_name_is_asked_for_again(profile: Commands) -> None:
    profile.configure()
    profile.type("tst\n")
    assert profile("remove", "test")[0] == 2
    assert "test" in profile.tables()
    profile.type("test\n")
    assert profile("remove", "test")[0] == 0
    assert "test" not in profile.tables()


def test_a_link_in_place_of_what_is_kept_is_not_followed(profile: Commands) -> None:
    profile.configure()
    (valuable,) = _kept("test")[:1]
    other = valuable.parent / "ops"
    other.symlink_to(valuable)
    assert profile("remove", "--yes", "ops")[0] == 0
    assert (valuable / "file").exists()


# --- in an editor --------------------------------------------------------------------------------------------


def test_the_editor_gets_the_keys_and_the_file_what_it_left(profile: Commands) -> None:
    profile.configure(CONFIG.replace('color = "red"', '# why\ncolor = "red"'))
    profile.editor("assert '#: ' in text and 'voms_dir' in text\ntext = text.replace('\"red\"', '\"blue\"  # calmer')")
    code, _, err = profile("edit", "ops")
    assert (code, err) == (0, f"qostui: {profile.file}: profile ops is changed\n")
    assert '# why\ncolor = "blue"  # calmer\n\n# tests\n[profiles.test]' in profile.file.read_text()
    assert "#:" not in profile.file.read_text()
    profile.editor("")
    assert "nothing was changed" in profile("edit", "ops")[2]


def test_mistakes_are_told_with_their_line_and_the_editor_comes_again(profile: Commands, tmp_path: Path) -> None:
    profile.configure()
    turn = tmp_path / "turn"
    profile.editor(
        f"turn = pathlib.Path({str(turn)!r})\n"
        "if turn.exists():\n    text = text.replace('acount', 'account').replace('\"ops\"', '\"root\"')\n"
        "else:\n    turn.write_text('1')\n    text = text.replace('account', 'acount')"
    )
    profile.type("\n")
    code, _, err = profile("edit", "ops")
    assert code == 0
    assert "unknown key 'acount'; did you mean account?" in err
    assert f"{'ops.toml'}:" in err
    assert profile.tables()["ops"]["account"] == "root"


@pytest.mark.parametrize("text", ["account = ", "", 'auth = "nonsense"', "[profiles.x]"])
def test_what_does_not_hold_never_reaches_the_file(profile: Commands, text: str) -> None:
    profile.configure()
    before = profile.file.read_text()
    profile.editor(f"text = {text!r}")
    code, _, err = profile("edit", "ops")
    assert (code, profile.file.read_text()) == (2, before)
    assert "ops.toml:" in err
    profile.type("n\n")
    assert profile("edit", "ops")[0] == 2
    assert profile.file.read_text() == before


def test_an_editor_that_fails_or_is_not_there(profile: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    profile.configure()
    before = profile.file.read_text()
    profile.editor("sys.exit(3)")
    code, _, err = profile("edit", "ops")
    assert (code, "status 3: nothing was changed" in err) == (2, True)
    monkeypatch.setenv("VISUAL", "no-such-editor --wait")
    code, _, err = profile("edit", "ops")
    assert (code, "cannot be started" in err) == (2, True)
    assert profile.file.read_text() == before


def test_a_change_by_another_process_meanwhile_is_not_written_over(profile: Commands) -> None:
    profile.configure()
    config_file = str(profile.file)
    profile.editor(
        f"other = pathlib.Path({config_file!r})\n"
        "other.write_text(other.read_text().replace('\"red\"', '\"green\"'))\ntext = text.replace('\"ops\"', '\"root\"')"
    )
    code, _, err = profile("edit", "ops")
    assert code == 2
    assert "changed by another process meanwhile" in err
    assert (profile.tables()["ops"]["color"], profile.tables()["ops"]["account"]) == ("green", "ops")
    kept = Path(err.split("your text is in ")[1].strip())
    assert 'account = "root"' in kept.read_text()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


# --- from a rucio.cfg ----------------------------------------------------------------------------------------


def _cfg(profile: Commands, auth: str = "x509_proxy", *more: str, text: str = RUCIO_CFG) -> Path:
    return profile.secret("rucio.cfg", text.replace("auth_type = x509_proxy", "\n".join([f"auth_type = {auth}", *more])))


def test_a_rucio_cfg_becomes_a_profile(profile: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUCIO_HOME", "/opt/rucio")
    code, _, err = profile("add", "new", "--from", _cfg(profile), "color=red", "account=root")
    assert code == 0, err
    assert profile.tables()["new"] == {
        "rucio_host": "https://rucio.example.org:443",
        "account": "root",
        "auth": "x509_proxy",
        "auth_host": "https://auth.example.org:443",
        "proxy": str(profile.home / "proxy.pem"),
        "ca": "/opt/rucio/ca.pem",
        "vo": "esc",
        "color": "red",
    }


def test_ways_of_logging_in(profile: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUCIO_HOME", str(profile.home))
    certificates = profile.home / "ca.pem"
    certificates.mkdir()
    assert profile("add", "proxy", "--from", _cfg(profile, text=RUCIO_CFG.replace("client_x509_proxy", "#")))[0] == 0
    assert profile.tables()["proxy"]["proxy"] == f"/tmp/x509up_u{os.geteuid()}"
    assert profile.tables()["proxy"]["ca_path"] == str(certificates), "a directory of CAs is one"
    code, _, err = profile("add", "x509", "--from", _cfg(profile, "x509"))
    assert (code, "client_cert takes $NOT_SET, which is not set" in err) == (2, True)
    assert "certificate=..." in err
    assert profile("add", "x509", "--from", _cfg(profile, "x509"), "certificate=/c.pem")[0] == 0
    assert profile.tables()["x509"].items() >= {"certificate": "/c.pem", "key": str(profile.home / "key.pem")}.items()
    code, _, err = profile("add", "oidc", "--from", _cfg(profile, "oidc"))
    assert (code, "does not say where the token comes from" in err) == (2, True)
    assert profile("add", "oidc", "--from", _cfg(profile, "oidc"), "oidc_agent=escape")[0] == 0
    for way in ("ssh", "gss", "saml"):
        code, _, err = profile("add", way, "--from", _cfg(profile, way))
        assert code == 2
        assert f"logs in by {way}, which the console cannot do" in err
        assert "one of userpass, x509, x509_proxy, oidc" in err


def test_a_pass_word_never_gets_into_the_configuration(profile: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUCIO_HOME", "/opt/rucio")
    source = _cfg(profile, "userpass", f"password = {PASSWORD}")
    code, out, err = profile("add", "new", "--from", source)
    assert (code, out) == (2, "")
    assert "is not copied into our configuration" in err
    assert "--password-file PATH" in err
    assert "keyring set qostui new" in err
    assert not profile.file.exists()
    target = profile.home / "secrets" / "new"
    code, out, err = profile("add", "new", "--from", source, "--password-file", target)
    assert (code, out) == (0, "")
    assert target.read_text() == f"{PASSWORD}\n"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert stat.S_IMODE(target.parent.stat().st_mode) == 0o700
    assert profile.tables()["new"]["password_file"] == str(target)
    assert profile.tables()["new"]["username"] == "ddm"
    assert PASSWORD not in profile.file.read_text() + err
    code, _, err = profile("add", "other", "--from", source, "--password-file", target)
    assert (code, "is not written over" in err) == (2, True)
    assert profile("add", "other", "--from", source, "password_keyring=other")[0] == 0


def test_no_pass_word_file_is_left_of_a_profile_that_was_not_written(profile: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUCIO_HOME", "/opt/rucio")
    source = _cfg(profile, "userpass", f"password = {PASSWORD}")
    target = profile.home / "word"
    for mistake in ("auth_host=nowhere", "color=%"):
        assert profile("add", "new", "--from", source, "--password-file", target, mistake)[0] == 2
        assert not target.exists()

    def full(path: Path, text: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "replace", full)
    code, _, err = profile("add", "new", "--from", source, "--password-file", target)
    assert (code, "No space left on device" in err) == (2, True)
    assert not target.exists()
    shared = profile.home / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    assert "others can write there" in profile("add", "new", "--from", source, "--password-file", shared / "word")[2]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"password = s3cret\n", "is not a rucio.cfg"),
        (b"[client]\npassword = s3cret\npassword = s3cret\n", "is not a rucio.cfg"),
        (b"\xff\xfe", "is not a rucio.cfg"),
        (b"[database]\ndefault = x\n", "has no section [client]"),
        (b"[client]\nrucio_host = https://h\n", "does not say how to log in"),
        (b"[client]\nauth_type = userpass\nrucio_host = https://h\naccount = x\n", "has no pass word"),
        (b"[client]\nauth_type = x509_proxy\nrucio_host = https://$BEARER_TOKEN\naccount = x\n", "which may be a secret"),
        (b"[client]\nauth_type = x509_proxy\naccount = x\n", "profile new has no rucio_host"),
    ],
)
def test_what_is_no_client_section_is_told_without_its_content(
    profile: Commands, monkeypatch: pytest.MonkeyPatch, content: bytes, says: str
) -> None:
    monkeypatch.setenv("BEARER_TOKEN", "s3cret")
    source = profile.home / "rucio.cfg"
    source.write_bytes(content)
    code, out, err = profile("add", "new", "--from", source)
    assert (code, out) == (2, "")
    assert says in err
    assert "s3cret" not in err
    assert "cannot be read" in profile("add", "new", "--from", profile.home / "none.cfg")[2]


# --- two at once ---------------------------------------------------------------------------------------------


def test_many_processes_lose_no_change_of_each_other(profile: Commands) -> None:
    profile.configure()
    words = ["rucio_host=https://h.example.org", "account=x", "auth=oidc", "oidc_agent=a"]
    changes = [["add", f"p{number}", *words] for number in range(5)]
    changes += [["edit", "ops", "account=root"], ["edit", "ops", "color=blue"], ["use", "test"]]
    env = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    running = [
        subprocess.Popen([sys.executable, "-m", "qostui", "profile", *change], env=env, stderr=subprocess.PIPE, text=True)
        for change in changes
    ]
    for each in running:
        _, err = each.communicate(timeout=60)
        assert each.returncode == 0, err
    assert set(profile.tables()) == {"ops", "test", *(f"p{number}" for number in range(5))}
    assert (profile.tables()["ops"]["account"], profile.tables()["ops"]["color"]) == ("root", "blue")
    assert 'default_profile = "test"' in profile.file.read_text()
    assert {each.name for each in profile.file.parent.iterdir()} == {"config.toml", "config.toml.lock"}


def test_a_lock_that_is_never_given_back_is_no_reason_to_wait_for_ever(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    with files.alone(file), pytest.raises(TimeoutError, match="another process"), files.alone(file, wait_s=0.05):
        raise AssertionError("two are in it")
    with files.alone(file, wait_s=0):
        assert not file.exists()


# --- proving -------------------------------------------------------------------------------------------------


@pytest.fixture
def fake(profile: Commands) -> Iterator[FakeRucio]:
    profile.secret("password", "s3cret\n")
    with fake_rucio.running() as server:
        yield server


def _userpass(profile: Commands, **hosts: str) -> None:
    profile.configure(
        "".join(
            f'[profiles.{name}]\nrucio_host = "{host}"\naccount = "ops"\nauth = "userpass"\npassword_file = "{{home}}/password"\n'
            for name, host in hosts.items()
        )
    )


def _checked(profile: Commands, *arguments: str) -> tuple[int, dict[str, dict[str, Any]], str]:
    code, out, err = profile("check", *arguments, "-o", "json")
    return code, {record["profile"]: record for record in json.loads(out)}, err


def test_a_profile_is_proven_by_a_log_in_of_its_own(profile: Commands, fake: FakeRucio) -> None:
    _userpass(profile, ops=fake.address)
    for _ in range(2):
        code, records, err = _checked(profile)
        assert (code, err) == (0, "")
    record = records["ops"]
    assert record.pop("elapsed_ms") >= 0
    assert record == {
        "profile": "ops",
        "rucio_host": f"127.0.0.1:{fake.port}",
        "account": "ops",
        "auth": "userpass",
        "ok": True,
        "account_said": "ops",
        "expires_at": "2126-11-22T20:27:14Z",
        "problem": None,
        "step": None,
    }
    assert fake.paths().count("/auth/userpass") == 2, "a session of an earlier run proves nothing"
    kept = list(config.paths.runtime_dir().rglob("token-*"))
    assert len(kept) == 1
    fake.refused_logins = -1
    code, records, err = _checked(profile, "ops")
    assert code == 4
    assert "refuses the log-in" in records["ops"]["problem"]
    assert records["ops"]["step"]
    assert "1 of 1 not proven: ops" in err
    assert list(config.paths.runtime_dir().rglob("token-*")) == kept, "and another console's session is left alone"


def test_one_that_hangs_and_one_that_is_down_hold_up_nobody(profile: Commands, fake: FakeRucio) -> None:
    ended = threading.Event()
    with fake_rucio.running() as slow:
        slow.answers["/auth/userpass"] = lambda reply: (ended.wait(60), None)[1]
        _userpass(profile, slow=slow.address, down="http://127.0.0.1:9", good=fake.address)
        code, records, err = _checked(profile, "--all", "--timeout", "0.5")
        ended.set()
    assert code == 3
    assert list(records) == ["slow", "down", "good"]
    assert [record["ok"] for record in records.values()] == [False, False, True]
    assert "connection refused" in records["down"]["problem"]
    assert "2 of 3 not proven: slow, down" in err


def test_wrong_uses_of_check(profile: Commands) -> None:
    assert "nothing is configured" in profile("check", "--all")[2]
    profile.configure()
    for arguments in (("--all", "ops"), ("--timeout", "0"), ("--timeout", "nan"), ("-o", "nonsense")):
        code, out, _ = profile("check", *arguments)
        assert (code, out) == (2, "")


def test_options_may_stand_anywhere(profile: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUCIO_HOME", "/opt/rucio")
    assert profile("add", "new", "color=red", "--from", _cfg(profile), "account=root")[0] == 0
    assert profile.tables()["new"]["account"] == "root"
    assert profile("remove", "new", "--yes")[0] == 0


def test_the_help_says_what_the_exit_codes_mean(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["profile", "check", "--help"])
    assert ended.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "0 all are proven; 4 a credential fails" in text
    assert "3 nothing but connections fail" in text
