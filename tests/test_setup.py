"""The ways to set this project up agree with each other, and survive accidents."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import workbench
from tools import browser, lock, run_tests

ROOT = Path(__file__).resolve().parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())

needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")

# Stands for a Python: answers whether it suits, and "makes" an environment whose own python
# writes down how it was called and fails to install while a file called `broken` is there.
FAKE_PYTHON = """#!/bin/sh
case "$*" in
  "-c "*) exit {suits} ;;
  --version) echo "Python 3.99" ;;
  "-m pip --version") exit 0 ;;
  "-m venv --clear .venv")
    rm -rf .venv; mkdir -p .venv/bin; cp "$0" .venv/bin/python; echo made >> calls ;;
  "-m pip install"*) echo installed >> calls; test ! -e broken ;;
  *) echo "$*" >> calls ;;
esac
"""


def executable(path: Path, text: str) -> Path:
    """Write a script that can be run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a folder with our Makefile and a fake Python; its name holds a space."""
    folder = tmp_path / "my checkout"
    folder.mkdir()
    shutil.copy(ROOT / "Makefile", folder)
    shutil.copy(ROOT / "requirements.lock", folder)
    (folder / "pyproject.toml").write_text("")
    executable(folder / "fakes" / "python", FAKE_PYTHON.format(suits=0))
    return folder


def make(
    folder: Path, *arguments: str, python: str = "fakes/python"
) -> subprocess.CompletedProcess[str]:
    """Run make as a user would, untouched by the make that may run this test."""
    environment = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    return subprocess.run(
        ["make", *arguments, f"PYTHON={python}"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def calls(folder: Path) -> list[str]:
    """Return what the fake Python was asked to do, and forget it."""
    log = folder / "calls"
    lines = log.read_text().splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    return lines


@needs_make
def test_the_second_command_installs_nothing(checkout: Path) -> None:
    assert make(checkout, "env").returncode == 0
    assert calls(checkout) == ["made", "installed"]
    assert make(checkout, "lab", "LAB_ARGS=--port 9000").returncode == 0
    assert calls(checkout) == ["-m workbench lab --port 9000"]


@needs_make
def test_an_interrupted_installation_is_taken_up_again(checkout: Path) -> None:
    (checkout / "broken").touch()
    assert make(checkout, "env").returncode != 0
    assert calls(checkout) == ["made", "installed"]
    (checkout / "broken").unlink()
    assert make(checkout, "env").returncode == 0
    assert calls(checkout) == ["installed"]


@needs_make
def test_changed_requirements_are_installed(checkout: Path) -> None:
    make(checkout, "env")
    calls(checkout)
    stamp = (checkout / ".venv" / ".installed").stat()
    os.utime(checkout / "pyproject.toml", (stamp.st_atime + 10, stamp.st_mtime + 10))
    assert make(checkout, "env").returncode == 0
    assert calls(checkout) == ["installed"]


@needs_make
def test_only_ci_installs_what_is_not_compiled(checkout: Path) -> None:
    assert "--no-compile" not in make(checkout, "--dry-run", "env").stdout
    assert "--no-compile" in make(checkout, "--dry-run", "env", "CI=true").stdout


@needs_make
def test_the_environment_of_a_moved_folder_is_made_again(checkout: Path) -> None:
    make(checkout, "env")
    calls(checkout)
    moved = checkout.rename(checkout.with_name("elsewhere"))
    assert make(moved, "env").returncode == 0
    assert calls(moved) == ["made", "installed"]
    assert make(moved, "env").returncode == 0
    assert calls(moved) == []


@needs_make
def test_a_machine_without_a_python_that_suits_gets_one_sentence(checkout: Path) -> None:
    executable(checkout / "fakes" / "old", FAKE_PYTHON.format(suits=1))
    done = make(checkout, "env", python="fakes/old")
    assert done.returncode != 0
    assert "No Python 3.11 or later that can make environments was found" in done.stderr
    assert "make PYTHON=/path/to/python3" in done.stderr
    assert calls(checkout) == []


@needs_make
def test_a_python_is_found_behind_one_that_is_too_old(checkout: Path) -> None:
    executable(checkout / "path" / "python3", FAKE_PYTHON.format(suits=1))
    executable(checkout / "path" / "python3.13", FAKE_PYTHON.format(suits=0))
    done = subprocess.run(
        ["make", "env"],
        cwd=checkout,
        env={"PATH": f"{checkout / 'path'}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert calls(checkout) == ["made", "installed"]


@needs_make
def test_make_alone_lists_what_it_can_do(checkout: Path) -> None:
    listed = make(checkout).stdout
    assert "make lab " in listed
    assert "make test " in listed
    assert calls(checkout) == []


def test_conda_users_get_the_same_python_and_the_project_itself() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    plain = [each for each in environment["dependencies"] if isinstance(each, str)]
    (pip,) = [each["pip"] for each in environment["dependencies"] if isinstance(each, dict)]
    python = next(Requirement(each) for each in plain if each.startswith("python"))
    assert python.specifier == SpecifierSet(PROJECT["project"]["requires-python"])
    assert "pip" in plain
    (itself,) = pip
    extra = itself.removeprefix("-e .[").removesuffix("]")
    assert itself == f"-e .[{extra}]"
    assert extra in PROJECT["project"]["optional-dependencies"]


def test_the_metadata_names_files_that_are_there() -> None:
    assert (ROOT / PROJECT["project"]["readme"]).is_file()
    assert PROJECT["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "workbench.__version__"}
    assert workbench.__version__


def test_commits_are_checked_by_local_hooks_only() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    assert {repository["repo"] for repository in hooks["repos"]} == {"local"}
    assert [hook["entry"] for hook in hooks["repos"][0]["hooks"]] == ["make check"]


def test_ci_runs_what_people_run() -> None:
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    assert "set -euo pipefail" in lines
    assert lines[-4:] == ["make check", "make docs", "make test", "make test-long"]


def test_a_lane_is_chosen_unless_tests_are_named(small_project: Path) -> None:
    (small_project / "tests" / "test_it.py").touch()
    parallel = [*run_tests.IN_PARALLEL, "tests"]
    assert run_tests.parts_for([]) == [("not long and not nightly", parallel)]
    long = [
        ("long and not nightly and not browser", [*run_tests.IN_PARALLEL, "-x", "tests"]),
        ("long and not nightly and browser", [*run_tests.IN_PAIRS, "-x", "tests"]),
    ]
    assert run_tests.parts_for(["--long", "-x"]) == long
    assert run_tests.parts_for(["--nightly", "-x"]) == [*long, ("nightly", ["-x", "tests"])]
    assert run_tests.parts_for(["tests/test_it.py"]) == [("", ["tests/test_it.py"])]


@pytest.mark.parametrize("failing", ["", "@pytest.mark.browser\n"])
def test_a_lane_fails_if_one_of_its_parts_does(small_project: Path, failing: str) -> None:
    (small_project / "tests" / "test_it.py").write_text(
        "import pytest\n"
        "pytestmark = pytest.mark.long\n"
        f"{failing}def test_fails(): raise AssertionError\n"
        "@pytest.mark.browser\n"
        "def test_clicks(): pass\n"
        "def test_plain(): pass\n"
    )
    assert run_tests.main(["--long"]) == 1


def test_a_lane_without_any_test_is_no_success(small_project: Path) -> None:
    (small_project / "tests" / "test_it.py").write_text("def test_short(): pass\n")
    assert run_tests.main(["--long"]) == run_tests.NOTHING_CHOSEN


def test_long_tests_run_in_the_long_lane_only(
    small_project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (small_project / "tests" / "test_it.py").write_text(
        "import pytest\n"
        "@pytest.mark.long\n"
        "def test_long(): pass\n"
        "def test_short(): pass\n"
        "def test_short_too(): pass\n"
    )
    assert run_tests.main([]) == 0
    assert "2 passed, 1 deselected" in capfd.readouterr().out
    assert run_tests.main(["--long"]) == 0
    assert "1 passed, 2 deselected" in capfd.readouterr().out


def test_a_test_that_hangs_ends_with_the_stacks_of_all_threads(
    small_project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (small_project / "tests" / "test_it.py").write_text(
        "import threading\n"
        "def wait_in_a_thread(): threading.Event().wait(30)\n"
        "def test_it():\n"
        "    threading.Thread(target=wait_in_a_thread, daemon=True).start()\n"
        "    threading.Event().wait(30)\n"
    )
    assert run_tests.main(["tests", "--timeout=1", "-p", "no:cacheprovider"]) == 1
    said = "".join(capfd.readouterr())
    assert "Timeout" in said
    assert "wait_in_a_thread" in said


def test_the_lock_holds_every_dependency_and_names_no_server(tmp_path: Path) -> None:
    pins = dict(
        line.partition(" ;")[0].split("==")
        for line in (ROOT / "requirements.lock").read_text().splitlines()
        if not line.startswith("#")
    )
    wanted = [
        *PROJECT["project"]["dependencies"],
        *(one for extra in PROJECT["project"]["optional-dependencies"].values() for one in extra),
    ]
    requirements = [Requirement(one) for one in wanted if not one.startswith("yolo-workbench")]
    assert [str(one) for one in requirements if canonicalize_name(one.name) not in pins] == []
    assert "://" not in (ROOT / "requirements.lock").read_text()
    for one in requirements:
        assert one.specifier.contains(pins[canonicalize_name(one.name)]), one


def test_a_lock_that_cannot_be_resolved_stays_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    shutil.copy(ROOT / "tools" / "held-back.txt", tmp_path / "tools")
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "a"\nversion = "1"\nrequires-python = ">=3.11"\n'
        'dependencies = ["torch==0.0.1"]\n'
    )
    (tmp_path / lock.LOCK).write_text("old==1\n")
    assert lock.main(tmp_path) != 0
    assert (tmp_path / lock.LOCK).read_text() == "old==1\n"


def test_a_browser_that_was_chosen_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = executable(tmp_path / "my-chrome", "#!/bin/sh\nexit 0\n")
    monkeypatch.setenv(browser.CHOSEN, str(mine))
    assert browser.find_browser() == mine


def test_a_chosen_browser_that_does_not_start_is_no_silent_fallback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(browser.CHOSEN, str(tmp_path / "none"))
    with pytest.raises(SystemExit, match="no browser starts from there"):
        browser.find_browser()


@pytest.fixture
def machine_without_browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Leave child processes only a folder of commands; Playwright has no browser to offer."""
    commands = tmp_path / "bin"
    commands.mkdir()
    monkeypatch.setenv("PATH", str(commands))
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path / "playwright"))
    monkeypatch.delenv(browser.CHOSEN, raising=False)
    monkeypatch.setattr(browser, "APPLICATIONS", ())
    return commands


def test_a_browser_that_does_not_start_is_passed_over(machine_without_browser: Path) -> None:
    executable(machine_without_browser / "chromium", "#!/bin/sh\nexit 1\n")
    working = executable(machine_without_browser / "google-chrome", "#!/bin/sh\nexit 0\n")
    assert browser.find_browser() == working


def test_root_gets_the_systems_package(
    machine_without_browser: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    apt = f"""#!/bin/sh
case "$*" in
  *"install"*" chromium")
    echo '#!/bin/sh' > '{machine_without_browser}/chromium'
    /bin/chmod +x '{machine_without_browser}/chromium' ;;
esac
"""
    executable(machine_without_browser / "apt-get", apt)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert browser.get_browser() == machine_without_browser / "chromium"


def test_a_user_without_rights_gets_playwrights(
    machine_without_browser: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executable(machine_without_browser / "apt-get", "#!/bin/sh\nexit 1\n")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    asked = machine_without_browser / "asked"
    python = executable(
        machine_without_browser / "python", f"#!/bin/sh\necho \"$@\" >> '{asked}'\n"
    )
    monkeypatch.setattr(sys, "executable", str(python))
    assert browser.get_browser() is None
    assert "-m playwright install chromium" in asked.read_text().splitlines()


@pytest.fixture
def small_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a project with our settings and tests of its own, which `run_tests` takes for ours."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "tests").mkdir()
    (tmp_path / "notebooks").mkdir()
    monkeypatch.setattr(run_tests, "ROOT", tmp_path)
    monkeypatch.setattr(run_tests, "get_browser", lambda: tmp_path / "chromium")
    # One process: starting others takes longer than the tests of such a project.
    monkeypatch.setattr(run_tests, "IN_PARALLEL", ())
    monkeypatch.setattr(run_tests, "IN_PAIRS", ())
    return tmp_path


def test_tests_that_did_not_run_are_named_last(
    small_project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (small_project / "tests" / "test_it.py").write_text(
        "import os, pytest\n"
        "@pytest.mark.browser\n"
        "def test_clicks(): raise AssertionError\n"
        "def test_plain(): assert os.environ['WORKBENCH_QUICK'] == '1'\n"
    )
    monkeypatch.setattr(run_tests, "get_browser", lambda: None)
    monkeypatch.setenv("CI", "true")
    assert run_tests.main([]) == 1
    said = capfd.readouterr().out.splitlines()
    assert any(line.startswith("1 passed, 1 deselected") for line in said)
    assert said[-2:] == ["  tests/test_it.py::test_clicks", browser.HOW_TO_GET_ONE]

    monkeypatch.delenv("CI")
    assert run_tests.report_missing_browser(0) == 0
    assert run_tests.report_missing_browser(3) == 3


def test_a_failing_test_fails_the_run(small_project: Path) -> None:
    (small_project / "tests" / "test_it.py").write_text("def test_it(): assert False\n")
    assert run_tests.main([]) == 1


def test_paths_take_the_place_of_all_tests(small_project: Path) -> None:
    assert run_tests.suites_for(["-x", "-k", "zip"]) == ["tests"]
    (small_project / "notebooks" / "00_tour.ipynb").write_text("{}")
    assert run_tests.suites_for([]) == ["tests", "notebooks"]
    (small_project / "tests" / "test_it.py").touch()
    assert run_tests.suites_for(["tests/test_it.py::test_it"]) == []


def test_notebooks_are_run_and_checked(
    small_project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    import nbformat

    notebook = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_code_cell("import os; assert os.environ['WORKBENCH_QUICK'] == '1'"),
            nbformat.v4.new_code_cell("raise ValueError('broken cell')"),
        ]
    )
    nbformat.write(notebook, small_project / "notebooks" / "00_tour.ipynb")
    assert run_tests.main([]) == 1
    assert "1 failed, 1 passed" in capfd.readouterr().out


@pytest.mark.parametrize("folder", [".", "tests/storage/azurite"])
def test_what_npm_installs_is_locked(folder: str) -> None:
    """`npm ci` gets exactly the versions that package.json names, from wherever npm is set to."""
    wanted = json.loads((ROOT / folder / "package.json").read_text())["devDependencies"]
    lock = json.loads((ROOT / folder / "package-lock.json").read_text())["packages"]
    assert {name: lock[f"node_modules/{name}"]["version"] for name in wanted} == wanted
    assert all("integrity" in entry for path, entry in lock.items() if path)
    assert not any("resolved" in entry for entry in lock.values())


@pytest.mark.parametrize(("ci", "status"), [("", 0), ("true", 1)])
def test_a_front_end_that_cannot_be_checked_fails_where_it_must(ci: str, status: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tools.check_js"],
        cwd=ROOT,
        env={**os.environ, "PATH": "", "CI": ci},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "The front end was not checked: Node.js is not installed" in done.stdout
    assert done.returncode == status
