"""A weights file is a program: one that does more than a model needs is not run."""

from __future__ import annotations

import hashlib
import os
import pickle
import zipfile
from pathlib import Path

import pytest

from tests.helpers.training import TINY, Trained, make_shapes, poisoned
from workbench.errors import InvalidModelError, NotFoundError
from workbench.persistence import Stores
from workbench.training.config import TrainingConfig
from workbench.training.runner import TrainingRunner
from workbench.training.weights_check import check_weights, import_weights, rewritten_weights
from workbench.weights.program import UNKNOWN


class Touch:
    """Pickles as a call of ``os.system`` that makes a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.target}",)


def archive(path: Path, program: bytes, name: str = "archive/data.pkl") -> Path:
    """A zip as torch writes it, with a pickle in it."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(name, program)
        file.writestr("archive/version", "3\n")
    return path


@pytest.mark.parametrize("protocol", range(6))
def test_code_is_found_in_every_protocol_of_pickle(tmp_path: Path, protocol: int) -> None:
    target = tmp_path / "touched"
    program = pickle.dumps({"model": Touch(target)}, protocol)
    report = check_weights(archive(tmp_path / "bad.pt", program))
    assert [name.split(".")[-1] for name in report.suspicious] == ["system"]
    assert not report.is_harmless
    assert not target.exists()


def test_a_name_that_is_put_together_while_it_runs_is_suspicious(tmp_path: Path) -> None:
    # The module's name comes out of a call, where no reader of the program can see it.
    program = b"\x80\x04(\x8c\x02os\x94c_codecs\nencode\n\x8c\x06system\x93."
    report = check_weights(archive(tmp_path / "bad.pt", program))
    assert UNKNOWN in report.suspicious


def test_a_name_from_the_memory_is_followed(tmp_path: Path) -> None:
    program = b"\x80\x04\x8c\x02os\x94\x8c\x06system\x940" + b"0h\x00h\x01\x93."
    assert check_weights(archive(tmp_path / "bad.pt", program)).suspicious == ["os.system"]


def test_a_second_pickle_behind_the_first_is_refused(tmp_path: Path) -> None:
    program = pickle.dumps({}) + pickle.dumps(Touch(tmp_path / "touched"))
    with pytest.raises(InvalidModelError, match=r"bad\.pt: .* behind the end of its pickle"):
        check_weights(archive(tmp_path / "bad.pt", program))


def test_what_training_writes_is_harmless(trained: Trained) -> None:
    assert check_weights(trained.run.path / "weights" / "best.pt").is_harmless


@pytest.mark.parametrize("length", [0, 10, 5000])
def test_a_file_that_was_cut_off_is_refused(trained: Trained, tmp_path: Path, length: int) -> None:
    content = (trained.run.path / "weights" / "best.pt").read_bytes()
    (tmp_path / "cut.pt").write_bytes(content[:length])
    with pytest.raises(InvalidModelError, match=r"cut\.pt: expected weights of Ultralytics"):
        check_weights(tmp_path / "cut.pt")


def test_other_files_are_refused(tmp_path: Path) -> None:
    archive(tmp_path / "script.pt", b"", name="archive/code/x.py")
    with pytest.raises(InvalidModelError, match="a TorchScript archive"):
        check_weights(tmp_path / "script.pt")
    with pytest.raises(NotFoundError, match="no weights file"):
        check_weights(tmp_path / "nothing.pt")
    archive(tmp_path / "broken.pt", b"\x80\x04\x8c\xff")
    with pytest.raises(InvalidModelError, match="its end missing"):
        check_weights(tmp_path / "broken.pt")


async def test_weights_come_into_the_store_with_what_they_say_of_themselves(
    trained: Trained, persistence_stores: Stores
) -> None:
    path = trained.run.path / "weights" / "best.pt"
    info = await import_weights(persistence_stores, path, "colleague")
    assert (info.name, info.class_names) == ("colleague", ["square", "disc"])
    assert (info.base_model, info.epochs_completed) == ("yolo11n.yaml", 2)
    assert set(info.metrics) == {"best_map50", "best_map50_95", "precision", "recall"}
    assert info.details == {"imported_from": str(path), "suspicious": []}
    assert info.path.read_bytes() == path.read_bytes()


async def test_a_strangers_code_is_not_run_without_an_explicit_yes(
    trained: Trained, persistence_stores: Stores, tmp_path: Path
) -> None:
    target = tmp_path / "touched"
    path = poisoned(trained, tmp_path, target)
    with pytest.raises(InvalidModelError, match=r"holds code .*posix\.system.* trust=True"):
        await import_weights(persistence_stores, path, "stranger")
    await make_shapes(persistence_stores)
    runner = TrainingRunner(persistence_stores, tmp_path / "runs")
    with pytest.raises(InvalidModelError, match=r"posix\.system"):
        await runner.start(TrainingConfig(**{**TINY, "base_model": str(path)}))
    assert not target.exists()
    assert await persistence_stores.model.list() == []
    assert not (tmp_path / "runs").exists()
    # The file is what it claims to be: with a yes, it does it.
    info = await import_weights(persistence_stores, path, "stranger", trust=True)
    assert target.exists()
    assert info.details["suspicious"] == ["posix.system"]
    # What came of it is loaded from now on, and the code is not run again.
    target.unlink()
    found = rewritten_weights(info.path)
    assert found.trusted
    assert found.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert not target.exists()


async def test_a_yes_is_for_these_bytes_and_for_this_machine(
    trained: Trained, persistence_stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "mine"))
    target = tmp_path / "touched"
    path = poisoned(trained, tmp_path, target)
    info = await import_weights(persistence_stores, path, "stranger", trust=True)
    assert rewritten_weights(info.path).trusted
    target.unlink()
    # Whoever has a copy of the models folder is asked again, whatever it says of itself, and
    # although what was made of the file when somebody else said yes is still there.
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    claims = {"trusted": True, "trusted_sha256": digest}
    await persistence_stores.model.update_details("stranger", claims)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "theirs"))
    with pytest.raises(InvalidModelError, match=r"posix\.system"):
        rewritten_weights(info.path)
    await make_shapes(persistence_stores)
    runner = TrainingRunner(persistence_stores, tmp_path / "runs")
    with pytest.raises(InvalidModelError, match=r"posix\.system"):
        await runner.start(TrainingConfig(**{**TINY, "base_model": "stranger"}))
    assert not target.exists()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "mine"))
    assert rewritten_weights(info.path).trusted
    info.path.write_bytes(info.path.read_bytes() + b"\0")
    with pytest.raises(InvalidModelError, match="end record"):
        rewritten_weights(info.path)
    harmless = trained.run.path / "weights" / "best.pt"
    unasked = await import_weights(persistence_stores, harmless, "colleague", trust=True)
    assert not rewritten_weights(unasked.path).trusted
    yes = (tmp_path / "mine" / "workbench" / "trusted-weights.txt").read_text()
    assert yes.splitlines() == [f"{digest} {yes.split()[1]} {path}"]
