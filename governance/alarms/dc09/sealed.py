"""Encryption of DC-09: AES-CBC with a zero vector, random padding before the first `|`.

The standard has no authentication beside the CRC and the timestamp inside: whoever knows the key
speaks as the panel, and the window of time bounds how long a recording can be played back.
"""

import secrets

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes

from governance.alarms.dc09.frames import FrameError

_BLOCK = 16
_IV = bytes(_BLOCK)
_PADDING = bytes(c for c in range(0x20, 0x7F) if chr(c) not in '|[]"#')


def unseal(text: str, key: bytes) -> str:
    """Return what is sealed in `text` (hexadecimal), without its padding.

    Raises:
        FrameError: it was not sealed with this key, or is no whole number of blocks.
    """
    try:
        sealed = bytes.fromhex(text)
    except ValueError as error:
        raise FrameError("sealed") from error
    if not sealed or len(sealed) % _BLOCK:
        raise FrameError("sealed")
    plain = _run(Cipher(algorithms.AES(key), modes.CBC(_IV)).decryptor(), sealed)
    _, bar, content = plain.decode("latin-1").partition("|")
    if not bar or not content.isprintable() or "]" not in content:
        raise FrameError("key")
    return content


def seal(content: str, key: bytes) -> str:
    """Return `content` (all that follows the padding) sealed, in hexadecimal."""
    missing = -(len(content) + 1) % _BLOCK or _BLOCK
    padding = bytes(secrets.choice(_PADDING) for _ in range(missing))
    plain = padding + b"|" + content.encode("latin-1")
    return _run(Cipher(algorithms.AES(key), modes.CBC(_IV)).encryptor(), plain).hex().upper()


def _run(context: CipherContext, data: bytes) -> bytes:
    return context.update(data) + context.finalize()
