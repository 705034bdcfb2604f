"""What panels say of errors."""

from __future__ import annotations

import errno
import logging
import os

import pytest

from workbench.errors import NotFoundError
from workbench.panels.shared.status import StoppedError, in_words


@pytest.mark.parametrize(
    "error",
    [
        NotFoundError("no cup"),
        ValueError("no cup"),
        StoppedError("no cup"),
        RuntimeError("no cup"),
        TimeoutError("no cup"),
    ],
)
def test_what_has_words_keeps_them(error: Exception) -> None:
    assert in_words(error) == "no cup"


def test_what_the_system_refuses_is_said_without_its_numbers() -> None:
    code = errno.EACCES
    said = in_words(OSError(code, os.strerror(code), "/data/cups/a.txt"))
    assert "Errno" not in said
    assert "/data/cups/a.txt" in said
    assert "expected permission to do this" in said


@pytest.mark.parametrize("error", [KeyError("cup"), AssertionError(), ValueError()])
def test_a_fault_is_said_to_be_ours_and_stands_in_the_log(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        said = in_words(error)
    assert type(error).__name__ not in said
    assert "fault of Workbench" in said
    assert caplog.records[-1].exc_info is not None
    assert caplog.records[-1].exc_info[1] is error
