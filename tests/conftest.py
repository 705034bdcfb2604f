"""What all tests share."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from workbench.persistence import Stores, create_stores, set_stores

# How long an example takes says more of the machine than of us.
settings.register_profile("workbench", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "workbench")

# Tests here drive browsers, JupyterLabs, kernels, trainings and servers of buckets.
PROCESSES = {"api", "browser", "capture", "labelling", "panels", "storage", "training", "weights"}


# Notebooks, which cannot say so themselves. What this one shows has a test in the short lane.
AT_NIGHT = {"09_cluster.ipynb"}

ROOT = Path(__file__).parents[1]
# What tools keep for themselves in the checkout; git ignores these.
CACHES = {
    *(".git", ".venv", "node_modules", "__pycache__", ".ipynb_checkpoints", "test-artifacts"),
    *(".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis", ".import_linter_cache"),
    *(".coverage", "htmlcov"),
}
_BEFORE = pytest.StashKey[set[str]]()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Note what is in the checkout."""
    session.stash[_BEFORE] = files_of(ROOT)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run if a test left something in the checkout."""
    left = sorted(files_of(ROOT) - session.stash[_BEFORE])
    # With several processes the one that started the others looks, after all of them.
    if left and not hasattr(session.config, "workerinput"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        print(f"\nThe tests left in the checkout: {', '.join(left)}")


def files_of(folder: Path) -> set[str]:
    """Return all files and folders below one, but those of `CACHES`."""
    found = set()
    for above, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not _is_cache(name)]
        here = os.path.relpath(above, folder)
        found.update(f"{here}/{name}" for name in [*folders, *files] if not _is_cache(name))
    return found


def _is_cache(name: str) -> bool:
    return name in CACHES or name.startswith(".coverage.") or name.endswith(".egg-info")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort tests into lanes; in CI, give those of real processes a second try.

    A browser test is in the long lane unless it is the smoke test of its kind. The summary
    names a test that was tried twice. On a developer's machine none is: a test that needs
    two tries is to be repaired.
    """
    for item in items:
        if item.get_closest_marker("browser") and not item.get_closest_marker("smoke"):
            item.add_marker(pytest.mark.long)
        if item.path.name in AT_NIGHT:
            item.add_marker(pytest.mark.nightly)
    if not os.environ.get("CI"):
        return
    root = Path(__file__).parent
    for item in items:
        inside = item.path.relative_to(root).parts if item.path.is_relative_to(root) else ()
        if inside and inside[0] in PROCESSES:
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let what was logged pass between processes, which takes no half characters.

    Tests of crafted names log them, as Python's own streams do with a backslash.
    """
    report = yield
    report.sections = [
        (title, text.encode("utf-8", "backslashreplace").decode())
        for title, text in report.sections
    ]
    return report


@pytest.fixture(scope="session", autouse=True)
def _state_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let no test write to, or depend on, what this user has said yes to."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture
def persistence_stores(tmp_path: Path) -> Iterator[Stores]:
    """Real stores over `tmp_path`, also reachable through the accessors."""
    stores = create_stores(data_dir=tmp_path / "data", models_dir=tmp_path / "models")
    set_stores(stores)
    yield stores
    set_stores(None)
