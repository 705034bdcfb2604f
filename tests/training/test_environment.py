"""Ultralytics is set up to stay at home, and a broken torch is found."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.helpers.sweeps import job
from tests.helpers.training import install_network_guard
from workbench.persistence.run_folder import RunFolder
from workbench.training.environment import worker_environment
from workbench.training.reporter import Reporter

CHECK = "from workbench.training.environment import check_torch; print(check_torch())"


def run_python(script: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def python_path(folder: Path) -> str:
    """A path on which `folder` comes before what is installed, and this project is found."""
    return os.pathsep.join([str(folder), str(Path(__file__).resolve().parents[2])])


def make_package(folder: Path, name: str, source: str) -> None:
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text(source)


def test_torchvision_of_another_build_is_named_with_the_remedy(tmp_path: Path) -> None:
    make_package(tmp_path, "torch", "")
    broken = 'raise RuntimeError("operator torchvision::nms does not exist")'
    make_package(tmp_path, "torchvision", broken)
    problem = run_python(CHECK, PYTHONPATH=python_path(tmp_path))
    assert "do not fit each other (operator torchvision::nms does not exist)" in problem
    assert "pip install --upgrade --force-reinstall torch torchvision" in problem


@pytest.mark.parametrize(
    "source", ['raise ImportError("libcudart.so.12: no such file")', 'raise OSError("bad dll")']
)
def test_torch_that_does_not_import_is_named_with_the_remedy(tmp_path: Path, source: str) -> None:
    make_package(tmp_path, "torch", source)
    problem = run_python(CHECK, PYTHONPATH=python_path(tmp_path))
    assert problem.startswith("torch cannot be imported (")
    assert "pip install" in problem


def test_a_broken_pair_is_a_setup_error_for_whoever_predicts(tmp_path: Path) -> None:
    make_package(tmp_path, "torch", 'raise ImportError("broken")')
    script = """
from workbench.errors import SetupError
from workbench.training.environment import import_ultralytics
try:
    import_ultralytics()
except SetupError as error:
    print(error)
"""
    assert "torch cannot be imported" in run_python(script, PYTHONPATH=python_path(tmp_path))


def test_ultralytics_is_imported_offline_quietly_and_without_a_trace_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = install_network_guard(tmp_path, monkeypatch)
    script = """
import json, os, sys
before = dict(os.environ)
from workbench.training.environment import check_torch, import_ultralytics
print(json.dumps(check_torch()))
ultralytics = import_ultralytics()
from ultralytics.utils import ONLINE, AUTOINSTALL, SETTINGS_FILE
from ultralytics.utils.events import events
changed = {k for k in os.environ if k.startswith(("YOLO", "ULTRA")) and k not in before}
print(json.dumps([ONLINE, AUTOINSTALL, events.enabled, str(SETTINGS_FILE), sorted(changed)]))
"""
    path = os.environ["PYTHONPATH"] + os.pathsep + str(Path(__file__).resolve().parents[2])
    output = run_python(script, PYTHONPATH=path, XDG_CACHE_HOME=str(tmp_path / "cache"))
    problem, state = (json.loads(line) for line in output.splitlines())
    assert problem is None
    online, autoinstall, statistics, settings, changed = state
    assert (online, autoinstall, statistics) == (False, False, False)
    assert Path(settings).is_relative_to(tmp_path / "cache" / "workbench")
    assert changed == []
    assert not log.exists(), log.read_text()


def test_the_network_guard_notices_what_it_shall_notice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = install_network_guard(tmp_path, monkeypatch)
    script = """
import socket
for address in (("192.0.2.1", 80), ("example.invalid", 80)):
    try:
        socket.create_connection(address, timeout=1)
    except OSError as error:
        print(error)
"""
    output = run_python(script)
    assert output.count("no network in tests") == 2
    assert "192.0.2.1" in log.read_text()
    assert "example.invalid" in log.read_text()


def test_a_worker_gets_no_key_no_network_and_settings_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ULTRALYTICS_API_KEY", "secret")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example")
    environment = worker_environment(tmp_path)
    assert "ULTRALYTICS_API_KEY" not in environment
    assert environment["HTTPS_PROXY"] == environment["http_proxy"] == "http://127.0.0.1:9"
    assert environment["YOLO_OFFLINE"] == "1"
    assert environment["YOLO_CONFIG_DIR"] == str(tmp_path)


def test_training_leaves_out_what_has_more_pixels_than_are_decoded(tmp_path: Path) -> None:
    for side in (100, 200):
        (tmp_path / f"{side}.png").write_bytes(encoded(side))
    script = f"""
from pathlib import Path
from workbench.training.environment import prepare_worker
prepare_worker(Path({str(tmp_path / "settings")!r}))
from ultralytics.data.utils import check_image
for side in (100, 200):
    try:
        print(side, check_image({str(tmp_path)!r} + f"/{{side}}.png")[1])
    except Exception as error:
        print(side, type(error).__name__)
"""
    environment = worker_environment(tmp_path / "settings") | {"WORKBENCH_MAX_PIXELS": "30000"}
    said = run_python(script, **environment).splitlines()
    assert said[-2:] == ["100 (100, 100)", "200 DecompressionBombError"]


def test_processes_for_several_gpus_have_the_bound_too(tmp_path: Path) -> None:
    """They get the reporter by pickle, before they look at any picture."""
    (tmp_path / "reporter").write_bytes(pickle.dumps(Reporter(RunFolder(tmp_path), job())))
    script = f"""
import pickle
from pathlib import Path
from PIL import Image
pickle.loads(Path({str(tmp_path / "reporter")!r}).read_bytes())
print(Image.MAX_IMAGE_PIXELS)
"""
    assert run_python(script, WORKBENCH_MAX_PIXELS="30000") == "15000"


def encoded(side: int) -> bytes:
    return bytes(cv2.imencode(".png", np.zeros((side, side), np.uint8))[1])
