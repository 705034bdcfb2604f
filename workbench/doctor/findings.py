"""What the doctor says, and how it is laid out on a terminal."""

from __future__ import annotations

import shutil
import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


class Status(Enum):
    """How much a finding matters."""

    OK = "ok"
    NOTE = "note"
    """Works, with a limit that is good to know."""
    PROBLEM = "problem"
    """Something of Workbench does not work on this machine."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Parameters
    ----------
    status : Status
        How much it matters.
    topic : str
        What was looked at, in a word or two.
    text : str
        What was found.
    remedy : str
        What to do about it; every problem has one.
    shared : str
        What a report says in place of both, where they tell names or contents; empty: the same.
    """

    status: Status
    topic: str
    text: str
    remedy: str = ""
    shared: str = ""

    def __post_init__(self) -> None:
        if self.status is Status.PROBLEM and not self.remedy:
            raise ValueError(f"The problem {self.text!r} needs a remedy")


def report(findings: Sequence[Finding], width: int | None = None) -> str:
    """Lay the findings out as aligned lines with a closing count.

    Parameters
    ----------
    findings : sequence of Finding
        What was found, in order.
    width : int, optional
        Columns to use; those of the terminal, at most 100, if left out.
    """
    columns = min(shutil.get_terminal_size().columns, 100) if width is None else width
    topics = max((len(finding.topic) for finding in findings), default=0)
    indent = " " * (len("problem") + topics + 4)
    lines: list[str] = []
    for finding in findings:
        head = f"{finding.status.value:<7}  {finding.topic:<{topics}}  "
        lines += _wrap(finding.text, columns, head, indent)
        if finding.remedy:
            lines += _wrap(finding.remedy, columns, indent + "-> ", indent + "   ")
    count = Counter(finding.status for finding in findings)
    lines += ["", f"Problems: {count[Status.PROBLEM]}. Notes: {count[Status.NOTE]}."]
    return "\n".join(lines)


def _wrap(text: str, columns: int, first: str, rest: str) -> list[str]:
    # Commands and paths in remedies must survive copying: never cut inside a word.
    return textwrap.wrap(
        text,
        columns,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
