"""The traits of widgets in ``types.d.ts`` are those that Python's widgets have, of the same types.

`tsc` holds the front end against ``types.d.ts``, so with these tests a trait that is renamed on one
side only is found without a browser.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import anywidget
import pytest
import traitlets

import workbench.panels

TYPES = Path(workbench.panels.__file__).parent / "types.d.ts"

TRAITS_OF = {
    "BoxCanvas": "CanvasTraits",
    "Camera": "CameraTraits",
    "CopyButton": "CopyButtonModel",
    "FileDownload": "DownloadModel",
    "FileUpload": "FileUploadModel",
    "FindingList": "FindingListModel",
    "FindingTiles": "FindingTilesModel",
    "Gallery": "GalleryTraits",
    "HomeView": "HomeTraits",
    "ModelTable": "ModelTableModel",
    "PlotGrid": "PlotGridModel",
    "StatusLine": "StatusLineModel",
    "TrainStatus": "StatusLineModel",
    "Trial": "TrialTraits",
}
"""Where the traits of each widget stand: an interface, or what a model is made of."""

OBJECT = r"\{.*\}|Record<.*>|[A-Z]\w*"
TYPE_OF: dict[type, str] = {
    traitlets.Bool: "boolean",
    traitlets.Dict: OBJECT,
    traitlets.Float: "number",
    traitlets.Int: "number",
    traitlets.Unicode: "string",
}
"""What a trait's type is called in TypeScript; a pattern."""


def widgets() -> list[type[anywidget.AnyWidget]]:
    for module in walk_packages(workbench.panels.__path__, "workbench.panels."):
        import_module(module.name)

    def below(kind: type) -> Iterator[type]:
        for own in kind.__subclasses__():
            yield own
            yield from below(own)

    # A widget that was made has a class of its own, too, whose `_esm` is a trait.
    found = {
        own
        for own in below(anywidget.AnyWidget)
        if own.__module__.startswith("workbench.")
        and not isinstance(vars(own).get("_esm"), traitlets.TraitType)
    }
    return sorted(found, key=lambda own: own.__name__)


def declarations() -> str:
    """Return ``types.d.ts`` without its comments."""
    return re.sub(r"/\*.*?\*/|//[^\n]*", "", TYPES.read_text("utf-8"), flags=re.DOTALL)


def fields(name: str) -> dict[str, str]:
    """Return the type of each field of an interface, or of the first part of a ``Model<...>``."""
    text = declarations()
    begin = re.search(rf"export (?:interface {name} |type {name} = Model<\s*)\{{", text)
    assert begin is not None, f"{TYPES.name} has no {name}"
    found, depth, part = {}, 0, ""
    for letter in text[begin.end() :]:
        if letter == ";" and depth == 0:
            field, _, kind = part.partition(":")
            found[field.strip()] = " ".join(kind.split())
            part = ""
            continue
        depth += (letter in "{([<") - (letter in "})]>")
        if depth < 0:
            if ":" in part:  # on one line, the last has no semicolon
                field, _, kind = part.partition(":")
                found[field.strip()] = " ".join(kind.split())
            return found
        part += letter
    raise AssertionError(f"{name} does not end")


def pattern_of(trait: traitlets.TraitType) -> str:
    if isinstance(trait, traitlets.List):
        inner = trait._trait
        one = pattern_of(inner) if inner is not None else r".+"
        return rf"(?:{one})\[\]"
    [kind] = [pattern for own, pattern in TYPE_OF.items() if isinstance(trait, own)]
    return rf"(?:{kind})(?: \| null)" if trait.allow_none else rf"(?:{kind})"


def own_traits(widget: type[anywidget.AnyWidget]) -> dict[str, traitlets.TraitType]:
    inherited = anywidget.AnyWidget.class_traits(sync=True)
    traits = widget.class_traits(sync=True)
    return {name: trait for name, trait in traits.items() if name not in inherited}


def test_each_widget_has_its_traits_there() -> None:
    assert [widget.__name__ for widget in widgets()] == sorted(TRAITS_OF)


@pytest.mark.parametrize("widget", widgets(), ids=lambda widget: widget.__name__)
def test_traits_have_the_same_names_and_types_on_both_sides(
    widget: type[anywidget.AnyWidget],
) -> None:
    theirs, ours = fields(TRAITS_OF[widget.__name__]), own_traits(widget)
    assert sorted(theirs) == sorted(ours)
    for name, trait in ours.items():
        assert re.fullmatch(pattern_of(trait), theirs[name], re.DOTALL), (
            f"{widget.__name__}.{name}: {type(trait).__name__} in Python, {theirs[name]} in "
            f"{TYPES.name}"
        )


def test_messages_have_the_same_kinds_on_both_sides() -> None:
    named = set(re.findall(r'\bkind: "(\w+)"', declarations()))
    sent, known = set(), set()
    for module in TYPES.parent.rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                known.add(node.value)
            elif isinstance(node, ast.Dict):
                sent |= {
                    value.value
                    for key, value in zip(node.keys, node.values, strict=True)
                    if isinstance(key, ast.Constant)
                    and key.value == "kind"
                    and isinstance(value, ast.Constant)
                }
    assert sent <= named, "the kernel sends what types.d.ts does not have"
    assert named <= known, "types.d.ts has what the kernel neither sends nor takes"
    assert len(sent) > 15
