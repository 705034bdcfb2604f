"""Find a Chromium for the browser tests, or get one.

``python -m tools.browser`` prints the path of a browser and installs one if need be.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

CHOSEN = "WORKBENCH_BROWSER"
"""Environment variable that names the browser to use, before any other."""

HOW_TO_GET_ONE = (
    "Install Chromium or Chrome (Debian: `apt-get install chromium`), or run "
    f"`{sys.executable} -m playwright install --with-deps chromium`, "
    f"or set {CHOSEN} to the path of one."
)

_COMMANDS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "microsoft-edge",
)
APPLICATIONS = (
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
_INSTALL_TIMEOUT_S = 900


def find_browser() -> Path | None:
    """Return a Chromium that starts: the chosen one, the system's, or Playwright's."""
    chosen = os.environ.get(CHOSEN)
    if chosen:
        if not _starts(chosen):
            raise SystemExit(f"{CHOSEN} is {chosen!r}, and no browser starts from there")
        return Path(chosen)
    return next((Path(path) for path in _candidates() if _starts(path)), None)


def get_browser() -> Path | None:
    """Return a Chromium, installed now if none is found; None if that fails too."""
    found = find_browser()
    if found is None and _may_use_apt():
        _run(["apt-get", "update"])
        _run(["apt-get", "install", "--yes", "--no-install-recommends", "chromium"])
        found = find_browser()
    if found is None:
        _run([sys.executable, "-m", "playwright", "install", "chromium"])
        found = find_browser()
    return found


def _candidates() -> Iterator[str]:
    for command in _COMMANDS:
        path = shutil.which(command)
        if path:
            yield path
    yield from APPLICATIONS
    playwrights = _playwright_browser()
    if playwrights:
        yield playwrights


def _playwright_browser() -> str | None:
    # Playwright's driver is asked in a process of its own: it starts node and an event loop.
    script = (
        "from playwright.sync_api import sync_playwright\n"
        "with sync_playwright() as play: print(play.chromium.executable_path)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or None


def _starts(path: str) -> bool:
    # Asking for the version finds missing libraries, and Ubuntu's `chromium-browser`, which
    # is a script that asks for a snap.
    try:
        done = subprocess.run([path, "--version"], capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _may_use_apt() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get") is not None


def _run(command: list[str]) -> None:
    print("+", *command, flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            timeout=_INSTALL_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        print(f"  {error}", flush=True)


if __name__ == "__main__":
    browser = get_browser()
    if browser is None:
        raise SystemExit(f"No browser was found. {HOW_TO_GET_ONE}")
    print(browser)
