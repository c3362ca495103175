"""Ids that nothing can be derived from. Ids that follow from a cause are derived in `rules/signatures.py`."""

import secrets

_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"


def new_id(length: int = 16) -> str:
    """Random, url-safe, lower-case; 5 bits a character."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
