"""What errors become on their way to the client."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from workbench import errors
from workbench.api.problems import Scrubber, kind_of, problem_of
from workbench.datasets.query import QueryError

SCRUB = Scrubber([Path("/home/ann/data"), "s3://bucket/models/"])


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (errors.AlreadyExistsError("x"), 409, "already-exists"),
        (errors.ClassesInUseError("x"), 409, "classes-in-use"),
        (errors.LossySaveError("x"), 409, "lossy-save"),
        (errors.LabelFormatError("a.txt", 3, "x"), 409, "label-format"),
        (errors.InvalidNameError("x"), 422, "invalid-name"),
        (errors.InvalidBoxError("x"), 422, "invalid-box"),
        (errors.InvalidDatasetError("x"), 422, "invalid-dataset"),
        (errors.ArchiveError("x"), 422, "archive"),
        (errors.InvalidModelError("x"), 422, "invalid-model"),
        (errors.InvalidConfigError("x"), 422, "invalid-config"),
        (QueryError("x", "y"), 422, "query"),
        (errors.NotFoundError("x"), 404, "not-found"),
        (FileNotFoundError("x"), 404, "file-not-found"),
        (errors.ConflictError("x"), 412, "conflict"),
        (errors.ReadOnlyError("x"), 403, "read-only"),
        (PermissionError("x"), 403, "permission"),
        (errors.NotStartedError("x"), 503, "not-started"),
        (errors.BusyError("x"), 503, "busy"),
        (errors.SetupError("x"), 503, "setup"),
        (errors.FetchError("x"), 502, "fetch"),
        (errors.TrainingError("x"), 409, "training"),
        (ValueError("x"), 422, "value"),
        (OSError(errno.ENOSPC, "No space left on device"), 507, "disk-full"),
        (OSError(errno.EIO, "Input/output error"), 500, "internal"),
        (RuntimeError("x"), 500, "internal"),
    ],
)
def test_the_table(error: Exception, status: int, kind: str) -> None:
    body = problem_of(error, SCRUB)
    assert (body["status"], body["type"]) == (status, f"urn:workbench:{kind}")
    assert body["title"]
    assert body["detail"]


def test_every_error_of_ours_is_in_the_table() -> None:
    ours = [
        one
        for one in vars(errors).values()
        if isinstance(one, type) and issubclass(one, errors.WorkbenchError)
        and one is not errors.WorkbenchError
    ]  # fmt: skip
    assert len(ours) > 10
    for family in ours:
        error = family("x", 0, "y") if family is errors.LabelFormatError else family("x")
        assert problem_of(error, SCRUB)["status"] < 500 or family.__name__ in {
            "BusyError", "FetchError", "NotStartedError", "SetupError", "StorageError",
            "UnreachableError",
        }, family  # fmt: skip
        assert kind_of(error)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/home/ann/data/pets/labels/train/a.txt, line 3: x", "pets/labels/train/a.txt, line 3: x"),
        ("there is no folder /home/ann/data", "there is no folder the server's folder"),
        ("s3://bucket/models/cats/weights.pt is not there", "cats/weights.pt is not there"),
        ("model 'x' is not in s3://bucket/models", "model 'x' is not in the server's folder"),
        ("see '/var/lib/x/y.pt' or /tmp/z", "see 'y.pt' or /tmp/z".replace("/tmp/z", "z")),
        ('"C:\\Users\\ann\\best.pt" is damaged', '"best.pt" is damaged'),
        ("train/a.jpg and val/b.jpg, 3/4 of 1 / 2", "train/a.jpg and val/b.jpg, 3/4 of 1 / 2"),
        (
            "choose one with `await get_model_store().set_active(name)`",
            "choose one with PUT /active-model",
        ),
        (
            "1000 times; if that is right, pass limits=ArchiveLimits(max_ratio=...)",
            "1000 times; send it in parts, or import it in a notebook",
        ),
        (
            "what it does, import it with trust=True",
            "what it does, import it in a notebook: over HTTP nothing that holds code is taken",
        ),
        (
            "/home/ann/data/upload-0123456789abcdef.pt: it holds code",
            "the uploaded weights: it holds code",
        ),
        ("upload-0123456789abcdef/a/b.txt, line 3", "a/b.txt, line 3"),
        ("urn:workbench:x and https://example.org/a/b", None),
        ("application/json or image/png", None),
    ],
)
def test_folders_are_taken_out_and_nothing_else(text: str, shown: str | None) -> None:
    assert SCRUB.text(text) == (text if shown is None else shown)


def test_values_that_json_lacks() -> None:
    value = {"/etc/x": [1, 2.5, float("nan"), float("inf"), None, True, Path("/etc/y/z")]}
    assert SCRUB.value(value) == {"x": [1, 2.5, None, None, None, True, "z"]}
