"""`make check` runs everything, and says at the end what failed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tools import check

PASSES = [sys.executable, "-c", ""]
FAILS = [sys.executable, "-c", "raise SystemExit(3)"]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty project, which `check` takes for ours."""
    monkeypatch.setattr(check, "ROOT", tmp_path)
    (tmp_path / "workbench").mkdir()
    (tmp_path / "tests").mkdir()
    return tmp_path


def test_what_failed_is_named_last(
    project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    commands = {"format": FAILS, "lint": PASSES, "types": FAILS}
    monkeypatch.setattr(check, "checks", lambda: commands)
    assert check.main() == 1
    assert capfd.readouterr().out.splitlines()[-3:] == [
        "These checks failed:",
        "  format",
        "  types",
    ]
    monkeypatch.setattr(check, "checks", lambda: {"lint": PASSES})
    assert check.main() == 0


@pytest.mark.parametrize("name", sorted(check.checks()))
def test_every_tool_can_be_started(name: str) -> None:
    command = check.checks()[name]
    tool = command[:3] if command[1] == "-m" else command[:1]
    done = subprocess.run([*tool, "--help"], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
