"""The lake's OpenID provider: its flows run in the lake's environment, which alone has Authlib and Flask."""

from __future__ import annotations

from pathlib import Path

from tests import lakes


def test_flows_of_the_provider(tmp_path: Path) -> None:
    lakes.run_flows("oidc_flows.py", tmp_path, least=40, seconds=180)
