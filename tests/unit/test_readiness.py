"""What a profile lacks for its log-in, told without a call."""

from __future__ import annotations

from pathlib import Path

import pytest

from qostui.adapters.readiness import lacking
from qostui.config import Settings
from qostui.domain.profile import Profile, Secret


@pytest.mark.parametrize(
    ("auth", "values", "says"),
    [
        ("x509_proxy", {"proxy": "there"}, ""),
        ("x509_proxy", {"proxy": "gone"}, "no proxy"),
        ("x509", {"certificate": "there", "key": "gone"}, "no key"),
        ("userpass", {"password_file": "gone"}, "no pass word"),
        ("userpass", {"password_keyring": "ops"}, ""),
        ("oidc", {"token_file": "there"}, ""),
        ("oidc", {"token_file": "gone"}, "no token"),
        ("oidc", {"oidc_agent": "wlcg"}, ""),
        ("oidc", {"token": Secret("s3cret")}, ""),
        ("oidc", {}, "no token"),
    ],
)
def test_what_is_missing_is_named(auth: str, values: dict[str, object], says: str, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("x")
    places = {"proxy", "certificate", "key", "password_file", "token_file"}
    given = {key: tmp_path / str(value) if key in places else value for key, value in values.items()}
    profile = Profile("lake", "https://rucio.test", "ops", auth, **given)  # type: ignore[arg-type]
    assert lacking(profile, Settings(state_dir=tmp_path, runtime_dir=tmp_path)) == says
