"""The doctor: what it finds on broken machines, and that it ends well on this one."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from tests.helpers.pictures import jpeg
from workbench.cli import main
from workbench.doctor import Finding, Status, report
from workbench.doctor.machine import (
    check_browser,
    check_camera,
    check_data_folder,
    check_datasets,
    check_gpu,
    check_shared_memory,
    judge_free_space,
)
from workbench.doctor.probing import run_probe
from workbench.doctor.report_file import redact
from workbench.doctor.software import (
    check_torch_pair,
    compare_requirements,
    missing_front_ends,
    opencv_failure,
)
from workbench.persistence import create_stores

ROOT = Path(__file__).resolve().parents[1]
GIB = 2**30


def torch_probe(**found: Any) -> dict[str, Any]:
    """Return what the probe says of a healthy PyTorch without a GPU, changed as given."""
    healthy = {"problem": None, "cuda": "13.0", "gpus": [], "gpu_problem": None, "mps": False}
    return healthy | found


def shadow(package: str, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a package of this name before the installed one, for child processes."""
    folder = tmp_path / "shadow" / package
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", f"{folder.parent}")
    monkeypatch.chdir(ROOT)


def test_a_torchvision_of_another_build_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "raise RuntimeError('operator torchvision::nms does not exist')"
    shadow("torchvision", code, tmp_path, monkeypatch)
    finding = check_torch_pair(run_probe("torch"))
    assert finding.status is Status.PROBLEM
    assert "torchvision::nms does not exist" in finding.text
    assert sys.executable in finding.remedy


def test_a_torch_that_kills_its_process_leaves_the_doctor_alive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shadow("torch", "import os; os._exit(132)", tmp_path, monkeypatch)
    probe = run_probe("torch")
    finding = check_torch_pair(probe)
    assert finding.status is Status.PROBLEM
    assert "exit status 132" in finding.text
    assert check_gpu(probe, has_nvidia=True).status is Status.NOTE


def test_a_probe_that_hangs_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shadow("torch", "import time; time.sleep(600)", tmp_path, monkeypatch)
    assert run_probe("torch", timeout=2) == {
        "failure": "no answer within 2 s",
        "late": True,
    }


def test_a_probe_that_prints_and_warns_still_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "import sys; print('noise'); print('noise', file=sys.stderr)\n"
    code += "class VideoCapture:\n"
    code += "    def __init__(self, device): pass\n"
    code += "    def read(self): return False, None\n"
    code += "    def release(self): pass\n"
    shadow("cv2", code, tmp_path, monkeypatch)
    assert set(run_probe("camera")) == {"cameras", "locked"}


def test_the_pair_installed_here_fits() -> None:
    assert check_torch_pair(run_probe("torch")).status is Status.OK


@pytest.mark.parametrize(
    ("probe", "has_nvidia", "status", "said"),
    [
        (torch_probe(), False, Status.NOTE, "none found: training runs on the CPU"),
        (torch_probe(gpus=["H100 (80 GiB)"]), True, Status.OK, "H100 (80 GiB)"),
        (torch_probe(mps=True), False, Status.OK, "Apple"),
        (torch_probe(cuda=None), True, Status.NOTE, "built without CUDA"),
        (torch_probe(gpu_problem="driver is too old"), True, Status.NOTE, "driver is too old"),
        (
            torch_probe(gpus=["K80 (12 GiB)"], gpu_problem="no kernel image is available"),
            True,
            Status.PROBLEM,
            "no kernel image",
        ),
    ],
)
def test_what_training_can_run_on(
    probe: dict[str, Any], has_nvidia: bool, status: Status, said: str
) -> None:
    finding = check_gpu(probe, has_nvidia=has_nvidia)
    assert finding.status is status
    assert said in finding.text


@pytest.mark.parametrize(
    ("probe", "status", "said"),
    [
        ({"cameras": {}, "locked": []}, Status.NOTE, "none at this computer"),
        ({"cameras": {"/dev/video0": "640x480"}, "locked": []}, Status.OK, "/dev/video0 640x480"),
        ({"cameras": {"/dev/video0": None}, "locked": []}, Status.NOTE, "gave no picture"),
        ({"cameras": {}, "locked": ["/dev/video0"]}, Status.PROBLEM, "cannot be opened"),
        # A webcam has a second device for its metadata, which never gives a picture.
        (
            {"cameras": {"/dev/video0": "1280x720", "/dev/video1": None}, "locked": []},
            Status.OK,
            "1280x720",
        ),
        ({"failure": "no answer within 120 s"}, Status.NOTE, "no answer"),
    ],
)
def test_what_the_camera_gives(probe: dict[str, Any], status: Status, said: str) -> None:
    finding = check_camera(probe, "linux")
    assert finding.status is status
    assert said in finding.text


@pytest.mark.parametrize(
    ("environ", "status", "said"),
    [
        ({}, Status.OK, "localhost"),
        ({"SSH_CONNECTION": "10.0.0.1 1 10.0.0.2 22"}, Status.NOTE, "SSH"),
        ({"JUPYTERHUB_SERVICE_PREFIX": "/user/ada/"}, Status.NOTE, "https://"),
        ({"TERM_PROGRAM": "vscode"}, Status.NOTE, "VS Code"),
    ],
)
def test_where_the_browsers_camera_works(
    environ: dict[str, str], status: Status, said: str
) -> None:
    finding = check_browser(environ)
    assert finding.status is status
    assert said in finding.text


def test_a_data_folder_is_tried_and_left_as_it_was(tmp_path: Path) -> None:
    finding = check_data_folder(tmp_path)
    assert finding.status is not Status.PROBLEM or "0.0 GiB" in finding.text
    assert list(tmp_path.iterdir()) == []


def test_a_data_folder_to_come_is_not_made(tmp_path: Path) -> None:
    assert "will be made" in check_data_folder(tmp_path / "a").text
    mistyped = check_data_folder(tmp_path / "a" / "b")
    assert mistyped.status is Status.NOTE
    assert f"the first that is there is {tmp_path}" in mistyped.text
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_no_data_folder(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    finding = check_data_folder(tmp_path / "data" / "sets")
    assert finding.status is Status.PROBLEM
    assert "is a file" in finding.text


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs Linux's /proc: nobody writes there")
def test_a_folder_without_write_access_is_a_problem() -> None:
    finding = check_data_folder(Path("/proc/workbench-data"))
    assert finding.status is Status.PROBLEM
    assert finding.remedy


@pytest.mark.parametrize(
    ("free", "status"),
    [(GIB - 1, Status.PROBLEM), (GIB, Status.NOTE), (10 * GIB, Status.OK)],
)
def test_free_space(free: int, status: Status) -> None:
    assert judge_free_space(Path("/data"), free, exists=True).status is status


def test_a_system_without_shared_memory_has_no_finding(tmp_path: Path) -> None:
    assert check_shared_memory(tmp_path / "shm") == []


def test_a_busy_machine_is_no_broken_pytorch() -> None:
    late = check_torch_pair({"failure": "no answer within 120 s", "late": True})
    assert late.status is Status.NOTE
    assert "again" in late.remedy
    assert check_torch_pair({"failure": "exit status -11: no message"}).status is Status.PROBLEM


def test_packages_that_do_not_fit_are_named() -> None:
    needed = [Requirement("numpy>=1.26"), Requirement("anywidget>=0.9.13"), Requirement("PyYAML")]
    installed = {"numpy": "1.24.0", "anywidget": None, "PyYAML": "6.0.3"}
    findings = compare_requirements(needed, installed)
    problems = {each.topic: each.text for each in findings if each.status is Status.PROBLEM}
    assert problems == {
        "numpy": "1.24.0 is installed, numpy>=1.26 is needed",
        "anywidget": "nothing is installed, anywidget>=0.9.13 is needed",
    }


def test_opencvs_missing_system_library_has_its_own_remedy() -> None:
    stderr = "ImportError: libGL.so.1: cannot open shared object file: No such file or directory\n"
    assert "apt-get install libgl1" in opencv_failure(stderr).remedy
    assert "pip install" in opencv_failure("ImportError: no module named cv2\n").remedy


def test_missing_front_ends_are_named() -> None:
    assert missing_front_ends([]).status is Status.OK
    finding = missing_front_ends(["anywidget"])
    assert finding.status is Status.PROBLEM
    assert "anywidget" in finding.text


def test_a_problem_without_a_remedy_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="needs a remedy"):
        Finding(Status.PROBLEM, "GPU", "broken")


def test_the_report_is_aligned_and_keeps_commands_whole() -> None:
    command = "/a/very/long/path/to/an/environment/bin/python"
    text = report(
        [
            Finding(Status.OK, "GPU", "fine"),
            Finding(Status.PROBLEM, "PyTorch", "broken " * 12, f"Run `{command}` now."),
        ],
        width=60,
    )
    lines = text.splitlines()
    assert lines[0] == "ok       GPU      fine"
    assert lines[1].startswith("problem  PyTorch  broken")
    assert lines[2].startswith(" " * 18 + "broken")
    assert command in text
    assert lines[-1] == "Problems: 1. Notes: 0."


def test_the_command_ends_with_1_exactly_if_there_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    command = [sys.executable, "-m", "workbench", "doctor", "--data", str(tmp_path / "file")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == ""
    assert any(line.startswith("problem  Data") for line in done.stdout.splitlines())
    for topic in ("Python", "Packages", "OpenCV", "PyTorch", "GPU", "Widgets", "Camera", "Browser"):
        assert f"  {topic} " in done.stdout


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def arrange_secrets(data: Path) -> None:
    """Make a dataset, and a folder beside it that is none, with names that nobody else may see."""
    stores = create_stores(data, data.parent / "models")
    await stores.dataset.create("codename", classes=["prototype", "patient"])
    await stores.image.save_bytes("codename", "val", "portrait.jpg", jpeg(1))
    (data / "unlisted").mkdir()


def test_a_report_counts_the_data_and_names_nothing_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "employer" / "data"
    asyncio.run(arrange_secrets(data))
    place = tmp_path / "elsewhere"
    place.mkdir()
    (place / "their.txt").write_text("")
    (data / "codename" / "labels" / "val" / "link.txt").symlink_to(place / "their.txt")
    before = files_below(data)
    monkeypatch.chdir(data.parent)
    finding = Finding(Status.PROBLEM, "Data", f"{data} is full", f"Run `{Path.home()}/bin/x`.")
    (data / "unlisted" / "data.yaml").write_text("names: [prototype")
    damaged = check_datasets(data)
    assert "unlisted is damaged" in damaged[0].text
    assert f"codename has links that lead out of it, to {place}: " in damaged[1].text
    assert f"`workbench trust-links {data / 'codename'}`." in damaged[1].remedy
    assert len(damaged) == 2
    monkeypatch.setattr("workbench.doctor.examine", lambda _: [finding, *damaged])
    assert main(["doctor", "--data", "data", "--report", "said.txt"]) == 1
    before = files_below(data)
    assert "The report is in said.txt" in capsys.readouterr().out
    text = Path("said.txt").read_text()
    assert "2 datasets in 2 folders" in text
    assert "a dataset is damaged" in text
    assert "a dataset has links that lead out of it" in text
    assert "1: 2 classes; images: 0 in train, 1 in val, 0 in test" in text
    assert "<data> is full" in text
    assert "Run `~/bin/x`." in text
    assert "ipywidgets" in text
    for secret in (
        "codename",
        "prototype",
        "patient",
        "portrait",
        "unlisted",
        "employer",
        "elsewhere",
    ):
        assert secret not in text
    assert files_below(data) == before


def test_a_report_without_a_name_gets_a_new_one_and_none_is_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("workbench.doctor.examine", lambda _: [])
    assert main(["doctor", "--report"]) == 0
    (written,) = tmp_path.iterdir()
    assert re.fullmatch(r"workbench-report-\d{8}-\d{6}\.txt", written.name)
    assert "there is no data folder yet" in written.read_text()
    kept = written.read_bytes()
    assert main(["doctor", "--report", written.name]) == 1
    assert "name another file behind --report" in capsys.readouterr().err
    assert written.read_bytes() == kept


def test_words_are_replaced_where_they_stand_by_themselves() -> None:
    words = {"/home/ann": "~", "/home/ann/data": "<data>", "ann": "<user>", "/": "no", "": "no"}
    text = redact("/home/ann/data/x and /home/ann by ann, a banner / plan", words)
    assert text == "<data>/x and ~ by <user>, a banner / plan"
