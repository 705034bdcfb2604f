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

from tools.npm import install

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Check the front end and return 0 if all is well, else 1."""
    missing = install(ROOT)
    if missing:
        print(f"The front end was not checked: {missing}", flush=True)
        return int(bool(os.environ.get("CI")))
    checks = [shutil.which("npm") or "npm", "run", "--silent", "check"]
    return int(subprocess.run(checks, cwd=ROOT, check=False).returncode)


if __name__ == "__main__":
    sys.exit(main())
