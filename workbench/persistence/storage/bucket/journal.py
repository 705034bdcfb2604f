"""What a commit does to a bucket: worked out beforehand, written down, carried out."""

from __future__ import annotations

import logging
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from workbench.errors import AlreadyExistsError, BusyError, ConflictError, NotFoundError
from workbench.persistence.storage.base import (
    Append,
    Change,
    Copy,
    Move,
    Remove,
    Staged,
    Stamp,
    Write,
)
from workbench.persistence.storage.bucket.objects import Found, Objects, Tag
from workbench.persistence.storage.keys import RESERVED, check_key, parts_of
from workbench.persistence.yolo.names import HIDDEN

TX = f"{HIDDEN}/tx"
_LARGE = 1 << 20
"""Bytes that a service does not copy in no time."""

_log = logging.getLogger(__name__)

T = TypeVar("T")
Run = Callable[[Iterable[Callable[[], None]]], None]
"""Calls all, several at once, and returns when all have returned."""


@dataclass(frozen=True, slots=True)
class Value:
    """What a key shall hold.

    Parameters
    ----------
    size : int
    data : bytes or None
        The bytes themselves.
    path : str
        Else the object to copy: a staged one, or that of another key.
    tag : str
        Of another key's object as it has to be; if it is another by now, it was copied before.
    over : Tag, optional
        Of what the bytes replace, if whoever decided on them has read that. Then a request that
        a machine took to sleep with it replaces nothing that others have written meanwhile.
    """

    size: int
    data: bytes | None = None
    path: str = ""
    tag: str = ""
    over: Tag | None = None


@dataclass(frozen=True, slots=True)
class Journal:
    """A commit that has happened, and may not be where it belongs yet; None: nothing is there."""

    id: str
    values: Mapping[str, Value | None]

    def to_json(self) -> dict[str, Any]:
        """Return what `of` reads."""
        return {
            "id": self.id,
            "gone": [key for key, value in self.values.items() if value is None],
            "values": [
                [key, value.size, value.path, value.tag]
                if value.data is None
                else [key, b64encode(value.data).decode(), *([value.over] if value.over else [])]
                for key, value in self.values.items()
                if value is not None
            ],
        }

    @classmethod
    def of(cls, content: Any) -> Journal:
        """Read one, which may be a stranger's: it can name nothing but what a commit could."""
        values: dict[str, Value | None] = {str(key): None for key in content["gone"]}
        for key, *rest in content["values"]:
            if len(rest) < 3:
                data = b64decode(rest[0], validate=True)
                values[str(key)] = Value(len(data), data, over=_tag(*rest[1:]))
            else:
                size, path, tag = rest
                _check_source(str(path), str(tag))
                values[str(key)] = Value(int(size), None, str(path), str(tag))
        for key in values:
            check_key(key)
        return cls(str(content["id"]), values)

    def carry_out(self, quick: Objects, patient: Objects, run: Run, *, again: bool) -> None:
        """Bring everything where it belongs; again, if somebody may have begun to.

        Copies of other keys come first, so a source that has changed says that they were made.
        """

        def copying(key: str, value: Value) -> Callable[[], None]:
            objects = quick if value.size < _LARGE else patient
            return _copying(objects, value, key, again)

        values = self.values.items()
        run([copying(key, value) for key, value in values if value is not None and value.tag])
        puts: list[Callable[[], None]] = []
        for key, value in values:
            if value is None or value.tag:
                continue
            if value.data is None:
                puts.append(copying(key, value))
            else:
                puts.append(_putting(quick, key, value.data, value.over))
        gone = [key for key, value in values if value is None]
        run([*puts, lambda: quick.delete(gone)] if gone else puts)


def _check_source(path: str, tag: str) -> None:
    if tag:
        check_key(path)
    elif parts_of(path)[:2] != TX.split("/"):
        raise ValueError(f"{path!r} where a staged object should be")


def _copying(objects: Objects, value: Value, key: str, again: bool) -> Callable[[], None]:
    def copy() -> None:
        if again and value.tag:
            found = objects.head(value.path)
            if found is None or found.tag != value.tag:
                return
        if not objects.copy(value.path, key) and not again:
            _log.warning("%s was removed by somebody else, and could not be moved", value.path)

    return copy


def _tag(content: Sequence[Any] = ()) -> Tag | None:
    if not content:
        return None
    e_tag, version = content
    return Tag(str(e_tag), None if version is None else str(version))


def _putting(objects: Objects, key: str, data: bytes, over: Tag | None) -> Callable[[], None]:
    known = over

    def put() -> None:
        nonlocal known
        found = None
        if known is not None:
            found = objects.put_over(key, data, known)
            if found is None:
                return
        if known is None or found == known:  # nor is this a condition that the service knows
            objects.put(key, data)
            return
        known = found
        # The commit has happened, so it goes over what another program wrote in that moment.
        raise BusyError(f"{key}: expected nobody else to write it, found that another program did")

    return put


Need = tuple[str, str]
"""What has to be looked up, and of which key: ``head``, ``below`` or ``body``."""


def needs(changes: Sequence[Change]) -> set[Need]:
    """Return what has to be known before changes can be planned; raises if a key is none."""
    found: set[Need] = set()
    for change in changes:
        match change:
            case Copy(source, target) | Move(source, target):
                keys = [source, target]
            case Write(key) | Append(key) | Remove(key):
                keys = [key]
        for key in keys:
            check_key(key)
        if isinstance(change, Append):
            found.add(("body", change.key))
        elif isinstance(change, Copy):
            found.add(("head", change.source))
        elif isinstance(change, Move | Remove) or change.if_absent:
            found |= {(kind, key) for key in keys for kind in ("head", "below")}
        elif change.if_stamp is not None:
            found.add(("head", change.key))
    return found


class Plan:
    """Changes made one after the other, on paper.

    Parameters
    ----------
    where : str
    known : mapping
        What `needs` asked for.
    read : callable
        Returns the bytes of an object.
    """

    def __init__(
        self, where: str, known: Mapping[Need, Any], read: Callable[[str], bytes | None]
    ) -> None:
        self._where = where
        self._known = known
        self._read = read
        self._there: dict[str, Found] = {}
        for (kind, _), found in known.items():
            for one in found if kind == "below" else [found] if kind == "head" and found else []:
                self._there[one.path] = one
        self.values: dict[str, Value | None] = {}

    def finish(self, met: Mapping[str, Tag | None]) -> dict[str, Value | None]:
        """Return what each key shall hold, without those that stay as they are.

        Parameters
        ----------
        met : mapping
            Which objects were read before this was decided.
        """
        return {
            key: value if value is None or value.data is None else replace(value, over=met.get(key))
            for key, value in self.values.items()
            if value is None or not value.tag or value.path != key
        }

    def make(self, change: Change) -> None:
        """Make one change."""
        match change:
            case Write(key, data, if_stamp, if_absent):
                if if_stamp is not None:
                    self._require_stamp(key, if_stamp)
                if if_absent:
                    self._require_free(key)
                if isinstance(data, Staged):
                    self.values[key] = Value(data.size, None, data.token)
                else:
                    self.values[key] = Value(len(data), bytes(data))
            case Copy(source, target):
                self.values[target] = self._value(source)
            case Append(key, data):
                whole = (self._body(key) or b"") + data
                self.values[key] = Value(len(whole), whole)
            case Remove(key):
                for found in self._at_or_below(key):
                    self._take(found)
            case Move(source, target):
                moved = self._at_or_below(source)
                if not moved:
                    raise self._missing(source)
                self._require_free(target)
                taken = [(target + key[len(source) :], self._take(key)) for key in moved]
                self.values.update(taken)

    def _is(self, key: str) -> bool:
        if key in self.values:
            return self.values[key] is not None
        return self._known["head", key] is not None

    def _at_or_below(self, key: str) -> list[str]:
        if self._is(key):
            return [key]
        there = [one.path for one in self._known["below", key] if one.path not in self.values]
        made = [k for k, value in self.values.items() if value and k.startswith(f"{key}/")]
        return there + made

    def _take(self, key: str) -> Value:
        """Let nothing be at a key; return what was."""
        found = self._there.get(key)
        value = self.values.pop(key, None)
        if found is not None:
            self.values[key] = None
            value = value or Value(found.size, None, key, found.tag)
        assert value is not None
        return value

    def _value(self, key: str) -> Value:
        """Return what is at a key, and stays there."""
        if key in self.values:
            value = self.values[key]
        else:
            found: Found | None = self._known["head", key]
            value = None if found is None else Value(found.size, None, key, found.tag)
        if value is None:
            raise self._missing(key)
        return value

    def _missing(self, key: str) -> NotFoundError:
        return NotFoundError(f"{self._where}/{key} is not there: deleted or renamed meanwhile?")

    def _body(self, key: str) -> bytes | None:
        if key not in self.values:
            found: bytes | None = self._known["body", key]
            return found
        value = self.values[key]
        if value is None:
            return None
        return self._read(value.path) if value.data is None else value.data

    def _require_stamp(self, key: str, stamp: Stamp) -> None:
        found = None if key in self.values else self._known["head", key]
        if found is None or found.tag != stamp:
            raise ConflictError(
                f"{self._where}/{key}: somebody else has changed it meanwhile; get it again"
            )

    def _require_free(self, key: str) -> None:
        if self._at_or_below(key):
            raise AlreadyExistsError(f"{self._where}/{key} exists already")


def is_reserved(path: str) -> bool:
    """Whether an object is one of ours that no key leads to."""
    return "/".join(path.split("/")[:2]) in RESERVED
