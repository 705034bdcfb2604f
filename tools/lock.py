"""Resolve the newest version of everything into ``requirements.lock``.

``python -m tools.lock``, in the project's folder. The lock holds for Python 3.11 and later on
every system, and constrains what `make` and CI install; the ranges in ``pyproject.toml`` are
for people who install the package beside others. uv is the resolver because it is the one that
resolves for all systems at once (``--universal``); installing is left to pip.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = "requirements.lock"

HEADER = """\
# The versions that Workbench is tested with; `make update` writes this file anew.
# They are constraints (`pip install -c requirements.lock ...`): what nothing asks for is not
# installed.
"""


def command(project: Path) -> list[str]:
    """Return the call of uv that resolves the project's dependencies into its lock."""
    return [
        *(sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml"),
        *("--universal", "--python-version", "3.11", "--all-extras", "--upgrade"),
        *("--constraint", str(project / "tools" / "held-back.txt")),
        # No addresses and no folders of this machine in a file that everybody uses.
        *("--no-header", "--no-annotate", "--no-emit-index-url", "--quiet"),
        *("--output-file", LOCK),
    ]


def main(project: Path = ROOT) -> int:
    """Write the lock; return uv's exit status. A lock that cannot be resolved stays as it was."""
    status = subprocess.run(command(project), cwd=project, check=False).returncode
    if status == 0:
        lock = project / LOCK
        pins = [line for line in lock.read_text().splitlines() if line and line[0] != "#"]
        lock.write_text(HEADER + "\n".join(pins) + "\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
