"""Run every test: unit, contract, panels, browser, notebooks.

``python -m tools.run_tests``, in the project's folder; further arguments go to pytest,
and paths among them take the place of all tests. Where no browser can be had, the browser
tests are left out, the last lines say so, and in CI the exit status is 1.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.browser import CHOSEN, HOW_TO_GET_ONE, get_browser

ROOT = Path(__file__).resolve().parents[1]


def main(arguments: list[str]) -> int:
    """Run the tests and return pytest's exit status, or 1 if CI lacks a browser."""
    with tempfile.TemporaryDirectory(prefix="workbench-notebooks-") as folder:
        # Notebooks train for fewer epochs, and start from an empty folder each time.
        return run_tests(arguments, {"WORKBENCH_QUICK": "1", "WORKBENCH_TOUR": folder})


def run_tests(arguments: list[str], settings: dict[str, str]) -> int:
    """Run the tests with `settings` in the environment; return as `main` does."""
    browser = get_browser()
    environment = {**os.environ, **settings}
    command = [sys.executable, "-m", "pytest", "-rsR", "--nbval-lax", "--nbval-current-env"]
    command += [*arguments, *suites_for(arguments)]
    if browser is None:
        status = _run([*command, "-m", "not browser"], environment)
        return report_missing_browser(status)
    print(f"Browser tests use {browser}", flush=True)
    return _run(command, {**environment, CHOSEN: str(browser)})


def _run(command: list[str], environment: dict[str, str]) -> int:
    return subprocess.run(command, env=environment, cwd=ROOT, check=False).returncode


def suites_for(arguments: list[str]) -> list[str]:
    """Return the folders to test where the arguments name none themselves."""
    if any((ROOT / argument.partition("::")[0]).exists() for argument in arguments):
        return []
    notebooks = ROOT / "notebooks"
    return ["tests", *(["notebooks"] if any(notebooks.glob("*.ipynb")) else [])]


def report_missing_browser(status: int) -> int:
    """Name the browser tests that were left out; return pytest's status, or 1 in CI."""
    listing = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-m", "browser", "tests"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    left_out = [line for line in listing.stdout.splitlines() if "::" in line]
    print("\nThese browser tests did NOT run, because no browser was found:")
    print(*(f"  {name}" for name in left_out), sep="\n")
    print(HOW_TO_GET_ONE, flush=True)
    return status or int(bool(os.environ.get("CI")))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
