"""Architectures from anybody: nothing of them runs or fetches, and none takes the machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helpers.training import TINY
from workbench.errors import InvalidModelError
from workbench.own_python import python_path
from workbench.persistence import Stores
from workbench.training import architectures
from workbench.training.architectures import read_architecture, require_moderate, write_checked
from workbench.training.checks import check_settings
from workbench.training.config import TrainingConfig
from workbench.training.environment import import_ultralytics, ultralytics_folder

SMALL: dict[str, Any] = {
    "nc": 1,
    "backbone": [[-1, 1, "Conv", [8, 3, 2]], [-1, 1, "Conv", [8, 3, 2]]],
    "head": [[[0], 1, "Detect", ["nc"]]],
}


def written(folder: Path, content: Any, name: str = "stranger.yaml") -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


def test_what_was_read_is_what_is_built(tmp_path: Path) -> None:
    path = written(tmp_path, SMALL)
    target = write_checked(str(path), tmp_path / "start")
    assert target == tmp_path / "start" / "stranger.yaml"
    assert yaml.safe_load(target.read_text()) == SMALL
    model = import_ultralytics().YOLO(str(target), task="detect").model
    assert model.yaml["nc"] == 1


def test_a_name_means_what_comes_with_ultralytics_wherever_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, SMALL, "yolo11n.yaml")
    monkeypatch.chdir(tmp_path)
    shipped = ultralytics_folder() / "cfg" / "models" / "11" / "yolo11.yaml"
    content = yaml.safe_load(shipped.read_text())
    assert read_architecture("yolo11n.yaml") == content
    target = write_checked("yolo11n.yaml", tmp_path / "start")
    assert yaml.safe_load(target.read_text()) == content
    built = import_ultralytics().YOLO(str(target)).model
    assert built.yaml["scale"] == "n"
    with pytest.raises(InvalidModelError, match="comes with no such"):
        read_architecture("yolo99n.yaml")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"activation": "__import__('os').system('touch ran')"}, "activation"),
        ({"activation": "nn.Module()"}, "activation"),
        ({"backbone": [[-1, 1, "TorchVision", [768, "resnet18", "DEFAULT"]]]}, "TorchVision"),
        ({"backbone": [[-1, 1, "torchvision.ops.Conv2dNormActivation", [3]]]}, "known layers"),
        ({"backbone": [[-1, 1, "nn.Module", []]]}, "known layers"),
        ({"backbone": [[-1, 1, "attempt_load_one_weight", []]]}, "known layers"),
        ({"backbone": [[-1, 1, "Conv", ["__import__('os')"]]]}, "words and numbers"),
        ({"backbone": [[-1, 1, "Conv", ["[" * 300]]]}, "words and numbers"),
        ({"backbone": [[-1, 10**9, "Conv", [8]]]}, "numbers up to"),
        ({"backbone": [[-1, 1, "Conv"]]}, "lines of"),
        ({"backbone": {"a": 1}}, "a list as backbone"),
        ({"backbone": []}, "with nc, backbone"),
        ({"nc": "nc"}, "with nc, backbone"),
        ({"scales": {"n": [1e9, 1, 1]}}, "numbers up to"),
    ],
)
def test_what_would_run_fetch_or_swell_is_refused(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    path = written(tmp_path, {**SMALL, **changes})
    with pytest.raises(InvalidModelError, match=rf"stranger\.yaml: .*{reason}"):
        read_architecture(str(path))


@pytest.mark.parametrize(
    "name", ["stranger-world.yaml", "yoloe-stranger.yml", "yolov8s-world.yaml"]
)
async def test_what_is_trained_with_texts_is_refused_before_it_fails(
    persistence_stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    source = str(written(tmp_path, SMALL, name)) if "stranger" in name else name
    config = TrainingConfig(**{**TINY, "base_model": source})
    monkeypatch.setattr(architectures, "find_spec", lambda _: None)
    with pytest.raises(InvalidModelError, match=r"the package clip is not installed; start from"):
        await check_settings(persistence_stores, config)
    monkeypatch.setattr(architectures, "find_spec", lambda name: name)
    assert (await check_settings(persistence_stores, config)).label == name


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system ['touch ran']",
        "nc: 1\nbackbone: !!python/name:os.system\nhead: []",
        "a: &a [x]\nb: &b [*a, *a]\nbackbone: *b",
        "[" * 100,
        "nc: 1\nbackbone: &b [*b]\nhead: []",
        "just a text",
        "\t{",
        "",
    ],
)
def test_what_is_no_architecture_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidModelError, match=r"stranger\.yaml"):
        read_architecture(str(written(tmp_path, text)))


def test_what_is_no_file_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "folder.yaml").mkdir()
    with (tmp_path / "large.yaml").open("wb") as file:
        file.truncate(2**32)
    for name in ("pipe", "folder", "large", "nothing"):
        with pytest.raises(InvalidModelError, match=rf"{name}\.yaml: .*cannot be read"):
            read_architecture(str(tmp_path / f"{name}.yaml"))


WIDE = [[-1, 1, "Conv", [8192, 3, 2]]]
HUGE: dict[str, dict[str, Any]] = {
    "wide layers": {"backbone": [*WIDE, *([[-1, 100, "Conv", [8192, 3, 1]]] * 100)]},
    "a wide scale": {"scales": {"n": [1, 100_000, 100_000]}},
    "a deep scale": {"scales": {"n": [100_000, 1, 8]}, "backbone": [[-1, 99, "C2f", [8]]]},
    "many layers": {"backbone": [[-1, 100, "C2f", [8]]] * 900},
    "a wide picture": {"backbone": [[-1, 1, "nn.Upsample", [None, 8000]]]},
    "a picture that grows": {"backbone": [[-1, 1, "nn.Upsample", [None, 8]]] * 8},
    "everything beside everything": {
        "backbone": [[-1, 1, "Conv", [64, 1, 1]], [-1, 1, "AIFI", [64, 8]]]
    },
}


def test_an_architecture_that_would_take_the_machine_is_refused_for_little(
    tmp_path: Path,
) -> None:
    script = """
import json, resource, sys
from workbench.training.architectures import require_moderate
from workbench.training.environment import import_ultralytics
from workbench.errors import InvalidModelError
import_ultralytics()
first, *jobs = json.load(sys.stdin)
require_moderate(first, "small")  # what it costs to have this at all
idle = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for job in jobs:
    try:
        require_moderate(job, "stranger.yaml")
    except InvalidModelError as error:
        print(error)
    else:
        print("taken")
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - idle)
"""
    jobs = [SMALL, *({**SMALL, **changes} for changes in HUGE.values())]
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=json.dumps(jobs),
        env={**os.environ, **python_path()},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if "WARNING" not in line]
    for what, said, memory in zip(HUGE, lines[::2], lines[1::2], strict=True):
        assert said.startswith("stranger.yaml: expected an architecture of a moderate size"), what
        assert int(memory) / 1024 < 300, what


def test_layers_that_do_not_fit_are_told(tmp_path: Path) -> None:
    import_ultralytics()
    for backbone in ([[-1, 1, "Conv", []]], [[7, 1, "Conv", [8]]], [[-1, 1, "Concat", [1]]]):
        with pytest.raises(InvalidModelError, match=r"stranger\.yaml: no model can be built"):
            require_moderate({**SMALL, "backbone": backbone}, "stranger.yaml")


@pytest.mark.long
@pytest.mark.nightly  # only another Ultralytics could change it
def test_all_detectors_of_ultralytics_are_taken() -> None:
    import_ultralytics()
    found = (ultralytics_folder() / "cfg" / "models").glob("*/*.yaml")
    for path in found:
        if path.stem.endswith(("-seg", "-pose", "-cls", "-obb", "-sem", "-depth", "resnet18")):
            continue
        content = read_architecture(str(path))
        for scale in content.get("scales", {"": None}):
            require_moderate({**content, "scale": scale}, str(path))
