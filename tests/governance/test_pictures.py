"""Pictures on disk: whole or not there, once, and named by what they are."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.errors import UnavailableError
from governance.attachments.store import InvalidPictureError, PictureStore, check_picture
from tests.governance.support import picture


def test_a_picture_is_kept_once_under_its_sha256(tmp_path: Path) -> None:
    store = PictureStore(tmp_path / "attachments")
    found = check_picture(picture(), "image/jpeg")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(store.write, [found] * 16))
    files = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert files == [store.path(hashlib.sha256(picture()).hexdigest())]
    assert store.read(found.sha256) == picture()
    assert (found.width, found.height) == (64, 36)


def test_what_a_crash_left_half_written_is_written_again(tmp_path: Path) -> None:
    store = PictureStore(tmp_path)
    found = check_picture(picture(), "image/jpeg")
    store.write(found)
    store.path(found.sha256).write_bytes(picture()[:10])
    store.write(found)
    assert store.read(found.sha256) == picture()


def test_a_missing_picture_says_so(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="cannot be read"):
        PictureStore(tmp_path).read("ab" * 32)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(UnavailableError, match="cannot be stored"):
        PictureStore(tmp_path / "attachments").write(check_picture(picture(), "image/jpeg"))


def test_a_directory_that_is_a_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "attachments").write_text("in the way")
    with pytest.raises(UnavailableError, match="cannot be stored"):
        PictureStore(tmp_path / "attachments").write(check_picture(picture(), "image/jpeg"))


@pytest.mark.parametrize("media_type", ["image/gif", "text/html", "IMAGE/JPEG; x", ""])
def test_other_media_types_are_refused(media_type: str) -> None:
    with pytest.raises(InvalidPictureError):
        check_picture(picture(), media_type)
