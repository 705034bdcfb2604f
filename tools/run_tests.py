"""Run the tests: unit, contract, panels, notebooks, and one of each heavy kind.

``python -m tools.run_tests``, in the project's folder, runs the short lane in one process more
than there are cores; with ``--long``, the other lane runs: long kills and fuzzing in as many,
then the other browser tests in two. ``--nightly`` is that lane, and then what is too
long for every change, one by one. Further arguments go to pytest; where paths are
among them, all tests below these run, of either lane. Where no browser can be had, the browser
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

LANES = ("--long", "--nightly")


# Files go whole to a process, because what a module sets up is shared by its tests. One thread
# of PyTorch for each: more threads than cores make it slower by far. One process more than
# cores, because each waits for disks, kernels and browsers for a quarter of its time.
IN_PARALLEL = ("--numprocesses", str((os.cpu_count() or 1) + 1), "--dist", "loadfile")
# A browser, a JupyterLab and a kernel are four processes that wait for each other: two of these
# sets keep two cores busy, and more of them only make each other late.
IN_PAIRS = ("--numprocesses", "2", "--dist", "loadfile")
ONE_THREAD = {"OMP_NUM_THREADS": "1"}

# pytest's exit statuses when all went well, and when no test was chosen: in one part of a lane
# that is nothing to worry about.
OK, NOTHING_CHOSEN = 0, 5


def main(arguments: list[str]) -> int:
    """Run the tests and return pytest's exit status, or 1 if CI lacks a browser."""
    with tempfile.TemporaryDirectory(prefix="workbench-notebooks-") as folder:
        # Notebooks train for fewer epochs, and start from an empty folder each time.
        return run_tests(arguments, {"WORKBENCH_QUICK": "1", "WORKBENCH_TOUR": folder})


def run_tests(arguments: list[str], settings: dict[str, str]) -> int:
    """Run the tests with `settings` in the environment; return as `main` does."""
    browser = get_browser()
    environment = {**os.environ, **settings}
    if browser is not None:
        print(f"Browser tests use {browser}", flush=True)
        environment[CHOSEN] = str(browser)
    parts = parts_for(arguments)
    if browser is None:
        parts = [(_without_browser(chosen), options) for chosen, options in parts]
    statuses = [_run_part(chosen, options, environment) for chosen, options in parts]
    failed = [status for status in statuses if status not in (OK, NOTHING_CHOSEN)]
    status = failed[0] if failed else min(statuses)
    return report_missing_browser(status) if browser is None else status


def parts_for(arguments: list[str]) -> list[tuple[str, list[str]]]:
    """Return, for each run of pytest, which markers are chosen, and its other arguments.

    Tests that are named run whatever their lane. Most run in one process more than there
    are cores; the browser tests of the long lane in two.
    """
    rest = [argument for argument in arguments if argument not in LANES]
    suites = suites_for(rest)
    if not suites:
        return [("", rest)]
    parallel, pairs = ([*how, *rest, *suites] for how in (IN_PARALLEL, IN_PAIRS))
    if rest == arguments:
        return [("not long and not nightly", parallel)]
    parts = [
        ("long and not nightly and not browser", parallel),
        ("long and not nightly and browser", pairs),
    ]
    return [*parts, ("nightly", [*rest, *suites])] if "--nightly" in arguments else parts


def _without_browser(chosen: str) -> str:
    return f"({chosen}) and not browser" if chosen else "not browser"


def _run_part(chosen: str, options: list[str], environment: dict[str, str]) -> int:
    if "--numprocesses" in options:
        environment = environment | ONE_THREAD
    command = [sys.executable, "-m", "pytest", "-rsR", "--nbval-lax", "--nbval-current-env"]
    return _run([*command, *options, *(["-m", chosen] if chosen else [])], environment)


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
