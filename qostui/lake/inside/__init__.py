"""What runs inside the lake: standard library, the Rucio server, Authlib and uproot; nothing else of qostui."""
