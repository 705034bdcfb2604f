"""Check the front end: types (tsc) and style (biome) of its modules.

``python -m tools.check_js``, in the project's folder. The two tools come by ``npm ci`` into
``node_modules``, in exactly the versions of ``package-lock.json``, when the lock has changed.
On a machine without Node.js or without a network the front end is left unchecked, with a
word about it; where the variable ``CI`` is set, that is a failure.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "package-lock.json"
INSTALLED = ROOT / "node_modules" / ".package-lock.json"
"""Written by npm when it has installed everything."""


def main() -> int:
    """Check the front end and return 0 if all is well, else 1."""
    npm = shutil.which("npm")
    if npm is None:
        return _unchecked("Node.js is not installed (20 or later, with npm)")
    if not _is_installed():
        # It asks nobody about the packages and runs none of their scripts.
        quiet = ["--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline"]
        if subprocess.run([npm, "ci", *quiet], cwd=ROOT, check=False).returncode:
            return _unchecked("npm could not install what package-lock.json names, see above")
    return int(subprocess.run([npm, "run", "--silent", "check"], cwd=ROOT, check=False).returncode)


def _is_installed() -> bool:
    return INSTALLED.is_file() and INSTALLED.stat().st_mtime >= LOCK.stat().st_mtime


def _unchecked(why: str) -> int:
    print(f"The front end was not checked: {why}", flush=True)
    return int(bool(os.environ.get("CI")))


if __name__ == "__main__":
    sys.exit(main())
