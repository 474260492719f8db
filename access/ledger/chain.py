"""The chain: which bytes of an entry are hashed, and in which order. Written down in `ledger.md`.

    head   = seq, at (signed 64 bit), then the lengths in bytes of the six texts (unsigned 32 bit);
             all big-endian, 40 bytes
    hash_n = SHA-256(hash_(n-1) + head + kind + area + actor_kind + actor_id + subject + body)

Every stored column is in it. The lengths stand before the texts, so that no two entries have the
same bytes. `hash_0` is fixed and names this layout: a ledger of another layout never fits.
"""

import hashlib
from struct import Struct

HEAD = Struct(">qq6I")

GENESIS = hashlib.sha256(b"camera-hub ledger, layout 1").digest()
"""What stands before the first entry."""


def entry_hash(previous: bytes, seq: int, at_us: int, texts: tuple[str, ...]) -> bytes:
    """Return the hash of an entry that follows `previous` (32 bytes).

    Args:
        previous: hash of the entry before, `GENESIS` for the first.
        seq: number of the entry, from 1.
        at_us: microseconds since 1970-01-01 UTC.
        texts: kind, area, actor_kind, actor_id, subject and body as stored.

    Raises:
        struct.error: a number does not fit its field, or there are not six texts.
    """
    parts = [text.encode() for text in texts]
    return hashlib.sha256(
        b"".join((previous, HEAD.pack(seq, at_us, *map(len, parts)), *parts))
    ).digest()
