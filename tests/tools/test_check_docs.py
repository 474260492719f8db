"""What `make check` finds wrong in documents, each on a page that has just that fault."""

from pathlib import Path

import pytest

from tools import check_docs


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only page of a repository with a Makefile of its own."""
    (tmp_path / "Makefile").write_text("demo: setup\n\t@true\nsetup:\n\t@true\n")
    monkeypatch.setattr(check_docs, "ROOT", tmp_path)
    return tmp_path / "README.md"


def found(page: Path, text: str) -> str:
    """Return what is found on `page` when it says `text`."""
    page.write_text(text)
    return check_docs.check_docs()


def test_what_exists_is_not_complained_about(page: Path) -> None:
    """Links to files and headings, commands with options and values, other people's commands."""
    (page.parent / "other.md").write_text("# Other")
    text = (
        "[a file](other.md), [its part](other.md#other), [elsewhere](https://example.org/x),\n"
        "`camera-hub serve --port 80` and `make demo ARGS=--headless`.\n"
        "```console\n"
        "$ camera-hub --config hub.yaml cameras add Gate 10.0.0.7 --password-stdin # a comment\n"
        "$ camera-hub analyse clip.mp4 --json\n"
        "$ curl --no-such-option\n"
        "```\n"
    )
    assert found(page, text) == ""


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[gone](docs/gone.md)", "README.md: broken link docs/gone.md"),
        ('<img src="docs/gone.png">', "README.md: broken link docs/gone.png"),
        ("![a picture](gone.jpg)", "README.md: broken link gone.jpg"),
        ("`camera-hub explode now`", "no command 'camera-hub explode'"),
        ("`camera-hub cameras explode`", "no command 'camera-hub cameras explode'"),
        ("`camera-hub serve --prot 80`", "no option '--prot' of 'camera-hub serve'"),
        ("`camera-hub --confog x serve`", "no option '--confog' of camera-hub"),
        ("`make coffee`", "no make target 'coffee'"),
        ("```sh\ncamera-hub users explode\n```\n", "no command 'camera-hub users explode'"),
        ("```\n$ make coffee ARGS=1\n```\n", "no make target 'coffee'"),
    ],
)
def test_what_does_not_exist_is_found(page: Path, text: str, problem: str) -> None:
    """One line names the page and what is wrong on it."""
    told = found(page, text)
    assert problem in told
    assert len(told.splitlines()) == 1


def test_pages_in_folders_are_read_too(page: Path) -> None:
    """A link is looked up from the page it stands on."""
    folder = page.parent / "docs"
    folder.mkdir()
    (folder / "guide.md").write_text("[up](../README.md) [gone](README.md)")
    assert found(page, "[down](docs/guide.md)") == "docs/guide.md: broken link README.md"
