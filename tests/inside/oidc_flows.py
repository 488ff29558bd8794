"""The OpenID provider's flows, spoken as a client and a browser would; test_lake_oidc.py starts this.

Runs in the lake's environment (Authlib, Flask, no pytest) against the application in memory, with the parent of the
package `inside` and this directory on PYTHONPATH.
"""

from __future__ import annotations

import unittest

from oidc_pages import Pages
from oidc_tokens import Tokens

__all__ = ["Pages", "Tokens"]

if __name__ == "__main__":
    unittest.main()
