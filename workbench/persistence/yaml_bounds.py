"""What a YAML file from anybody may be: small, flat, and no larger when it is written out.

YAML can be short and mean a lot: a list that holds another twice, that holds another
twice, becomes gigabytes after thirty lines ("billion laughs"), and so does a long text
that a thousand places name. Reading it is cheap, but whoever writes or prints
it runs out of memory. So everything that an alias stands for is counted as if it stood there.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import yaml

MAX_BYTES = 2**20
"""Of a file, and of the same file with everything written out that its aliases stand for."""

MAX_DEPTH = 20
"""Levels of lists and mappings in each other."""

MAX_NODES = 100_000
"""Names, numbers, lists and mappings in a file; with 10,000 classes there are 20,000."""

MAX_DIGITS = 1_000
"""Of a number: one to the base of 60 (``1:30``), as YAML 1.1 has them, takes quadratic time."""

_OF_NUMBERS = frozenset("0123456789:_.+- \t\n")

# The C parser, where PyYAML was built with it, takes a tenth of the time.
Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

CONSTRUCTING = (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError, OverflowError)
"""What PyYAML raises for values that are not what their tag says, such as ``!!bool x``."""


class Problem(NamedTuple):
    """Why a file is refused, in the three parts of a message."""

    expected: str
    found: str
    remedy: str


def size_problem(size: int) -> Problem | None:
    """Return why a file of so many bytes is not read, None if it is."""
    if size <= MAX_BYTES:
        return None
    return Problem(f"at most {MAX_BYTES} bytes", f"{size}", "keep only the class names in it")


def where_of(error: Exception, text: str | bytes) -> str:
    """Return in which line a text is no YAML and why, in a few words, from what PyYAML raised."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"in line {error.problem_mark.line + 1}: {error.problem}"
    if isinstance(error, yaml.reader.ReaderError):
        before = text[: error.position]
        lines = before.count("\n") if isinstance(before, str) else before.count(b"\n")
        return f"in line {lines + 1}: bytes that are no text"
    return " ".join(str(error).split())


def problem_of(text: str | bytes, *, nested_aliases: bool = True) -> Problem | None:
    """Return why a file must not be built into values, None if it may be.

    Parameters
    ----------
    text : str or bytes
    nested_aliases : bool
        Whether aliases may stand for lists and mappings, too.

    Raises
    ------
    yaml.YAMLError
        If it is no YAML.
    """
    problem = size_problem(len(text))
    if problem is not None:
        return problem
    total = 0
    begun: list[tuple[str | None, int]] = []  # open lists and mappings: anchor, total before
    nested: set[str] = set()
    written_out: dict[str, int] = {}
    for number, event in enumerate(yaml.parse(text, Loader=Loader)):
        total += 1
        if number > MAX_NODES:
            return Problem(f"at most {MAX_NODES:,} names and numbers", "more", "simplify it")
        if isinstance(event, yaml.ScalarEvent):
            total += len(event.value)
            if len(event.value) > MAX_DIGITS and _OF_NUMBERS.issuperset(event.value):
                return Problem(f"numbers of at most {MAX_DIGITS:,} digits", "more", "shorten it")
            if event.anchor is not None:
                written_out[event.anchor] = len(event.value) + 1
        elif isinstance(event, yaml.CollectionStartEvent):
            begun.append((event.anchor, total - 1))
            if event.anchor is not None:
                nested.add(event.anchor)
            if len(begun) > MAX_DEPTH:
                return Problem(f"at most {MAX_DEPTH} levels", "more", "simplify it")
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = begun.pop()
            if anchor is not None:
                written_out[anchor] = total - before
        elif isinstance(event, yaml.AliasEvent):
            if not nested_aliases and event.anchor in nested:
                return Problem(
                    "no aliases of lists or mappings",
                    f"*{event.anchor}",
                    "write out what it stands for",
                )
            if any(anchor == event.anchor for anchor, _ in begun):
                return Problem(
                    "values that end", f"*{event.anchor} inside itself", "write out what is meant"
                )
            total += written_out.get(event.anchor or "", 0)
            if total > MAX_BYTES:
                return Problem(
                    f"at most {MAX_BYTES} bytes when its aliases are written out",
                    "more",
                    "write out what they stand for, once",
                )
    return None
