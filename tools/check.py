"""Check format, lint, types, the import rules between folders, workflows, the front end.

``python -m tools.check``, in the project's folder. Every check runs, also after one that
failed; the last lines name those that did, and the exit status is then 1.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Run every check and return 0 if all are well, else 1."""
    failed = [name for name, command in checks().items() if not _passes(name, command)]
    if failed:
        print("\nThese checks failed:", *(f"  {name}" for name in failed), sep="\n", flush=True)
    return int(bool(failed))


def checks() -> dict[str, Sequence[str]]:
    """Return the command of each check that is one command."""
    python = sys.executable
    beside = Path(python).parent
    workflows = sorted(str(path) for path in (ROOT / ".github" / "workflows").glob("*.yml"))
    return {
        "format": [python, "-m", "ruff", "format", "--check", "."],
        "lint": [python, "-m", "ruff", "check", "."],
        "types": [python, "-m", "mypy"],
        # This one has no `python -m`.
        "import rules": [
            shutil.which("lint-imports", path=beside) or "lint-imports",
            "--no-logo",
        ],
        # The schema is part of the tool: nothing is fetched.
        "workflows": [
            *(python, "-m", "check_jsonschema"),
            *("--builtin-schema", "vendor.github-workflows", *workflows),
        ],
        "front end": [python, "-m", "tools.check_js"],
    }


def _passes(name: str, command: Sequence[str]) -> bool:
    print(f"== {name}", flush=True)
    return subprocess.run(command, cwd=ROOT, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
