"""The clipboard of the terminal, through OSC 52; inside tmux also in its pass-through envelope."""

from __future__ import annotations

import base64

LIMIT = 74994
"""Bytes of base64 that terminals are known to take (k9s caps there too)."""


def sequence(text: str, *, tmux: bool) -> str:
    """What to write so that the terminal takes `text`; raises ValueError when it is too long."""
    encoded = base64.b64encode(text.encode("utf-8", "surrogatepass")).decode("ascii")
    if len(encoded) > LIMIT:
        raise ValueError("too long for the clipboard of a terminal")
    plain = f"\x1b]52;c;{encoded}\x07"
    if not tmux:
        return plain
    # tmux itself takes the plain form (set-clipboard on); the envelope reaches the terminal outside (allow-passthrough on).
    return f"{plain}\x1bPtmux;\x1b{plain}\x1b\\"
