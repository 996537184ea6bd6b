"""Encryption of what must be kept and read again: providers' keys of organizations, secrets of webhooks.

AES-256 in Galois/counter mode (NIST SP 800-38D) with a random nonce of 12 bytes, under keys that HKDF-SHA256 (RFC 5869)
makes of the secrets in the settings. What a text belongs to is authenticated with it, so that a sealed key cannot be
moved to another organization's row.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

if TYPE_CHECKING:
    from collections.abc import Sequence

NONCE_BYTES = 12
KEY_BYTES = 32
ID_BYTES = 8
_PURPOSE = b"uncrop: keys of providers"


class CannotUnseal(Exception):
    """The text was sealed under a key that is not known, or is not what was sealed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sealed:
    """A text as it is kept: the id of the key that it is encrypted with, and the nonce with the ciphertext."""

    key_id: str
    data: bytes


class Sealer:
    """Encrypts and decrypts short texts.

    Parameters
    ----------
    keys
        Secrets of the settings, at least one; the first encrypts, all decrypt.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self._ciphers = {key_id(key): _cipher(key) for key in reversed(keys)}
        self.present_id = key_id(keys[0])

    @property
    def ids(self) -> frozenset[str]:
        """The ids of all keys that are known."""
        return frozenset(self._ciphers)

    def seal(self, text: str, *, belongs_to: str) -> Sealed:
        """Encrypt a text."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        data = self._ciphers[self.present_id].encrypt(nonce, text.encode(), belongs_to.encode())
        return Sealed(key_id=self.present_id, data=nonce + data)

    def unseal(self, sealed: Sealed, *, belongs_to: str) -> str:
        """Decrypt a text.

        Raises
        ------
        CannotUnseal
            Its key is not known, or it was changed, or it belongs to something else.
        """
        cipher = self._ciphers.get(sealed.key_id)
        if cipher is None:
            raise CannotUnseal("its encryption key is not known")
        nonce, data = sealed.data[:NONCE_BYTES], sealed.data[NONCE_BYTES:]
        try:
            return cipher.decrypt(nonce, data, belongs_to.encode()).decode()
        except (InvalidTag, ValueError) as error:
            raise CannotUnseal("it is not what was encrypted") from error


def key_id(key: str) -> str:
    """Return 16 hexadecimal digits by which a sealed text names its key; they do not tell what it is."""
    return hmac.digest(key.encode(), b"uncrop: which encryption key is this?", hashlib.sha256)[:ID_BYTES].hex()


def _cipher(key: str) -> AESGCM:
    return AESGCM(HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=_PURPOSE).derive(key.encode()))
