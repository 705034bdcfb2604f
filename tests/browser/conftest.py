"""A real JupyterLab on a temporary folder, and a Chromium page to look at it.

Chromium is the one that ``WORKBENCH_BROWSER`` names, else the system's, else Playwright's
own. Where there is none, browser tests are skipped with the reason; in CI (variable ``CI``)
that is a failure.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import nbformat
import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Error,
    Page,
    ViewportSize,
    sync_playwright,
)

from tests.browser.annotating import write_dataset

ROOT = Path(__file__).parents[2]
START_TIMEOUT_S = 90
# A line of a stack trace that names where the code came from.
STACK_FRAME = re.compile(r"\(?((?:https?|blob):[^\s)]+)\)?$", re.MULTILINE)
# Whether JupyterLab answers the promise of its command is not relied on: it once did not, and
# `evaluate` would have waited for it for ever. The counts are cleared, so that those of a run
# before are not taken for this one's.
RUN_ALL_CELLS = """() => {
    const cells = [...window.jupyterapp.shell.currentWidget.content.model.cells];
    for (const cell of cells) if (cell.type === "code") cell.executionCount = null;
    void window.jupyterapp.commands.execute("notebook:run-all-cells");
}"""
EXECUTE = """([command, options]) => Promise.race([
    window.jupyterapp.commands.execute(command, options).then(() => null),
    new Promise((_, fail) => setTimeout(() => fail(new Error(`${command} hangs`)), 30000)),
])"""
# A cell that fails keeps those behind it from running.
ALL_CELLS_HAVE_RUN = """() => {
    const cells = [...window.jupyterapp.shell.currentWidget.content.model.cells]
        .filter((cell) => cell.type === "code");
    const failed = (cell) => Array.from(
        { length: cell.outputs.length }, (_, at) => cell.outputs.get(at).type,
    ).includes("error");
    return cells.some(failed) || cells.every((cell) => cell.executionCount !== null);
}"""
VIEWPORT = ViewportSize(width=1400, height=950)
KERNEL_IS_IDLE = """() => {
    const panel = window.jupyterapp?.shell?.currentWidget;
    return panel?.sessionContext?.session?.kernel?.status === "idle";
}"""


def find_chromium() -> str | None:
    """Path of a Chromium, None for Playwright's own, or raise `LookupError` if there is none."""
    named = os.environ.get("WORKBENCH_BROWSER")
    if named:
        if not Path(named).is_file():
            raise LookupError(f"WORKBENCH_BROWSER names {named}, which is no file")
        return named
    for name in ("chromium", "chromium-browser", "google-chrome"):
        found = shutil.which(name)
        if found:
            return found
    with sync_playwright() as playwright:
        if Path(playwright.chromium.executable_path).is_file():
            return None
    raise LookupError(
        "no Chromium: install your system's chromium, or `python -m playwright install chromium`, "
        "or name one in WORKBENCH_BROWSER"
    )


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """A Chromium for all browser tests."""
    try:
        path = find_chromium()
    except LookupError as problem:
        if os.environ.get("CI"):
            pytest.fail(str(problem))
        pytest.skip(str(problem))
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield chromium
        chromium.close()


@dataclass
class Lab:
    """A running JupyterLab.

    Parameters
    ----------
    url : str
        With the token.
    folder : Path
        Where it keeps its notebooks; also the kernels' working folder.
    server : _Server, optional
        Its process, where this started it.
    """

    url: str
    token: str
    folder: Path
    server: _Server | None = None

    def start_again_if_ended(self) -> None:
        """Give the second try of a test a server of its own, if the first one's is gone."""
        if self.server is not None and self.server.process.poll() is not None:
            self.url, self.token = self.server.start()

    def write_notebook(self, name: str, *cells: str) -> None:
        """Put a notebook with these code cells into the folder."""
        untyped: Any = nbformat
        notebook = untyped.v4.new_notebook()
        notebook.metadata["kernelspec"] = {
            "name": "python3", "display_name": "Python 3", "language": "python"
        }  # fmt: skip
        notebook.cells = [untyped.v4.new_code_cell(cell) for cell in cells]
        untyped.write(notebook, self.folder / name)

    def shut_down_kernels(self) -> None:
        """End every session, so that one test's kernels do not slow the next.

        Raises
        ------
        RuntimeError
            If the server has ended meanwhile; with the last that it logged.
        """
        if self.server is not None:
            self.server.must_run()
        for session in self._call("GET", "sessions"):
            self._call("DELETE", f"sessions/{session['id']}")

    def _call(self, method: str, path: str) -> Any:
        headers = {"Authorization": f"token {self.token}"}
        request = urllib.request.Request(f"{self.url}api/{path}", method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or b"null")


@pytest.fixture(scope="package")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One JupyterLab for all browser tests, apart from the user's own settings."""
    home = tmp_path_factory.mktemp("jupyter-home")
    folder = tmp_path_factory.mktemp("lab")
    with running_lab(home, folder) as running:
        yield running


@contextmanager
def running_lab(home: Path, folder: Path) -> Iterator[Lab]:
    """Start JupyterLab over `folder` as a user does, its settings and so on below `home`."""
    isolated = {
        "JUPYTER_CONFIG_DIR": home / "config",
        "JUPYTER_DATA_DIR": home / "data",
        "JUPYTER_RUNTIME_DIR": home / "runtime",
        "JUPYTERLAB_SETTINGS_DIR": home / "settings",
        "JUPYTERLAB_WORKSPACES_DIR": home / "workspaces",
        "IPYTHONDIR": home / "ipython",
    }
    environment = os.environ | {name: str(path) for name, path in isolated.items()}
    environment["PYTHONPATH"] = str(ROOT)
    _configure(home / "config")
    command = [sys.executable, "-m", "workbench", "lab", str(folder), "--no-browser"]
    command.append("--ip=127.0.0.1")
    server = _Server(command, environment, folder, home / "runtime", home / "jupyterlab.log")
    try:
        url, token = server.start()
        yield Lab(url, token, folder, server)
    finally:
        server.stop()


class _Server:
    """JupyterLab's process, which can be started again."""

    def __init__(
        self,
        command: list[str],
        environment: dict[str, str],
        folder: Path,
        runtime: Path,
        log: Path,
    ) -> None:
        self._command, self._environment, self._folder = command, environment, folder
        self._runtime, self._log = runtime, log

    def start(self) -> tuple[str, str]:
        """Return the address and the token, once they are known."""
        for old in self._runtime.glob("jpserver-*.json"):
            old.unlink()
        with self._log.open("ab") as output:
            self.process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdout=output,
                stderr=output,
                cwd=self._folder,
            )
        info = self._wait()
        return info["url"], info["token"]

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def must_run(self) -> None:
        status = self.process.poll()
        if status is not None:
            raise RuntimeError(f"JupyterLab ended with status {status}:\n{self._last_words()}")

    def _wait(self) -> dict[str, Any]:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            for file in self._runtime.glob("jpserver-*.json"):
                try:
                    info: dict[str, Any] = json.loads(file.read_text())
                except json.JSONDecodeError:
                    continue  # still being written
                return info
            self.must_run()
            time.sleep(0.1)
        raise RuntimeError(
            f"JupyterLab did not start within {START_TIMEOUT_S} s:\n{self._last_words()}"
        )

    def _last_words(self) -> str:
        return self._log.read_text(errors="replace")[-3000:]


def _configure(folder: Path) -> None:
    """Let tests reach into JupyterLab, and pages come from an insecure origin."""
    folder.mkdir(parents=True)
    settings = {
        "jupyter_lab_config.json": {"LabApp": {"expose_app_in_browser": True}},
        # By this name pages come from an insecure origin, which have no camera.
        "jupyter_server_config.json": {"ServerApp": {"local_hostnames": ["lab.test"]}},
    }
    for name, content in settings.items():
        (folder / name).write_text(json.dumps(content))


@pytest.fixture
def dataset(lab: Lab) -> Path:
    """Three images in the lab's folder, two boxes on the first."""
    return write_dataset(lab.folder, f"ds_{uuid4().hex[:8]}")


@dataclass
class LabPage:
    """A page with JupyterLab in it, and the errors that it has raised so far."""

    page: Page
    lab: Lab
    errors: list[str] = field(default_factory=list)

    def open_notebook(self, name: str) -> None:
        """Open a notebook of the lab's folder and wait until its kernel is ready."""
        self.page.goto(f"{self.lab.url}lab/tree/{name}?token={self.lab.token}&reset")
        self.page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
        self.page.wait_for_function(KERNEL_IS_IDLE, timeout=60_000)

    def run_all(self) -> None:
        """Run every cell; fails the test if one raises."""
        self.page.evaluate(RUN_ALL_CELLS)
        self.page.wait_for_function(ALL_CELLS_HAVE_RUN, timeout=120_000)
        self.page.wait_for_function(KERNEL_IS_IDLE)
        failed = self.page.locator(
            '.jp-OutputArea [data-mime-type="application/vnd.jupyter.stderr"],'
            ".jp-OutputArea [data-mime-type='application/vnd.jupyter.error']"
        )
        assert failed.count() == 0, failed.all_inner_texts()

    def execute(self, command: str, **arguments: str) -> None:
        """Have JupyterLab carry out a command, and wait until it is done."""
        self.page.evaluate(EXECUTE, [command, arguments])

    def set_theme(self, name: str) -> None:
        """Switch JupyterLab's theme, ``"JupyterLab Light"`` or ``"JupyterLab Dark"``."""
        self.execute("apputils:change-theme", theme=name)
        is_light = "true" if "Light" in name else "false"
        self.page.wait_for_selector(f'body[data-jp-theme-light="{is_light}"]', state="attached")

    def note_error(self, error: Error) -> None:
        """Keep an error of the page, unless it is JupyterLab's own.

        Lab raises some by itself, for instance on a fresh profile and sometimes while it
        changes the theme. Those have nothing but Lab's own bundle on the stack: our code
        comes from a ``blob:``, the widget libraries from ``lab/extensions/``.
        """
        frames = STACK_FRAME.findall(error.stack or "")
        if not frames or not all(f.startswith(f"{self.lab.url}static/lab/") for f in frames):
            self.errors.append(error.stack or str(error))


def keep_picture(page: Page, name: str) -> None:
    """Write a screenshot where WORKBENCH_SHOTS names a folder: for a person to look at."""
    folder = os.environ.get("WORKBENCH_SHOTS")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png")


@pytest.fixture(scope="package")
def shared_context(browser: Browser) -> Iterator[BrowserContext]:
    """One profile for all pages that need no other: JupyterLab's own files stay cached."""
    context = browser.new_context(viewport=VIEWPORT)
    yield context
    context.close()


@pytest.fixture
def open_lab_page(
    request: pytest.FixtureRequest, browser: Browser, shared_context: BrowserContext, lab: Lab
) -> Iterator[Callable[..., LabPage]]:
    """Open pages, with a profile of their own where options are given.

    Afterwards the kernels are shut down, and an error that a page raised fails the test.
    """
    lab.start_again_if_ended()
    contexts: list[BrowserContext] = []
    pages: list[LabPage] = []

    def open_page(**options: Any) -> LabPage:
        context = shared_context
        if options:
            context = browser.new_context(**{"viewport": VIEWPORT, **options})
            contexts.append(context)
        lab_page = LabPage(context.new_page(), lab)
        lab_page.page.on("pageerror", lab_page.note_error)
        pages.append(lab_page)
        return lab_page

    yield open_page
    errors = [error for page in pages for error in page.errors]
    for lab_page in pages:
        keep_picture(lab_page.page, request.node.name)
        lab_page.page.close()
    for context in contexts:
        context.close()
    lab.shut_down_kernels()
    assert errors == []


@pytest.fixture
def lab_page(open_lab_page: Callable[..., LabPage]) -> LabPage:
    """One fresh page."""
    return open_lab_page()
