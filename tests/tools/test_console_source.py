"""The console shows text as text and keeps no secret: rules on its source."""

import re
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2] / "web" / "src"
NEVER = re.compile(
    r"v-html|innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function\(|"
    r"postMessage|addEventListener\('message'|sessionStorage|indexedDB|document\.cookie|javascript:"
)
STORAGE = re.compile(r"localStorage")


def sources() -> list[Path]:
    found = [p for p in SOURCE.rglob("*") if p.suffix in {".vue", ".ts"} and p.is_file()]
    assert len(found) > 30
    return found


# The alarm page and its own service worker tell each other that something has been stored.
OWN_WORKER = {"alarm/state.ts": "addEventListener('message'", "alarm/sw.ts": "postMessage"}


def test_the_console_never_takes_text_for_markup_or_code() -> None:
    bad = [
        f"{path.relative_to(SOURCE)}: {found.group()}"
        for path in sources()
        if path.name != "schema.d.ts" and (found := NEVER.search(path.read_text()))
    ]
    assert sorted(bad) == [f"{path}: {text}" for path, text in OWN_WORKER.items()]
    listening = (SOURCE / "alarm/state.ts").read_text()
    # What it is told is not even looked at: it reads its own store again.
    assert "serviceWorker?.addEventListener('message', () => void refresh())" in listening


def test_the_console_keeps_preferences_only() -> None:
    """Two places write to the browser's storage: preferences, and words that were not sent yet.

    Nobody hands them a token or a picture, and whoever signs out leaves no words behind.
    """
    writing = sorted(p.name for p in sources() if STORAGE.search(p.read_text()))
    assert writing == ["draft.ts", "remember.ts"]
    assert "onSignedOut" in (SOURCE / "lib" / "draft.ts").read_text()
    kept = {
        name
        for path in sources()
        for name in re.findall(r"\b(?:remember|recall|remembered)\w*\('([^']+)'", path.read_text())
    }
    assert not [name for name in kept if re.search("token|secret|password|csrf|session", name)]
