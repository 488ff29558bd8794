"""The places of the console's files (XDG base directories), made private where they hold something private."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

APPLICATION = "qostui"
KEYS = "keys.toml"
"""The keymap, beside config.toml."""


def _base(env: Mapping[str, str], variable: str, fallback: str) -> Path:
    value = env.get(variable, "")
    # The specification says that relative values are to be ignored.
    root = Path(value) if value.startswith("/") else Path(env.get("HOME") or Path.home()) / fallback
    return root / APPLICATION


def config_dir(env: Mapping[str, str] = os.environ) -> Path:
    """Where config.toml, keymaps and user themes lie."""
    return _base(env, "XDG_CONFIG_HOME", ".config")


def config_file(env: Mapping[str, str] = os.environ) -> Path:
    """The configuration: $QOSTUI_CONFIG, else config.toml in the configuration directory."""
    return Path(env["QOSTUI_CONFIG"]) if env.get("QOSTUI_CONFIG") else config_dir(env) / "config.toml"


def themes_dir(env: Mapping[str, str] = os.environ) -> Path:
    """The user's own themes."""
    return config_dir(env) / "themes"


def state_dir(env: Mapping[str, str] = os.environ) -> Path:
    """What should outlive a restart: the last rows, records of actions."""
    return _base(env, "XDG_STATE_HOME", ".local/state")


def cache_dir(env: Mapping[str, str] = os.environ) -> Path:
    """What can be made again."""
    return _base(env, "XDG_CACHE_HOME", ".cache")


def runtime_dir(env: Mapping[str, str] = os.environ) -> Path:
    """Short-lived secrets: below $XDG_RUNTIME_DIR when that is a directory of ours, else below the state directory."""
    value = env.get("XDG_RUNTIME_DIR", "")
    if value.startswith("/"):
        try:
            found = os.stat(value)
        except OSError:
            found = None
        if found is not None and stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077:
            return Path(value) / APPLICATION
    return state_dir(env) / "run"
