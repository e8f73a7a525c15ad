"""Keys of endpoints at rest: encrypted under a key that is derived from a setting, so the database alone opens none."""

import base64

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.utils.translation import gettext as _


class KeyLost(Exception):
    """The stored key cannot be read with the setting of today."""


def _fernet() -> Fernet:
    """From EDITLOOP_ENDPOINT_KEY, else from the secret key of the site. HKDF (RFC 5869) keeps its uses apart."""
    secret = settings.ENDPOINT_KEY or settings.SECRET_KEY
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"editloop endpoint keys").derive(secret.encode())
    return Fernet(base64.urlsafe_b64encode(derived))


def encrypt(key: str) -> str:
    return _fernet().encrypt(key.encode()).decode() if key else ""


def decrypt(stored: str) -> str:
    """The key; empty where none is stored. Raises KeyLost."""
    if not stored:
        return ""
    try:
        return _fernet().decrypt(stored.encode()).decode()
    except InvalidToken:
        message = _("The stored key cannot be read: EDITLOOP_ENDPOINT_KEY or the secret key has changed.")
        raise KeyLost(message + " " + _("Enter the key again.")) from None
