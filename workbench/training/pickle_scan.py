"""What a pickle would import, found without running any of it.

A weights file of torch is a zip with a pickle in it, and a pickle is a small program: it
names functions and calls them with what it likes. This reads the program's instructions
(``pickletools``, the format's own description in the standard library) and lists every
name that it would fetch from a module. Nothing can be called that was not fetched so.
"""

from __future__ import annotations

import io
import pickletools
import zipfile
from collections.abc import Iterator
from pathlib import Path

from workbench.errors import InvalidModelError

_STRINGS = {
    "SHORT_BINUNICODE",
    "BINUNICODE",
    "BINUNICODE8",
    "UNICODE",
    "STRING",
    "BINSTRING",
    "SHORT_BINSTRING",
}
_STORES = {"PUT", "BINPUT", "LONG_BINPUT"}
_RECALLS = {"GET", "BINGET", "LONG_BINGET"}
_LARGEST_PICKLE = 256 * 2**20
UNKNOWN = "(a name that is made up while it runs)"


def imported_names(path: Path) -> set[str]:
    """Return all names that loading a weights file would import, as ``module.name``.

    Raises
    ------
    InvalidModelError
        If the file is no weights file, or damaged.
    """
    names: set[str] = set()
    for program in _programs(path):
        try:
            names.update(_names_in(program))
        except (ValueError, EOFError, IndexError, UnicodeDecodeError) as error:
            raise InvalidModelError(
                f"{path}: expected weights of Ultralytics, found a file that is damaged or "
                f"something else ({error}); get it again"
            ) from error
    return names


def _programs(path: Path) -> Iterator[bytes]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = [m for m in archive.infolist() if not m.is_dir()]
            pickles = [m for m in members if m.filename.endswith(".pkl")]
            code = [m.filename for m in members if "/code/" in f"/{m.filename}"]
            if code or not pickles:
                what = "a TorchScript archive" if code else "a zip without a pickle"
                raise InvalidModelError(
                    f"{path}: expected weights of Ultralytics (best.pt), found {what}"
                )
            for member in pickles:
                if member.file_size > _LARGEST_PICKLE:
                    raise InvalidModelError(
                        f"{path}: {member.filename} would unpack to {member.file_size} bytes, "
                        "far more than a model's description needs"
                    )
                yield archive.read(member)
    except zipfile.BadZipFile as error:
        # Before version 1.6, torch wrote bare pickles, which nobody exchanges any more.
        raise InvalidModelError(
            f"{path}: expected weights of Ultralytics, a zip as torch writes it, found something "
            "else or a file that was cut off; get it again"
        ) from error


def _names_in(program: bytes) -> Iterator[str]:
    stream = io.BytesIO(program)
    while stream.tell() < len(program):
        yield from _names_in_one(stream)


def _names_in_one(stream: io.BytesIO) -> Iterator[str]:
    """Yield the names of one pickle; several may stand behind each other."""
    last: list[str | None] = []  # what the latest instructions have put on the stack
    memory: dict[int, str | None] = {}
    for opcode, argument, _ in pickletools.genops(stream):
        name = opcode.name
        if name in {"GLOBAL", "INST"}:
            yield str(argument).replace(" ", ".", 1)
            last.append(None)
        elif name == "STACK_GLOBAL":
            module, attribute = last[-2:] if len(last) >= 2 else (None, None)
            yield UNKNOWN if module is None or attribute is None else f"{module}.{attribute}"
            last.append(None)
        elif name in {"EXT1", "EXT2", "EXT4"}:  # a number that stands for a name elsewhere
            yield UNKNOWN
            last.append(None)
        elif name in _STRINGS:
            last.append(str(argument))
        elif name == "MEMOIZE":
            memory[len(memory)] = last[-1] if last else None
        elif name in _STORES:
            memory[int(str(argument))] = last[-1] if last else None
        elif name in _RECALLS:
            last.append(memory.get(int(str(argument))))
        elif name not in {"PROTO", "FRAME"}:
            # Whatever else this does: what stands on top now is no text known here.
            last.append(None)
