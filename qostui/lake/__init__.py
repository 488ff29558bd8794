"""The embedded data lake: installer and control from outside, `inside/` runs in the lake's own environment."""
