"""The list of weights to which somebody has said yes, when something else lies in its place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from workbench.errors import SetupError
from workbench.weights import consent

DIGEST, OTHER = "a" * 64, "b" * 64


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the list lies, for this test alone; its folder is there."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    (tmp_path / "workbench").mkdir()
    return tmp_path / "workbench" / "trusted-weights.txt"


def _refused(path: Path) -> None:
    for asked in (lambda: consent.is_trusted(DIGEST), lambda: consent.trust(DIGEST, "x")):
        with pytest.raises(SetupError, match=path.name):
            asked()


def test_a_yes_is_for_these_bytes(path: Path) -> None:
    assert not consent.is_trusted(DIGEST)
    consent.trust(DIGEST, "best.pt")
    assert consent.is_trusted(DIGEST)
    assert not consent.is_trusted(OTHER)
    assert not consent.is_trusted(DIGEST[:-1])
    assert not path.stat().st_mode & 0o077


def test_a_name_of_a_file_cannot_say_yes_to_another(path: Path) -> None:
    for gap in ("\n", "\r", "\x0b", "\x0c", "\x1c", "\x1e", "\x85", "\u2028", "\u2029"):
        consent.trust(DIGEST, f"best.pt{gap}{OTHER} 2026-01-01 x")
    assert not consent.is_trusted(OTHER)


@pytest.mark.parametrize(
    "content",
    [
        f'{{"{DIGEST}": true}}',
        f'["{DIGEST}"]',
        f"2026-01-01 {DIGEST}",
        f" {DIGEST}",
        f"{DIGEST}{OTHER}",
        f"{DIGEST[:40]}\n{DIGEST[40:]}",
        DIGEST.upper(),
        "\x00" * 100,
    ],
)
def test_what_is_no_line_of_ours_says_no(path: Path, content: str) -> None:
    path.write_text(content)
    assert not consent.is_trusted(DIGEST)
    assert not consent.is_trusted(OTHER)


def test_a_line_that_was_cut_off_spoils_no_other(path: Path) -> None:
    path.write_text(f"{OTHER[:30]}")
    consent.trust(DIGEST, "best.pt")
    assert consent.is_trusted(DIGEST)


@pytest.mark.skipif(os.name == "nt", reason="links and pipes of POSIX")
def test_a_link_a_pipe_a_folder_or_a_device_is_no_list(path: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs.txt"
    theirs.write_text(f"{DIGEST} 2026-01-01 theirs\n")
    path.symlink_to(theirs)
    _refused(path)
    assert theirs.read_text() == f"{DIGEST} 2026-01-01 theirs\n"
    path.unlink()
    path.symlink_to("/dev/zero")
    _refused(path)
    path.unlink()
    os.mkfifo(path)
    _refused(path)
    path.unlink()
    path.mkdir()
    _refused(path)


def test_a_list_of_gigabytes_is_not_read(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(4 * 2**30)
    with pytest.raises(SetupError, match="more than"):
        consent.is_trusted(DIGEST)
