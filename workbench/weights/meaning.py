"""What a checkpoint's pickle means: plain data, tensors and layers, or nothing that is taken.

The answer is a list of *nodes*, each a short list of JSON types, that refer to each other by
their place: ``[3]`` is the node at place 3. A node refers to what stands before it, except
for lists, dicts and layers, which may hold each other.

    ["list", [...]]    ["tuple", [...]]   ["set", [...]]   ["dict", [key, value, ...]]
    ["ordered", [key, value, ...]]        ["bytes", base64]  ["complex", real, imaginary]
    ["slice", start, stop, step]          ["size", [...]]    ["dtype", name]  ["device", name]
    ["tensor", storage, offset, [sizes], [strides]]          ["parameter", tensor, needs_grad]
    ["layer", class, state]               ["class", name]    ["method", owner, name]
    ["namespace", state]                  ["interpolation", name]    ["value", text or number]
"""

from __future__ import annotations

import base64
import math
import re
import struct
from dataclasses import dataclass
from typing import Any

from workbench.errors import InvalidModelError
from workbench.weights.architecture import (
    ARCHITECTURE_KEYS,
    ArchitectureError,
    check_architecture,
)
from workbench.weights.names import (
    CLASSES,
    DTYPES,
    GETATTR,
    INTERPOLATION,
    LOSSES,
    METHODS,
    MODELS,
    NAMESPACES,
    PATHS,
    SCALARS,
    STORAGES,
)
from workbench.weights.program import Made, Named, Ordered, Stored, checked_key
from workbench.weights.words import STATE, content_of, is_tensors, kind_of, named

MAX_DEPTH = 200
"""Of things within things. The deepest models have about 20."""
MAX_TEXT = 2**21
"""Characters of all text together."""
MAX_ITEMS = 4_000_000
"""Of all containers together, each as often as it is used."""

SIZES = {
    "F64": 8,
    "I64": 8,
    "F32": 4,
    "I32": 4,
    "F16": 2,
    "BF16": 2,
    "I16": 2,
    "I8": 1,
    "U8": 1,
    "BOOL": 1,
}
"""Bytes of a number, by its kind as safetensors calls it."""

_FORMS = {"f8": "<d", "f4": "<f", "f2": "<e", "i8": "<q", "i4": "<i", "i2": "<h", "i1": "<b"}
_FORMS |= {"u8": "<Q", "u4": "<I", "u2": "<H", "u1": "<B", "b1": "<?"}
_BUILTIN = re.compile(r"(?:builtins|__builtin__)\.(\w+)")
# Not taken along: the loss of the training, which may hold half of a trainer.
_LEFT_OUT = frozenset({"criterion"})
# What comes of looking into a call that has not the arguments that torch writes.
_MISSHAPEN = (TypeError, ValueError, IndexError, KeyError, AttributeError, struct.error)
_HOOKS = re.compile(r"_\w*hooks(?:_with_kwargs|_always_called)?")


@dataclass(frozen=True, slots=True)
class Storage:
    """The numbers of one or more tensors.

    Parameters
    ----------
    key : str
        As the file calls them.
    kind : str
        A key of `SIZES`.
    count : int
    """

    key: str
    kind: str
    count: int


class Meaning:
    """A checkpoint as nodes.

    Parameters
    ----------
    checkpoint : object
        `Program.result`.
    where : str
        The file, for errors.
    trusted : bool
        Whether layers of any class are taken: somebody has said yes to this file.

    Attributes
    ----------
    nodes : list
    root : int
        Place of the checkpoint itself, a dict.
    storages : list of Storage

    Raises
    ------
    InvalidModelError
        If it holds something that no checkpoint of Ultralytics has, or is none.
    """

    def __init__(self, checkpoint: Any, where: str, *, trusted: bool = False) -> None:
        self._where = where
        self._trusted = trusted
        self._places: dict[int, int] = {}
        self._storage_places: dict[str, int] = {}
        self._text = 0
        self._elements = 0
        self._items_left = MAX_ITEMS
        self._alive: list[Any] = []  # what `_places` knows by its address
        self.nodes: list[list[Any]] = []
        self.storages: list[Storage] = []
        if not isinstance(checkpoint, dict):
            raise self._refusal("a checkpoint with a model in it", content_of(checkpoint))
        if checkpoint.get("modelopt"):
            raise self._refusal("a model that was not quantised for a device", "one that was")
        if not trusted:
            self._require_models(checkpoint)
        reference = self._take(checkpoint, 0)
        self.root = int(reference[0])
        self._check_elements()

    def _require_models(self, checkpoint: dict[Any, Any]) -> None:
        """Refuse a checkpoint whose models are not whole models with an architecture."""
        models = [checkpoint.get(key) for key in ("model", "ema")]
        for model in models:
            if model is None:
                continue
            is_model = isinstance(model, Made) and model.name in MODELS
            state = model.state if is_model else None
            if not isinstance(state, dict) or not isinstance(state.get("yaml"), dict):
                found = STATE if is_tensors(model) else "layers by themselves"
                raise self._refusal("a whole model of Ultralytics", found)

    # One thing

    def _take(self, value: Any, depth: int) -> Any:
        """Return a value as JSON has it, or a reference to a node."""
        if depth > MAX_DEPTH:
            raise self._refusal(f"things at most {MAX_DEPTH} deep within each other", "deeper ones")
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, str):
            return self._text_of(value)
        place = self._places.get(id(value))
        if place is None:
            place = self._node(value, depth + 1)
            self._places[id(value)] = place
        return [place]

    def _text_of(self, value: str) -> str:
        self._text += len(value)
        if self._text > MAX_TEXT:
            raise self._refusal(f"at most {MAX_TEXT:,} characters of text", "more")
        return value

    def _spend(self, count: int) -> None:
        self._items_left -= count
        if self._items_left < 0:
            raise self._refusal(f"at most {MAX_ITEMS:,} items", "more")

    def _add(self, *node: Any) -> int:
        self.nodes.append(list(node))
        return len(self.nodes) - 1

    def _reserve(self, value: Any, kind: str) -> int:
        """Make a node that what it holds may refer to."""
        place = self._add(kind, None)
        self._places[id(value)] = place
        return place

    def _node(self, value: Any, depth: int) -> int:
        if isinstance(value, list | tuple | set | frozenset):
            self._spend(len(value))
        if isinstance(value, dict):
            if not ARCHITECTURE_KEYS.isdisjoint(value):
                self._check_architecture(value)
            place = self._reserve(value, "ordered" if isinstance(value, Ordered) else "dict")
            self.nodes[place][1] = self._items(value, depth)
            return place
        if isinstance(value, list):
            place = self._reserve(value, "list")
            self.nodes[place][1] = [self._take(item, depth) for item in value]
            return place
        if isinstance(value, tuple):
            return self._add("tuple", [self._take(item, depth) for item in value])
        if isinstance(value, set | frozenset):
            return self._add("set", [self._take(item, depth) for item in value])
        if isinstance(value, bytes):
            return self._bytes(value)
        if isinstance(value, Named):
            return self._named(value.name)
        if isinstance(value, Made):
            return self._made(value, depth)
        raise self._refusal("plain data, tensors and layers", kind_of(value))

    def _bytes(self, value: bytes) -> int:
        return self._add("bytes", self._text_of(base64.b64encode(value).decode()))

    def _items(self, value: dict[Any, Any], depth: int) -> list[Any]:
        self._spend(2 * len(value))
        items: list[Any] = []
        for key, item in value.items():
            items += [self._take(key, depth), self._take(item, depth)]
        return items

    def _named(self, name: str) -> int:
        if name in DTYPES:
            return self._add("dtype", name.removeprefix("torch."))
        # A class could be called where a layer is expected: it is only taken to own a method.
        if self._trusted and self._is_class(name):
            return self._class(name)
        raise self._refusal("plain data, tensors and layers", f"{named(name)} by itself")

    def _class(self, name: str) -> int:
        if not self._is_class(name):
            raise ValueError(name)
        return self._add("class", CLASSES.get(name, name))

    def _is_class(self, name: str) -> bool:
        return name in CLASSES or (self._trusted and "." in name and name not in GETATTR)

    # What calling something would have made

    def _made(self, made: Made, depth: int) -> int:
        name, arguments = made.name, made.arguments
        builtin = _BUILTIN.fullmatch(name)
        try:
            if name.startswith(("torch._utils._rebuild", "torch._tensor._rebuild")):
                return self._tensor_like(name, arguments, depth)
            if name in NAMESPACES:
                return self._namespace(made, depth)
            if name in PATHS:
                return self._add("value", "/".join(self._words(arguments)))
            if name in GETATTR:
                return self._method(arguments, depth)
            if builtin:
                return self._builtin(builtin[1], arguments, depth)
            plain = self._plain(made, depth)
            if plain is not None:
                return plain
            if self._is_class(name):
                return self._layer(made, depth)
        except _MISSHAPEN as error:
            if isinstance(error, InvalidModelError):
                raise
            what = named(name)
            raise self._refusal(f"{what} as torch writes it", "another form of it") from error
        found = named(name) if name in LOSSES else f"{named(name)} in a place for none"
        raise self._refusal("plain data, tensors and layers", found)

    def _plain(self, made: Made, depth: int) -> int | None:
        name, arguments = made.name, made.arguments
        if name in ("collections.OrderedDict", "collections.defaultdict"):
            pairs = [] if name.endswith("defaultdict") else arguments[0]
            self._spend(len(pairs))
            # A tuple of tuples as a key would take 2**200 steps.
            ordered = Ordered((checked_key(key), value) for key, value in pairs)
            self._alive.append(ordered)
            return self._node(ordered, depth)
        if name == "torch.Size":
            return self._add("size", self._numbers(arguments[0]))
        if name == "torch.device":
            return self._add("device", "cpu")  # where it was is nothing to this machine
        if name == "_codecs.encode":
            text, encoding = arguments
            if encoding not in ("latin1", "latin-1"):
                raise ValueError(encoding)
            return self._bytes(text.encode("latin-1"))
        if name in SCALARS:
            return self._add("value", scalar(made))
        if name == INTERPOLATION:
            return self._add("interpolation", *self._words(arguments))
        return None

    def _builtin(self, name: str, arguments: tuple[Any, ...], depth: int) -> int:
        if name in ("set", "frozenset"):
            items = arguments[0] if arguments else []
            self._spend(len(items))
            if not all(item is None or isinstance(item, str | int | float) for item in items):
                raise ValueError("a set of other things")
            return self._add("set", [self._take(item, depth) for item in items])
        if name == "slice":
            start, stop, step = arguments
            return self._add("slice", *self._numbers((start, stop, step), or_none=True))
        if name == "complex":
            real, imaginary = arguments
            return self._add("complex", float(real), float(imaginary))
        if name in ("bytes", "bytearray"):
            content = arguments[0] if arguments else b""
            if isinstance(content, Made):  # of protocol 2: latin-1 text, encoded
                content = content.arguments[0].encode("latin-1")
            return self._bytes(bytes(content) if isinstance(content, list | bytes) else b"")
        raise ValueError(name)

    def _namespace(self, made: Made, depth: int) -> int:
        place = self._reserve(made, "namespace")
        state = made.state if isinstance(made.state, dict) else {}
        self.nodes[place][1] = self._take(state, depth)
        return place

    def _method(self, arguments: tuple[Any, ...], depth: int) -> int:
        owner, attribute = arguments
        if isinstance(owner, Named) and owner.name == INTERPOLATION:
            return self._add("interpolation", attribute.lower())
        if attribute not in METHODS or not isinstance(owner, Named | Made):
            raise ValueError(attribute)
        held = [self._class(owner.name)] if isinstance(owner, Named) else self._take(owner, depth)
        return self._add("method", held, attribute)

    # Layers

    def _layer(self, made: Made, depth: int) -> int:
        if made.arguments:
            raise ValueError("a layer that is made with arguments")
        place = self._reserve(made, "layer")
        state = made.state if made.state is not None else {}
        if not isinstance(state, dict) or not all(isinstance(key, str) for key in state):
            raise ValueError("a layer without a state")
        self._spend(len(state))
        for key, value in state.items():
            if _HOOKS.fullmatch(key) and value:
                raise self._refusal("layers without hooks", f"{key} of {made.name}")
        if made.name in MODELS and "yaml" in state:
            self._check_architecture(state["yaml"])
        kept = {key: None if key in _LEFT_OUT else value for key, value in state.items()}
        self.nodes[place] = ["layer", CLASSES.get(made.name, made.name), self._keep(kept, depth)]
        return place

    def _keep(self, state: dict[str, Any], depth: int) -> list[int]:
        place = self._add("dict", None)
        self.nodes[place][1] = self._items(state, depth)
        return [place]

    def _check_architecture(self, architecture: Any) -> None:
        try:
            check_architecture(architecture, trusted=self._trusted)
        except ArchitectureError as error:
            raise self._refusal(error.expected, error.found) from error

    # Tensors

    def _tensor_like(self, name: str, arguments: tuple[Any, ...], depth: int) -> int:
        kind = name.rpartition(".")[2]
        if kind in ("_rebuild_parameter", "_rebuild_parameter_with_state"):
            return self._add("parameter", self._take(arguments[0], depth), bool(arguments[1]))
        if kind == "_rebuild_from_type_v2":
            function, of, inner, _ = arguments
            if depth > MAX_DEPTH:  # a list of arguments may hold itself
                raise ValueError("tensors within tensors")
            if of.name not in ("torch.Tensor", "torch.nn.parameter.Parameter"):
                raise ValueError(of.name)
            made = self._tensor_like(function.name, inner, depth + 1)
            return made if of.name == "torch.Tensor" else self._add("parameter", [made], True)
        if kind not in ("_rebuild_tensor", "_rebuild_tensor_v2"):
            raise ValueError(kind)
        stored, offset, sizes, strides, *_ = arguments
        place = self._storage(stored)
        storage = self.storages[place]
        sizes, strides = self._numbers(sizes), self._numbers(strides)
        if len(sizes) != len(strides) or len(sizes) > 16:
            raise ValueError("sizes and strides")
        count = math.prod(sizes)
        last = offset + sum((size - 1) * step for size, step in zip(sizes, strides, strict=True))
        # Not more numbers than are there: a view could claim any amount of memory.
        if (
            type(offset) is not int
            or offset < 0
            or (count and not (last < storage.count and count <= storage.count))
        ):
            raise ValueError("a tensor beyond its numbers")
        self._elements += count
        return self._add("tensor", place, offset, sizes, strides)

    def _storage(self, stored: Stored) -> int:
        tag, kind, key, _, count = stored.id
        if tag != "storage" or not isinstance(key, str) or not isinstance(count, int) or count < 0:
            raise ValueError("a storage")
        storage = Storage(key, STORAGES[kind.name], count)
        place = self._storage_places.get(key)
        if place is None:
            place = self._storage_places[key] = len(self.storages)
            self.storages.append(storage)
        elif self.storages[place] != storage:
            raise ValueError("a storage of two kinds")
        return place

    def _check_elements(self) -> None:
        stored = sum(storage.count for storage in self.storages)
        if self._elements > 2 * stored + 2**16:
            raise self._refusal(f"tensors of {stored:,} numbers", f"{self._elements:,} in tensors")

    # Odds and ends

    def _numbers(self, values: Any, *, or_none: bool = False) -> list[Any]:
        self._spend(len(values))
        numbers = list(values)
        for number in numbers:
            if (number is None and or_none) or (type(number) is int and 0 <= number < 2**40):
                continue
            raise ValueError("a number")
        return numbers

    def _words(self, values: Any) -> list[str]:
        self._spend(len(values))
        words = list(values)
        if not all(isinstance(word, str) for word in words):
            raise ValueError("a word")
        return [self._text_of(word) for word in words]

    def _refusal(self, expected: str, found: str) -> InvalidModelError:
        return InvalidModelError(
            f"{self._where}: expected {expected}, found {found}; this is not a checkpoint of "
            "Ultralytics that Workbench can take"
        )


def scalar(made: Made) -> int | float:
    """Return what a number of numpy is, of which the program says its type and its bytes."""
    dtype, content = made.arguments
    [form, *_] = dtype.arguments
    if not isinstance(form, str):  # before it is looked up: hashing tuples of tuples takes long
        raise TypeError("a type of numbers")
    if isinstance(content, Made):  # protocol 2 has no bytes: latin-1 text, encoded
        content = content.arguments[0].encode("latin-1")
    [value] = struct.unpack(_FORMS[form], content)
    return value  # type: ignore[no-any-return]
