"""Weights are written again: the same model comes of it, and nothing of the file is run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.training import install_network_guard
from tests.helpers.weights import Say, members, model, packed, program, written
from workbench.errors import InvalidModelError
from workbench.own_python import python_path
from workbench.persistence import create_memory_stores, scratch
from workbench.persistence.scratch import scratch_prefix
from workbench.training.environment import import_ultralytics
from workbench.training.weights_check import (
    check_weights,
    import_weights,
    load_rewritten,
    ready_model,
    rewritten_weights,
    trust_own,
)
from workbench.weights.rewriting import Rewritten

TASKS = "ultralytics.nn.tasks"
BLOCK = "ultralytics.nn.modules.block"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where weights are written again, for this test alone."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "workbench" / "rewritten"


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log of every use of the network by any process that starts from here on."""
    folder = tmp_path / "guard"
    folder.mkdir()
    return install_network_guard(folder, monkeypatch)


def saved(folder: Path, architecture: str, **changes: Any) -> Path:
    """Weights as Ultralytics saves them, of random numbers."""
    ultralytics = import_ultralytics()
    kind = ultralytics.RTDETR if "rtdetr" in architecture else ultralytics.YOLO
    yolo = kind(f"{architecture}.yaml")
    for name, value in changes.items():
        setattr(yolo.model, name, value)
    path = folder / f"{architecture}.pt"
    yolo.save(path)
    return path


def numbers(value: Any) -> Iterator[Any]:
    """All tensors in what a model answers."""
    if hasattr(value, "isfinite"):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from numbers(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from numbers(item)


def check_same(path: Path) -> Rewritten:
    """Compare what comes of the rewriting with what torch makes of the file."""
    import torch

    found = rewritten_weights(path)
    theirs = torch.load(path, map_location="cpu", weights_only=False)
    theirs = (theirs.get("ema") or theirs["model"]).float().eval()
    ours = ready_model(load_rewritten(found))
    expected = theirs.state_dict()
    assert list(ours.state_dict()) == list(expected)
    for name, value in ours.state_dict().items():
        assert torch.equal(value, expected[name]), name
    picture = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        pairs = list(zip(numbers(ours(picture)), numbers(theirs(picture)), strict=True))
    assert pairs
    for mine, other in pairs:
        torch.testing.assert_close(mine, other, atol=1e-6, rtol=0)
    return found


def test_a_detector_predicts_what_it_did(tmp_path: Path) -> None:
    found = check_same(saved(tmp_path, "yolo11n"))
    assert found.facts["task"] == "detect"
    assert len(found.facts["class_names"]) == 80
    assert found.suspicious == []


# One of each family and task; their relatives are looked at in the night.
KINDS = [
    ("yolo26n", "detect"),
    ("rtdetr-l", "detect"),
    ("yolov8s-worldv2", "detect"),
    ("yoloe-11s-seg", "segment"),
    ("yolo11n-pose", "pose"),
    ("yolo11n-obb", "obb"),
    ("yolo11n-cls", "classify"),
]
RELATIVES = [
    ("yolov8n", "detect"),
    ("yolov10n", "detect"),
    ("yolo12n", "detect"),
    ("yolov9t", "detect"),
    ("yolov9c", "detect"),
    ("yolov6n", "detect"),
    ("yolov5nu", "detect"),
    ("yolov3-tiny", "detect"),
    ("yoloe-11s", "detect"),
    ("yolo11n-seg", "segment"),
    ("yolo26n-seg", "segment"),
    ("yolo26n-pose", "pose"),
    ("yolo26n-obb", "obb"),
]


@pytest.mark.long
@pytest.mark.parametrize(
    ("architecture", "task"),
    [*KINDS, *(pytest.param(*kind, marks=pytest.mark.nightly) for kind in RELATIVES)],
)
def test_every_kind_of_model_predicts_what_it_did(
    tmp_path: Path, architecture: str, task: str
) -> None:
    assert check_same(saved(tmp_path, architecture)).facts["task"] == task


def test_a_model_that_is_fused_predicts_what_it_did(tmp_path: Path) -> None:
    yolo = import_ultralytics().YOLO("yolov8n.yaml")
    yolo.model.eval()
    yolo.fuse()
    yolo.save(tmp_path / "fused.pt")
    check_same(tmp_path / "fused.pt")


def test_layers_of_ones_own_load_where_they_were_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody's own Ultralytics may have layers that no list knows."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "own_layers.py").write_text(
        "from ultralytics.nn.modules.conv import Conv\nclass Own(Conv): pass\n"
    )
    inherited = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(tmp_path), inherited))))
    monkeypatch.syspath_prepend(tmp_path)
    yolo = import_ultralytics().YOLO("yolo11n.yaml")
    yolo.model.model[0].__class__ = import_module("own_layers").Own
    path = tmp_path / "own.pt"
    yolo.save(path)
    assert check_weights(path).suspicious == ["own_layers.Own"]
    with pytest.raises(InvalidModelError, match=r"own_layers\.Own"):
        rewritten_weights(path)
    trust_own(path, yolo.model)
    assert check_same(path).trusted
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "elsewhere"))
    with pytest.raises(InvalidModelError, match=r"own_layers\.Own"):
        rewritten_weights(path)
    # Of ordinary layers nothing is noted: they need no yes.
    plain = import_ultralytics().YOLO("yolo11n.yaml").model
    trust_own(path, plain)
    assert not (tmp_path / "elsewhere").exists()


def test_what_is_written_is_safetensors(tmp_path: Path) -> None:
    made = rewritten_weights(saved(tmp_path, "yolo11n")).path
    assert made is not None
    data = made.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    assert set(header.pop("__metadata__")) == {"workbench"}
    ends = sorted(entry["data_offsets"] for entry in header.values())
    assert ends[0][0] == 0
    assert all(before[1] == after[0] for before, after in pairwise(ends))
    assert ends[-1][1] == len(data) - 8 - length


def test_what_was_cut_off_in_the_cache_is_made_anew(tmp_path: Path, cache: Path) -> None:
    path = written(tmp_path / "w.pt", packed(members(model())))
    first = rewritten_weights(path)
    assert first.path is not None
    assert first.path.parent == cache
    whole = first.path.read_bytes()
    for content in (whole[:-1] if whole[-1] != 32 else whole[:20], b"", b"\xff" * 30):
        first.path.write_bytes(content)
        assert rewritten_weights(path).path == first.path
        assert first.path.read_bytes() == whole
    assert [entry.name for entry in cache.iterdir()] == [first.path.name]


def test_another_file_in_the_cache_is_never_loaded(tmp_path: Path, cache: Path) -> None:
    import_ultralytics()
    mine = written(tmp_path / "mine.pt", packed(members(model("X\x04\x00\x00\x00mine"))))
    other = written(tmp_path / "other.pt", packed(members(model("X\x05\x00\x00\x00other"))))
    first, second = rewritten_weights(mine), rewritten_weights(other)
    assert first.path is not None
    assert second.path is not None
    whole, theirs = first.path.read_bytes(), second.path.read_bytes()
    # Put in its place while it is on its way to whoever loads it.
    first.path.write_bytes(theirs)
    with pytest.raises(InvalidModelError, match="another than the one that was written"):
        load_rewritten(first)
    # And before: whole and well-formed, but of other weights, so it is made anew.
    again = rewritten_weights(mine)
    assert again.path == first.path
    assert first.path.read_bytes() == whole
    assert load_rewritten(again)["extra"] == "mine"
    # Under a name that only its contents would have, but signed by nobody.
    first.path.unlink()
    digest = first.digest
    for name in (f"{digest}.{'0' * 64}", f"{digest}.trusted.{'0' * 64}", digest):
        (cache / f"{name}.safetensors").write_bytes(theirs)
    assert load_rewritten(rewritten_weights(mine))["extra"] == "mine"
    assert first.path.read_bytes() == whole


def test_what_a_killed_process_copied_goes_with_the_next(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights may have gigabytes; and the folder of one that is at work stays."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    path = written(tmp_path / "w.pt", packed(members(model())))
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    prefix = scratch_prefix("reading", cache)
    own = cache / f"{prefix}own"
    left = [
        place.parent / place.name.replace(f"-{os.getpid()}-", f"-{ended.pid}-")
        for place in (own, tmp_path / "state/workbench" / f"{prefix.replace('reading', 'key')}x")
    ]
    for folder in (own, *left):
        folder.mkdir(parents=True)
        (folder / "weights.pt").write_bytes(b"")
    scratch._remove_left.cache_clear()
    rewritten_weights(path)
    assert own.is_dir()
    assert not any(folder.exists() for folder in left)


def test_a_cache_from_another_machine_is_made_anew(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "w.pt", packed(members(model())))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "theirs"))
    theirs = rewritten_weights(path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "mine"))
    mine = rewritten_weights(path)
    assert mine.path != theirs.path
    assert mine.path_digest == theirs.path_digest
    key = tmp_path / "mine" / "workbench" / "signing.key"
    assert key.stat().st_size == 32
    assert not key.stat().st_mode & 0o077
    # Without a key nothing of the cache is taken, and the weights can be used all the same.
    key.unlink()
    key.mkdir()
    without = rewritten_weights(path)
    assert without.path not in (mine.path, theirs.path)
    assert without.path is not None
    assert without.path.read_bytes() == (mine.path or path).read_bytes()


async def test_a_file_that_changes_after_it_was_judged_is_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores = create_memory_stores()
    path = written(tmp_path / "w.pt", packed(members(model())))
    save = stores.model.save

    async def swapped(*arguments: Any, **named: Any) -> Any:
        written(path, packed(members(program({"model": Say("os.system", "true")}))))
        return await save(*arguments, **named)

    monkeypatch.setattr(stores.model, "save", swapped)
    with pytest.raises(InvalidModelError, match="changed while it was read"):
        await import_weights(stores, path, "theirs")
    assert await stores.model.list() == []
    monkeypatch.undo()
    written(path, packed(members(model())))
    assert (await import_weights(stores, path, "theirs")).name == "theirs"


TEACHER = "http://203.0.113.7/teacher.pt"
DISTILLED = {
    "a distilled model": Say("ultralytics.nn.distill_model.DistillationModel", TEACHER, None),
    "a teacher that is not there": Say(
        "ultralytics.nn.distill_model.DistillationModel", "yolo26x.pt", None
    ),
    "a model of torchvision": Say(f"{BLOCK}.TorchVision", "resnet18"),
    "a loading by name": Say(f"{TASKS}.load_checkpoint", TEACHER),
}


@pytest.mark.parametrize("what", DISTILLED)
def test_what_loads_or_fetches_is_refused_and_asks_nobody(
    tmp_path: Path, what: str, network: Path
) -> None:
    content = program({"model": DISTILLED[what], "train_args": {}})
    path = written(tmp_path / "w.pt", packed(members(content)))
    report = check_weights(path)
    assert [name.rpartition(".")[2] for name in report.suspicious] == [DISTILLED[what].name]
    with pytest.raises(InvalidModelError, match="holds code"):
        rewritten_weights(path)
    assert not network.exists()


@pytest.mark.parametrize(
    "architecture",
    [
        {"backbone": [[-1, 1, "TorchVision", [768, "resnet18", "DEFAULT"]]], "head": []},
        {"backbone": [[-1, 1, "torchvision.ops.nms", []]], "head": []},
        {"backbone": [[-1, 10**9, "Conv", [64, 3]]], "head": []},
        {"backbone": [[-1, 1, "Conv", [10**9, 3]]], "head": []},
        {"backbone": [], "head": [], "activation": "__import__('os').system('x')"},
        {"backbone": [], "head": [], "activation": "nn.SiLU(__import__('os'))"},
        {"backbone": [], "head": [], "activation": "nn.Module()"},
        {"backbone": 7, "head": []},
        {"backbone": [7], "head": []},
        {"backbone": [[-1, 1]], "head": []},
        {"backbone": [[-1, 1, "Conv", {"out": 10}]], "head": []},
    ],
)
def test_an_architecture_that_fetches_evaluates_or_swells_is_refused(
    tmp_path: Path, architecture: dict[str, Any]
) -> None:
    path = written(tmp_path / "w.pt", packed(members(model(yaml=architecture))))
    with pytest.raises(InvalidModelError, match=r"w\.pt: expected"):
        check_weights(path)


@pytest.mark.parametrize(
    "activation", ["nn.SiLU()", "torch.nn.LeakyReLU(0.1)", "nn.ReLU(inplace=True)"]
)
def test_the_activations_of_ultralytics_are_taken(tmp_path: Path, activation: str) -> None:
    content = model(yaml={"backbone": [], "head": [], "activation": activation})
    assert check_weights(written(tmp_path / "w.pt", packed(members(content)))).is_harmless


@pytest.mark.parametrize(
    ("place", "changes", "reason"),
    [
        (11, {"scale_factor": 4096.0}, "a moderate size, found one with more than 67,108,864"),
        (12, {"f": [-1, 3]}, "do not fit each other"),
        (12, {"f": [-1, 99]}, "do not fit each other"),
    ],
)
def test_layers_that_would_take_the_machine_are_refused_before_they_run(
    tmp_path: Path, place: int, changes: dict[str, Any], reason: str
) -> None:
    yolo = import_ultralytics().YOLO("yolo11n.yaml")
    for name, value in changes.items():
        setattr(yolo.model.model[place], name, value)
    path = tmp_path / "w.pt"
    yolo.save(path)
    assert check_weights(path).is_harmless  # nothing in it is code
    with pytest.raises(InvalidModelError, match=reason):
        load_rewritten(rewritten_weights(path))


def test_what_ultralytics_needs_to_run_a_model_is_there_or_it_is_refused(tmp_path: Path) -> None:
    import torch

    path = tmp_path / "w.pt"
    for changes, reason in (
        ({"stride": "x"}, "expected strides of 0 to 4096 pixels, found 'x'"),
        ({"stride": torch.full((3,), float("nan"))}, "expected strides"),
        ({"names": {}}, "expected a name for each class of the model, found none"),
    ):
        path = saved(tmp_path, "yolo11n", **changes)
        with pytest.raises(InvalidModelError, match=reason):
            load_rewritten(rewritten_weights(path))
    path = saved(tmp_path, "yolo11n", names={0: "cat", 1: "\ud800"})
    assert rewritten_weights(path).facts["class_names"] == ["cat", "?"]


def test_a_model_of_an_old_torch_is_taken(tmp_path: Path) -> None:
    yolo = import_ultralytics().YOLO("yolo11n.yaml")
    upsample = yolo.model.model[11]
    del upsample.recompute_scale_factor
    path = tmp_path / "w.pt"
    yolo.save(path)
    assert ready_model(load_rewritten(rewritten_weights(path))).model[11].scale_factor == 2


def tensor(sizes: str, strides: str, count: int = 4) -> str:
    """Instructions for a tensor of `NUMBERS`."""
    return (
        "ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\n"
        f"X\x01\x00\x00\x000X\x03\x00\x00\x00cpuK{chr(count)}tQK\x00{sizes}{strides}\x89"
        "ccollections\nOrderedDict\n)RtR"
    )


def test_tensors_hold_what_is_there_and_no_more(tmp_path: Path) -> None:
    import_ultralytics()
    path = tmp_path / "w.pt"
    written(path, packed(members(model(tensor("K\x02K\x02\x86", "K\x02K\x01\x86")))))
    found = load_rewritten(rewritten_weights(path))
    assert found["extra"].tolist() == [[1, 2], [3, 4]]
    for sizes, strides, count in (
        ("J\x00\x00\x00\x10\x85", "K\x00\x85", 4),  # one number, a quarter of a billion times
        ("K\x05\x85", "K\x01\x85", 4),
        ("K\x04\x85", "K\x02\x85", 4),
        ("K\x05\x85", "K\x01\x85", 5),  # more than the file holds
    ):
        written(path, packed(members(model(tensor(sizes, strides, count)))))
        with pytest.raises(InvalidModelError, match=r"expected|not all there"):
            check_weights(path)


def test_a_model_is_safe_although_ultralytics_was_imported_before(
    tmp_path: Path, network: Path
) -> None:
    """The notebook had Ultralytics first, whose own restrictions are off then."""
    content = program({"model": DISTILLED["a distilled model"], "ema": None})
    path = written(tmp_path / "w.pt", packed(members(content)))
    script = f"""
import asyncio
from ultralytics.nn.tasks import SAFE_LOAD
assert not SAFE_LOAD
from workbench import create_stores
from workbench.errors import InvalidModelError
from workbench.labelling.predictor import Predictor
from workbench.training.weights_check import import_weights
import numpy as np
async def main():
    stores = create_stores({str(tmp_path / "data")!r}, {str(tmp_path / "models")!r})
    await stores.model.save("smuggled", {str(path)!r}, "", "")
    picture = np.zeros((64, 64, 3), np.uint8)
    for step in (
        import_weights(stores, {str(path)!r}, "stranger"),
        Predictor(stores).predict(picture, model="smuggled"),
    ):
        try:
            await step
        except InvalidModelError as error:
            print(error)
asyncio.run(main())
"""
    environment = {**os.environ, **python_path(), "YOLO_OFFLINE": "1"}
    environment.pop("ULTRALYTICS_SAFE_LOAD", None)
    environment["YOLO_CONFIG_DIR"] = str(tmp_path / "settings")
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("holds code that would run when it is loaded") == 2
    assert "DistillationModel" in done.stdout
    assert not network.exists() or "203.0.113.7" not in network.read_text()


CUP = b"X\x03\x00\x00\x00cup"
DOUBLED = b")" + b"2\x86" * 200  # to look at all of it would take 2**200 steps
BOMBS: dict[str, Callable[[], bytes]] = {
    "things within things": lambda: packed(members(model(")" + "\x85" * 100_000))),
    "a model that doubles": lambda: packed(
        members(b"\x80\x02}X\x05\x00\x00\x00model" + DOUBLED + b"s.")
    ),
    "names that double": lambda: packed(
        members(model().replace(CUP.replace(b"cup", b"mug"), DOUBLED))
    ),
    "an activation that doubles": lambda: packed(
        members(model(yaml={"activation": "cup"}).replace(CUP, DOUBLED))
    ),
    "a layer that doubles": lambda: packed(
        members(model(yaml={"backbone": [[-1, 1, "cup", []]]}).replace(CUP, DOUBLED))
    ),
    "a type of numbers that doubles": lambda: packed(
        members(
            model(
                f"cnumpy._core.multiarray\nscalar\n(cnumpy\ndtype\n({DOUBLED.decode('latin-1')}tR"
                "X\x00\x00\x00\x00tR"
            )
        )
    ),
    "compressed": lambda: packed(members(b"\x80\x02" + b"N" * 60_000_000 + b"."), 8),
    "many instructions": lambda: packed(members(b"\x80\x02" + b"}" * 8_000_000 + b".")),
    "keys that double": lambda: packed(
        members(
            model(
                f"ccollections\nOrderedDict\n(]({DOUBLED.decode('latin-1')}X\x01\x00\x00\x00x\x86etR"
            )
        )
    ),
    "a tensor of itself": lambda: packed(
        members(
            model(
                "ctorch._tensor\n_rebuild_from_type_v2\n(h\xf0ctorch\nTensor\n"
                "]q\x01(h\xf0ctorch\nTensor\nh\x01NeNtR".replace(
                    "h\xf0", "ctorch._tensor\n_rebuild_from_type_v2\n"
                )
            )
        )
    ),
    "much text": lambda: packed(
        members(
            model("]X\x00\x00\x10\x00" + "x" * 2**20 + "q\xfa" + "a(" + "h\xfa" * 400_000 + "e")
        )
    ),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_costs_little_memory(tmp_path: Path, bomb: str) -> None:
    path = written(tmp_path / "w.pt", BOMBS[bomb]())
    job = {"source": str(path), "target": str(tmp_path / "out"), "shown": "w.pt", "agreed": []}
    script = f"""
import json, resource, sys
from workbench.weights.worker import main
idle = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
main([json.dumps({job!r})])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - idle, file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **python_path()},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert json.loads(done.stdout)["error"].startswith("w.pt: expected")
    assert int(done.stderr) / 1024 < 300


def test_a_storage_that_was_cut_off_is_told_by_the_users_own_file_name(tmp_path: Path) -> None:
    import_ultralytics()
    path = tmp_path / "mine.pt"
    written(path, packed(members(model(tensor("K\x05\x85", "K\x01\x85", 5)))))
    with pytest.raises(InvalidModelError) as refused:
        check_weights(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert "-reading-" not in str(refused.value)

    assert ".reading-" not in str(refused.value)


@pytest.mark.parametrize(
    ("what", "found"),
    [
        ("state", r"tensors without the architecture .*\(a state_dict\).*take the best\.pt"),
        ("inner", r"tensors without the architecture .*\(a state_dict\)"),
        ("tensor", "a tensor by itself|not there"),
        ("number", "found a number by itself"),
        ("list", "found a list by itself"),
        ("table", "found a table of epoch, note"),
        ("old", r"an old PyTorch \(before 1\.6\)"),
    ],
)
async def test_what_is_no_model_is_told_in_words(tmp_path: Path, what: str, found: str) -> None:
    import torch

    network = torch.nn.Conv2d(3, 4, 1)
    content: Any = {
        "state": network.state_dict(),
        "inner": {"model": network.state_dict(), "epoch": 3},
        "tensor": torch.zeros(3),
        "number": 3,
        "list": [1, 2],
        "table": {"epoch": 3, "note": "x"},
        "old": network.state_dict(),
    }[what]
    path = tmp_path / "w.pt"
    torch.save(content, path, _use_new_zipfile_serialization=what != "old")
    with pytest.raises(InvalidModelError, match=found) as refusal:
        await import_weights(create_memory_stores(), path, "model")
    assert not re.search(r"_rebuild|OrderedDict|a dict\b|torch\._|\bint\b", str(refusal.value))
