"""Whether a profile could log in as it stands, told from what lies on this machine; no server is asked and nothing is opened."""

from __future__ import annotations

from pathlib import Path

from ..domain.profile import Profile
from ..services.ports import Preferences

_KEYS = {
    "userpass": (("password_file", "pass word"),),
    "x509": (("certificate", "certificate"), ("key", "key")),
    "x509_proxy": (("proxy", "proxy"),),
    "oidc": (("token_file", "token"),),
}
"""Log-in method -> keys of the profile whose files it needs, and what they hold."""


def lacking(profile: Profile, preferences: Preferences) -> str:
    """What is missing, in a word or two: `log in` for a provider's token, `no proxy`; "" when nothing is, as far as can be told."""
    for key, what in _KEYS.get(profile.auth, ()):
        path: Path | None = getattr(profile, key)
        if path is not None and not path.exists():
            return f"no {what}"
    by_log_in = profile.auth == "oidc" and profile.token_file is None and profile.token is None and not profile.oidc_agent
    if by_log_in and profile.issuer:
        from .vault import Vault

        return "" if Vault(profile, Path(preferences.runtime_dir), Path(preferences.state_dir)).access_file.exists() else "log in"
    return "no token" if by_log_in else ""
