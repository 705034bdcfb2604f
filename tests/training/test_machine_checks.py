"""Whether this machine can do a run, asked before it starts."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from workbench.persistence.models import DatasetInfo
from workbench.training import devices, machine_checks
from workbench.training.config import BaseModel, TrainingConfig
from workbench.training.devices import Gpu, device_keys
from workbench.training.machine_checks import check_machine, scale_of
from workbench.training.problems import Problem

GIB = 2**30
INFO = DatasetInfo("cells", Path("/cells"), ["a"], {"train": 1000, "val": 100, "test": 0})


@pytest.fixture(autouse=True)
def roomy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with enough of everything and no GPU."""
    use_gpus(monkeypatch)
    monkeypatch.setattr(machine_checks, "free_space", lambda _: 500 * GIB)
    monkeypatch.setattr(machine_checks, "find_spec", lambda _: "installed")
    monkeypatch.setattr(
        psutil, "virtual_memory", lambda: type("Memory", (), {"available": 64 * GIB})()
    )


def use_gpus(monkeypatch: pytest.MonkeyPatch, *found: Gpu) -> None:
    for module in (devices, machine_checks):
        monkeypatch.setattr(module, "gpus", lambda: list(found))
        monkeypatch.setattr(module, "may_have_gpu", lambda: False)


def problems(label: str = "yolo11n.pt", **settings: object) -> list[Problem]:
    config = TrainingConfig(dataset="cells", **settings)  # type: ignore[arg-type]
    base = BaseModel(source=label, label=label, pretrained=True)
    return check_machine(INFO, config, base, Path("/runs"))


@pytest.mark.parametrize("device", ["", "cpu", "CPU"])
def test_a_machine_with_room_has_nothing_to_say(device: str) -> None:
    assert problems(device=device) == []


@pytest.mark.parametrize(
    ("device", "text", "remedy"),
    [
        ("0", "torch finds no GPU", "take 'cpu'"),
        ("cuda:0", "torch finds no GPU", "take 'cpu'"),
        ("mps", "is for Apple computers", "take '' or 'cpu'"),
    ],
)
def test_a_device_that_is_not_there_is_an_error(device: str, text: str, remedy: str) -> None:
    [problem] = problems(device=device)
    assert problem.severity == "error"
    assert text in problem.text
    assert remedy in problem.remedy


def test_a_gpu_that_is_not_there_is_told_with_those_that_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use_gpus(monkeypatch, Gpu(0, "H100", 80 * GIB, 80 * GIB))
    assert problems(device="0") == []
    [problem] = problems(device="0,3")
    assert str(problem) == "device '0,3': GPU 3 is not there: there are 0 (H100)"


def test_memory_that_will_not_do_is_a_warning_with_a_batch_that_fits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use_gpus(monkeypatch, Gpu(0, "small", 8 * GIB, 6 * GIB))
    assert problems(device="0", batch=16) == []
    [problem] = problems("yolo11x.pt", device="0", batch=16)
    assert problem.severity == "warning"
    assert "of GPU memory, and 6.0 GiB are free" in problem.text
    assert "a batch of about 5," in problem.remedy


def test_several_gpus_share_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    use_gpus(monkeypatch, *(Gpu(index, "g", 24 * GIB, 24 * GIB) for index in range(2)))
    assert len(problems("yolo11x.pt", device="0", batch=32)) == 1
    assert problems("yolo11x.pt", device="0,1", batch=32) == []
    [problem] = problems(device="0,1", batch=-1)
    assert (problem.severity, "multiple of the number" in problem.remedy) == ("error", True)


def test_several_gpus_need_what_ultralytics_would_install_by_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use_gpus(monkeypatch, *(Gpu(index, "g", 24 * GIB, 24 * GIB) for index in range(2)))
    monkeypatch.setattr(machine_checks, "find_spec", lambda _: None)
    assert problems(device="0") == []
    [problem] = problems(device="0,1")
    assert problem.severity == "error"
    assert "`pip install cloudpickle`" in problem.remedy


def test_a_batch_that_a_gpu_measures_needs_one() -> None:
    [problem] = problems(device="cpu", batch=-1)
    assert "Ultralytics takes 16" in problem.remedy


def test_a_cache_that_does_not_fit_is_a_warning() -> None:
    assert problems(cache="ram") == []
    [problem] = problems(cache="ram", image_size=8192, batch=1, base_model="yolo11n.pt")[-1:]
    assert "cache 'ram' takes up to" in problem.text


@pytest.mark.parametrize(("free", "severity"), [(0.1, "error"), (0.2, "warning")])
def test_a_disk_that_will_not_do(
    monkeypatch: pytest.MonkeyPatch, free: float, severity: str
) -> None:
    monkeypatch.setattr(machine_checks, "free_space", lambda _: int(free * GIB))
    [problem] = problems()
    assert problem.severity == severity
    assert "on the disk of /runs" in problem.remedy


@pytest.mark.parametrize(
    ("label", "scale"),
    [
        ("yolo11n.pt", "n"),
        ("yolov8x.yaml", "x"),
        ("yolo26s", "s"),
        ("yolo11l-p6.yaml", "l"),
        ("mine", "m"),
        ("best.pt", "m"),
    ],
)
def test_the_scale_is_in_the_name(label: str, scale: str) -> None:
    assert scale_of(label) == scale


@pytest.mark.parametrize(
    ("device", "keys"),
    [
        ("", {"cpu"}),
        ("cpu", {"cpu"}),
        ("0", {"gpu 0"}),
        ("cuda:1", {"gpu 1"}),
        ("0,1", {"gpu 0", "gpu 1"}),
        ("[2, 3]", {"gpu 2", "gpu 3"}),
        ("mps", {"mps"}),
    ],
)
def test_runs_take_turns_on_what_their_setting_means(device: str, keys: set[str]) -> None:
    assert device_keys(device) == keys


def test_without_a_setting_the_first_gpu_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    use_gpus(monkeypatch, Gpu(0, "g", GIB, GIB))
    assert device_keys("") == {"gpu 0"}


def test_gpus_are_those_that_torch_would_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'A 100, 100, 60'\necho 'B, [N/A], [N/A]'\necho 'C, 10, 5'\n")
    tool.chmod(0o755)
    monkeypatch.undo()
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(devices, "torch_is_for_cpu", lambda: False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    mib = 2**20
    found = [Gpu(0, "A 100", 100 * mib, 60 * mib), Gpu(2, "C", 10 * mib, 5 * mib)]
    assert devices.gpus() == found
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2")
    assert devices.gpus() == [Gpu(0, "C", 10 * mib, 5 * mib)]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert devices.gpus() == []
    tool.write_text("#!/bin/sh\nexit 9\n")
    assert devices.gpus() == []
