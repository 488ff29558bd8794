"""Where the console keeps the proxy of a profile that names no place for one. Nothing heavy is imported: the start needs it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ..domain.profile import Profile


def proxy(profile: Profile, runtime_dir: Path) -> Path:
    """The console's own place for a proxy."""
    return runtime_dir / profile.name / "proxy.pem"


def completed(profile: Profile, runtime_dir: Path) -> Profile:
    """The profile with the console's own place for a proxy, where it names none."""
    if profile.proxy is not None:
        return profile
    return replace(profile, proxy=proxy(profile, runtime_dir), sources=(*profile.sources, ("proxy", "made by the console")))
