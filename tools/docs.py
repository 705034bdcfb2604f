"""Build the documentation: ``python -m tools.docs``, in the project's folder.

Sphinx makes ``build/docs/html`` of the pages in ``docs/``, the notebooks, parts of the README and
the docstrings. A warning is an error, and so is a page that would load something from another
machine.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HTML = ROOT / "build" / "docs" / "html"

# What a browser fetches by itself. Links are for people to follow, and may lead anywhere.
_FETCHED = re.compile(
    r"""<(?:script|img|iframe|source|video|audio|link(?!\s+rel="(?:canonical|license)"))\b"""
    r"""[^>]*?\b(?:src|href)=["']((?:https?:)?//[^"']+)""",
    re.IGNORECASE,
)
_FETCHED_BY_STYLE = re.compile(r"""(?:url\(|@import\s+)["']?((?:https?:)?//[^"')]+)""")


def main() -> int:
    """Build and check; return 0 if all is well, else 1."""
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--fresh-env"]
    command += ["--quiet", "-b", "html", "-c", str(ROOT / "docs"), str(ROOT), str(HTML)]
    done = subprocess.run(command, cwd=ROOT, check=False)
    if done.returncode != 0:
        return 1
    foreign = fetched_from_elsewhere(HTML)
    for page, address in foreign:
        print(f"{page} would load {address} from another machine", file=sys.stderr)
    if not foreign:
        print(f"The documentation is at {HTML / 'docs' / 'index.html'}")
    return int(bool(foreign))


def fetched_from_elsewhere(html: Path) -> list[tuple[str, str]]:
    """Return what pages would load from other machines: the page, and the address."""
    found = []
    for pattern, suffix in ((_FETCHED, ".html"), (_FETCHED_BY_STYLE, ".css")):
        for path in sorted(html.rglob(f"*{suffix}")):
            text = path.read_text(encoding="utf-8")
            found += [
                (path.relative_to(html).as_posix(), match[1]) for match in pattern.finditer(text)
            ]
    return found


if __name__ == "__main__":
    sys.exit(main())
