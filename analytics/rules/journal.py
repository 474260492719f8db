"""Which faults are said and not over, in a file that outlives the process that said them.

Without it a camera that is well again while its worker is being restarted would stay reported.
"""

import threading
from pathlib import Path

import orjson

from core.durable import replace_file
from core.logging import get_logger

_log = get_logger("analytics.journal")


class EventJournal:
    """Keys of running events, by what they are about.

    Noting is cheap and writes nothing; `save` does, once the signals are safe: a fault that is
    said twice is one event, and one that was never said would never be.
    """

    def __init__(self, path: Path) -> None:
        """Take up what is there; a file that is broken or missing is an empty one."""
        self._path = path
        self._keys = _read(path)
        self._saved = dict(self._keys)
        self._saving = threading.Lock()

    def key(self, about: object) -> str:
        """Return the key of the event that runs about something; empty while there is none."""
        return self._keys.get(str(about), "")

    def begin(self, about: object, key: str) -> None:
        """Note that an event runs."""
        self._keys[str(about)] = key

    def end(self, about: object) -> str:
        """Note that an event is over; return its key, empty if there was none."""
        return self._keys.pop(str(about), "")

    def save(self) -> None:
        """Write what was noted; a file that cannot be written is logged. Thread-safe.

        Its only use is after a restart; the signals themselves are safe elsewhere.
        """
        with self._saving:
            keys = dict(self._keys)
            if keys == self._saved:
                return
            try:
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                replace_file(self._path, orjson.dumps(keys))
            except OSError as error:
                _log.warning(
                    "a journal of faults cannot be written",
                    journal=self._path.name,
                    reason=error.strerror,
                )
            else:
                self._saved = keys


def _read(path: Path) -> dict[str, str]:
    try:
        found = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {what: key for what, key in found.items() if isinstance(key, str)}
