"""The exception tree."""

from __future__ import annotations

import errno
import inspect
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from workbench import errors
from workbench.doctor.report_file import write_report
from workbench.errors import LabelFormatError, SetupError, WorkbenchError
from workbench.persistence import link_consent
from workbench.persistence.cluster_consent import note_own_cluster
from workbench.weights import consent as weights_consent
from workbench.weights import rewriting

CLASSES = [
    cls
    for _, cls in inspect.getmembers(errors, inspect.isclass)
    if issubclass(cls, Exception) and cls is not WorkbenchError
]
BUILTINS = {
    "ValueError": ValueError,
    "FileNotFoundError": FileNotFoundError,
    "PermissionError": PermissionError,
    "TimeoutError": TimeoutError,
    "OSError": OSError,
    "ConnectionError": ConnectionError,
}


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_error_is_ours_and_the_builtin_that_the_tree_names(cls: type[Exception]) -> None:
    assert issubclass(cls, WorkbenchError)
    assert errors.__doc__ is not None
    (line,) = [ln for ln in errors.__doc__.splitlines() if f" {cls.__name__} " in ln]
    builtin = {**BUILTINS, "RuntimeError": RuntimeError}[line.split("(")[1].split(")")[0]]
    assert issubclass(cls, builtin)


def test_the_tree_names_no_error_that_is_not_there() -> None:
    assert errors.__doc__ is not None
    lines = [line for line in errors.__doc__.splitlines() if "── " in line]
    assert {line.split("── ")[1].split()[0] for line in lines} == {c.__name__ for c in CLASSES}


def test_a_label_error_says_where() -> None:
    assert str(LabelFormatError("a.txt", 3, "no number")) == "a.txt, line 3: no number"
    assert str(LabelFormatError(Path("a.txt"), 0, "is UTF-16")) == "a.txt: is UTF-16"


def test_errors_survive_the_way_between_processes() -> None:
    error = pickle.loads(pickle.dumps(LabelFormatError("a.txt", 3, "no number")))
    assert (error.path, error.line, error.problem) == ("a.txt", 3, "no number")
    assert str(error) == "a.txt, line 3: no number"
    gone = pickle.loads(pickle.dumps(errors.NotFoundError("no dataset 'x'")))
    assert str(gone) == "no dataset 'x'"


def test_no_number_of_the_system_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a folder should be lies a file, so that nothing can be written there."""
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(blocked))
    calls: list[Callable[[], object]] = [
        lambda: write_report(blocked / "report.txt", [], tmp_path),
        lambda: note_own_cluster("ray://here:1"),
        lambda: link_consent.trust("/data/ds", ["/elsewhere"]),
        lambda: weights_consent.trust("0" * 64, "weights"),
        lambda: rewriting._scratch(blocked / "cache").__enter__(),
    ]
    for call in calls:
        with pytest.raises(SetupError) as raised:
            call()
        assert "Errno" not in str(raised.value)
        assert os.strerror(errno.ENOTDIR) in str(raised.value)
