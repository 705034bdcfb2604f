"""What a pickle says, without doing any of it.

A pickle is a program for a small machine with a stack. This is such a machine, which has no
way to run anything: where the program names a class or a function it gets a `Named`, and
where it calls one it gets a `Made`, which is a note of the call. Plain data (numbers, text,
lists, dicts) come out as they are.

One pass over the bytes, with bounds on their length, on the number of instructions and on
what may be a key, so that no pickle takes longer than its length says.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from workbench.weights.names import CLASSES, GETATTR, INTERPOLATION, METHODS, is_known

MAX_BYTES = 8 * 2**20
"""Of a pickle. Those of the largest models have about 0.6 MB."""
MAX_INSTRUCTIONS = 1_000_000
"""In a pickle. Those of the largest models have about 300,000."""
UNKNOWN = "(a name that is made up while it runs)"

_MAX_WHOLE_NUMBER = 64
"""Bytes of a whole number."""
_MAX_DIGITS = 128
_MAX32 = 0xFFFFFFFF


class ProgramError(ValueError):
    """A pickle that is damaged, or beyond the bounds; says what was found."""


class Named:
    """A class or function that the program names."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


class Made:
    """What calling something would have made.

    Attributes
    ----------
    name : str
        Of what would have been called.
    arguments : tuple
    state : object
        What it would have been filled with afterwards; None if nothing.
    """

    __slots__ = ("arguments", "name", "state")

    def __init__(self, name: str, arguments: tuple[Any, ...]) -> None:
        self.name = name
        self.arguments = arguments
        self.state: Any = None


class Stored:
    """Something that lies outside the pickle: with torch, the numbers of a tensor."""

    __slots__ = ("id",)

    def __init__(self, identity: Any) -> None:
        self.id = identity


class Ordered(dict[Any, Any]):
    """A dict that was an ``OrderedDict``."""


class Program:
    """A pickle, followed to its end.

    Parameters
    ----------
    data : bytes
        The whole of it; anything behind its end is an error.

    Attributes
    ----------
    result : object
        What it makes, of plain data and `Named`, `Made`, `Stored`.
    unknown : set of str
        Names in it, as ``module.name``, that no model needs.

    Raises
    ------
    ProgramError
    """

    def __init__(self, data: bytes) -> None:
        if len(data) > MAX_BYTES:
            raise ProgramError(
                f"a pickle of {len(data):,} bytes (a model's description needs far less than "
                f"{MAX_BYTES:,})"
            )
        self.unknown: set[str] = set()
        self._data = data
        self._at = 0
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memory: dict[int, Any] = {}
        self._named: dict[str, Named] = {}
        try:
            self.result = self._run()
        except (IndexError, KeyError, struct.error, UnicodeDecodeError, OverflowError) as error:
            raise ProgramError(f"a pickle that is damaged at byte {self._at}") from error
        except ValueError as error:
            raise ProgramError(f"a pickle with {error}, at byte {self._at}") from error
        if self._at != len(data):
            raise ProgramError(f"{len(data) - self._at} more bytes behind the end of its pickle")

    def _run(self) -> Any:
        data, stack = self._data, self._stack
        for _ in range(MAX_INSTRUCTIONS):
            code = data[self._at]
            self._at += 1
            if code == _STOP:
                return stack.pop()
            _INSTRUCTIONS[code](self)
        raise ValueError(f"more than {MAX_INSTRUCTIONS:,} instructions")

    # Reading

    def _take(self, length: int) -> bytes:
        piece = self._data[self._at : self._at + length]
        if len(piece) != length:
            raise ValueError("its end missing")
        self._at += length
        return piece

    def _take_number(self, form: struct.Struct) -> Any:
        return form.unpack(self._take(form.size))[0]

    def _take_line(self) -> str:
        end = self._data.index(b"\n", self._at)
        line = self._data[self._at : end]
        self._at = end + 1
        return line.decode()

    # The stack

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _since_mark(self) -> list[Any]:
        start = self._marks.pop()
        values = self._stack[start:]
        del self._stack[start:]
        return values

    def _pop(self) -> Any:
        if self._marks and len(self._stack) <= self._marks[-1]:
            raise ValueError("a stack that is empty")
        return self._stack.pop()

    def _top(self) -> Any:
        return self._stack[-1]

    # Names and calls

    def _name(self, module: Any, name: Any) -> Named:
        if not isinstance(module, str) or not isinstance(name, str):
            return self._note(UNKNOWN)
        whole = f"{module}.{name}"
        found = self._named.get(whole)
        if found is None:
            found = self._named[whole] = Named(whole)
            if not is_known(whole) and whole not in GETATTR:
                self.unknown.add(whole)
        return found

    def _note(self, name: str) -> Named:
        self.unknown.add(name)
        return Named(name)

    def _call(self, called: Any, arguments: Any) -> Any:
        if not isinstance(arguments, tuple):
            raise ValueError("a call without arguments")
        if not isinstance(called, Named):
            return Made(self._note(UNKNOWN).name, arguments)
        name = called.name
        if name == "collections.OrderedDict" and not arguments:
            return Ordered()
        if name in GETATTR and not _is_method(arguments):
            self.unknown.add(name)
        return Made(name, arguments)

    def _reduce(self) -> None:
        arguments = self._pop()
        self._push(self._call(self._pop(), arguments))

    def _new_with_names(self) -> None:
        named, arguments = self._pop(), self._pop()
        if named:
            self._note(UNKNOWN)
        self._push(self._call(self._pop(), arguments))

    def _instance(self) -> None:
        module, name = self._take_line(), self._take_line()
        self._push(self._call(self._name(module, name), tuple(self._since_mark())))

    def _object(self) -> None:
        called, *arguments = self._since_mark()
        self._push(self._call(called, tuple(arguments)))

    def _global(self) -> None:
        module, name = self._take_line(), self._take_line()
        self._push(self._name(module, name))

    def _stack_global(self) -> None:
        name = self._pop()
        self._push(self._name(self._pop(), name))

    def _extension(self, width: int) -> None:
        self._take(width)
        self._push(self._note(UNKNOWN))

    def _build(self) -> None:
        state = self._pop()
        made = self._top()
        if isinstance(made, Ordered) and _is_without_meaning(state):
            return
        if not isinstance(made, Made) or made.state is not None:
            raise ValueError("a state for something that has none")
        made.state = state

    # Containers

    def _append(self, values: list[Any]) -> None:
        target = self._top()
        if not isinstance(target, list):
            raise ValueError("items for something that is no list")
        target.extend(values)

    def _set_items(self, values: list[Any]) -> None:
        target = self._top()
        if not isinstance(target, dict):
            raise ValueError("items for something that is no dict")
        target.update(_pairs(values))

    def _add_items(self, values: list[Any]) -> None:
        target = self._top()
        if not isinstance(target, set):
            raise ValueError("items for something that is no set")
        target.update(checked_key(value) for value in values)

    def _tuple(self, length: int) -> None:
        values = [self._pop() for _ in range(length)]
        self._push(tuple(reversed(values)))

    # The rest

    def _pop_one(self) -> None:
        if self._marks and self._marks[-1] == len(self._stack):
            self._marks.pop()
        else:
            self._stack.pop()

    def _pop_mark(self) -> None:
        self._since_mark()

    def _whole_number(self, length: int) -> None:
        if not 0 <= length <= _MAX_WHOLE_NUMBER:
            raise ValueError(f"a whole number of {length} bytes")
        self._push(int.from_bytes(self._take(length), "little", signed=True))

    def _take_digits(self) -> str:
        line = self._take_line()
        if len(line) > _MAX_DIGITS:
            raise ValueError(f"a number of {len(line)} digits")
        return line

    def _text_number(self) -> None:
        line = self._take_digits()
        self._push(line == "01" if line in ("00", "01") else int(line.removesuffix("L")))

    def _quoted(self) -> None:
        line = self._take_line()
        if len(line) < 2 or line[0] not in "'\"" or line[-1] != line[0]:
            raise ValueError("text without its quotation marks")
        self._push(line[1:-1])

    def _unicode_line(self) -> None:
        end = self._data.index(b"\n", self._at)
        line = self._data[self._at : end]
        self._at = end + 1
        self._push(line.decode("raw-unicode-escape"))

    def _remember(self, place: int) -> None:
        self._memory[place] = self._top()

    def _recall(self, place: int) -> None:
        self._push(self._memory[place])


def _is_method(arguments: tuple[Any, ...]) -> bool:
    """Whether ``getattr(*arguments)`` is a known layer's way of computing, or an interpolation."""
    if len(arguments) != 2 or not isinstance(arguments[1], str):
        return False
    owner, attribute = arguments
    if isinstance(owner, Named) and owner.name == INTERPOLATION:
        return str(attribute).isalpha() and str(attribute).isupper()
    if not isinstance(owner, Named | Made):
        return False
    return owner.name in CLASSES and attribute in METHODS


def _is_without_meaning(state: Any) -> bool:
    """Whether an ``OrderedDict`` is filled with nothing, or with torch's note of its layers."""
    return state is None or (isinstance(state, dict) and set(state) <= {"_metadata"})


def checked_key(value: Any) -> str | int | None:
    """Return what may be a key: text, a small whole number or None.

    Others could be chosen to collide, so that looking them up takes for ever.
    """
    if value is None or isinstance(value, str) or (isinstance(value, int) and abs(value) <= _MAX32):
        return value
    raise ValueError("a key that is neither text nor a small whole number")


def _pairs(values: list[Any]) -> list[tuple[Any, Any]]:
    if len(values) % 2:
        raise ValueError("a key without a value")
    return [(checked_key(key), value) for key, value in zip(values[::2], values[1::2], strict=True)]


_U1, _U2, _I4, _U4, _U8 = (struct.Struct(form) for form in ("<B", "<H", "<i", "<I", "<Q"))
_F8 = struct.Struct(">d")
_STOP = ord(".")
_Instruction = Callable[[Program], None]


def _text(form: struct.Struct, encoding: str = "utf-8") -> _Instruction:
    def run(p: Program) -> None:
        # Python's own reader lets lone surrogates through, and so does its writer.
        errors = "surrogatepass" if encoding == "utf-8" else "strict"
        p._push(p._take(p._take_number(form)).decode(encoding, errors))

    return run


def _bytes(form: struct.Struct) -> _Instruction:
    return lambda p: p._push(p._take(p._take_number(form)))


def _number(form: struct.Struct) -> _Instruction:
    return lambda p: p._push(p._take_number(form))


def _constant(value: Any) -> _Instruction:
    return lambda p: p._push(value)


def _frame(p: Program) -> None:
    p._take_number(_U8)


def _mark(p: Program) -> None:
    p._marks.append(len(p._stack))


def _unsupported(what: str) -> _Instruction:
    def run(p: Program) -> None:
        raise ValueError(what)

    return run


def _table() -> list[_Instruction]:
    """Return what each byte does (the names are those of `pickletools`)."""
    table: list[_Instruction] = [_unsupported("an unknown instruction")] * 256
    known: dict[bytes, _Instruction] = {
        b"\x80": lambda p: p._take_number(_U1),  # PROTO
        b"\x95": _frame,
        b"(": _mark,
        b"0": Program._pop_one,
        b"1": Program._pop_mark,
        b"2": lambda p: p._push(p._top()),  # DUP
        b"N": _constant(None),
        b"\x88": _constant(True),
        b"\x89": _constant(False),
        b"I": Program._text_number,
        b"L": Program._text_number,
        b"J": _number(_I4),
        b"K": _number(_U1),
        b"M": _number(_U2),
        b"\x8a": lambda p: p._whole_number(p._take_number(_U1)),  # LONG1
        b"\x8b": lambda p: p._whole_number(p._take_number(_I4)),  # LONG4
        b"F": lambda p: p._push(float(p._take_digits())),
        b"G": _number(_F8),
        b"S": Program._quoted,
        b"T": _text(_U4, "latin-1"),  # BINSTRING
        b"U": _text(_U1, "latin-1"),  # SHORT_BINSTRING
        b"V": Program._unicode_line,
        b"X": _text(_U4),
        b"\x8c": _text(_U1),
        b"\x8d": _text(_U8),
        b"B": _bytes(_U4),
        b"C": _bytes(_U1),
        b"\x8e": _bytes(_U8),
        b"\x96": _bytes(_U8),  # BYTEARRAY8
        b"]": lambda p: p._push([]),
        b"a": lambda p: p._append([p._pop()]),
        b"e": lambda p: p._append(p._since_mark()),
        b"l": lambda p: p._push(p._since_mark()),
        b")": _constant(()),
        b"t": lambda p: p._push(tuple(p._since_mark())),
        b"\x85": lambda p: p._tuple(1),
        b"\x86": lambda p: p._tuple(2),
        b"\x87": lambda p: p._tuple(3),
        b"}": lambda p: p._push({}),
        b"d": lambda p: p._push(dict(_pairs(p._since_mark()))),
        b"s": lambda p: p._set_items([p._pop(), p._pop()][::-1]),
        b"u": lambda p: p._set_items(p._since_mark()),
        b"\x8f": lambda p: p._push(set()),
        b"\x90": lambda p: p._add_items(p._since_mark()),
        b"\x91": lambda p: p._push(frozenset(checked_key(value) for value in p._since_mark())),
        b"c": Program._global,
        b"\x93": Program._stack_global,
        b"R": Program._reduce,
        b"b": Program._build,
        b"i": Program._instance,
        b"o": Program._object,
        b"\x81": Program._reduce,  # NEWOBJ
        b"\x92": Program._new_with_names,
        b"P": lambda p: p._push(Stored(p._take_line())),
        b"Q": lambda p: p._push(Stored(p._pop())),
        b"\x82": lambda p: p._extension(1),
        b"\x83": lambda p: p._extension(2),
        b"\x84": lambda p: p._extension(4),
        b"\x94": lambda p: p._remember(len(p._memory)),  # MEMOIZE
        b"p": lambda p: p._remember(int(p._take_digits()) & _MAX32),
        b"q": lambda p: p._remember(p._take_number(_U1)),
        b"r": lambda p: p._remember(p._take_number(_U4)),
        b"g": lambda p: p._recall(int(p._take_digits()) & _MAX32),
        b"h": lambda p: p._recall(p._take_number(_U1)),
        b"j": lambda p: p._recall(p._take_number(_U4)),
        b"\x97": _unsupported("a buffer outside it"),
        b"\x98": _unsupported("a buffer outside it"),
    }
    for byte, instruction in known.items():
        table[byte[0]] = instruction
    return table


_INSTRUCTIONS = _table()
