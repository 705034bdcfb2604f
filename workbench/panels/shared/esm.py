"""Join several small ES modules into the one that anywidget loads.

anywidget hands the browser a single string, from which relative imports cannot work. The
front end is nevertheless written as real modules, which node tests as they are. This module
joins them. Every imported module becomes a function that is called once, so that its names
are its own, as they are in node; what it exports is what the function returns::

    const module_1 = (() => {
    const SIDE = 3;
    function area(box) ...
    return { area };
    })();

    const { area } = module_1;
    export default function entry() ...

The entry comes last and keeps its exports. Only forms that can be told by their text are
allowed, at the beginning of a line::

    import { name, other } from "./module.mjs";    (or "../../shared/static/module.mjs")
    export function name() ...        (also const, class, async function)

The entry alone may have an ``export default function``. Everything else - other forms of
import and export, an import of a name that is not exported, a circle - raises `BundleError`,
which names the file.
"""

from __future__ import annotations

import re
from pathlib import Path

_IMPORT = re.compile(
    r"^import \{(\s*[\w$]+(?:\s*,\s*[\w$]+)*,?\s*)\}"
    r' from "(\.{1,2}/[\w./-]+\.mjs)";\n',
    re.MULTILINE,
)
_EXPORT = re.compile(r"^export (?=(?:async function|function|class|const) ([\w$]+))", re.MULTILINE)
_LEFT_OVER = re.compile(r"^\s*(?:import\b(?! type)|export\b(?! default function ))", re.MULTILINE)
_DYNAMIC = re.compile(r"(?<![\w.$])import\s*(?:\(|\.meta)")
_COMMENT = re.compile(r"/\*.*?\*/|(?<!:)//[^\n]*", re.DOTALL)


class BundleError(Exception):
    """A module of the front end that cannot be joined with the others."""


def bundle(entry: Path) -> str:
    """Join an ES module with all that it imports.

    Parameters
    ----------
    entry : Path
        The module that has the default export.

    Returns
    -------
    str
        One ES module without imports, which exports what the entry does.

    Raises
    ------
    BundleError
        If a module uses a form that cannot be joined safely.
    """
    *imported, (entry, text) = _in_order(entry.resolve()).items()
    numbers = {path: number for number, (path, _) in enumerate(imported, start=1)}
    exports = {path: _EXPORT.findall(text) for path, text in imported}
    parts = []
    for path, own in imported:
        body = _EXPORT.sub("", _linked(path, own, numbers, exports))
        _refuse_unknown_forms(path, body, is_entry=False)
        given = f"return {{ {', '.join(exports[path])} }};"
        parts.append(
            f"// {path.parent.parent.name}/{path.name}\n"
            f"const module_{numbers[path]} = (() => {{\n{body.strip()}\n{given}\n}})();"
        )
    body = _linked(entry, text, numbers, exports)
    _refuse_unknown_forms(entry, _EXPORT.sub("", body), is_entry=True)
    parts.append(f"// {entry.parent.parent.name}/{entry.name}\n{body.strip()}\n")
    return "\n\n".join(parts)


def style_sheet(*files: Path) -> str:
    """Join style sheets into the one that anywidget loads."""
    return "".join(file.read_text(encoding="utf-8") for file in files)


def _in_order(entry: Path) -> dict[Path, str]:
    """Return the entry and all modules that it needs, each after those it imports."""
    done: dict[Path, str] = {}
    open_: list[Path] = []

    def visit(path: Path) -> None:
        if path in done:
            return
        if path in open_:
            circle = " -> ".join(p.name for p in [*open_[open_.index(path) :], path])
            raise BundleError(f"modules import each other in a circle: {circle}")
        if not path.is_file():
            raise BundleError(f"{open_[-1]}: imports {path.name}, which is not there")
        open_.append(path)
        text = path.read_text(encoding="utf-8")
        for _, name in _IMPORT.findall(text):
            visit((path.parent / name).resolve())
        open_.pop()
        done[path] = text

    visit(entry)
    return done


def _linked(path: Path, text: str, numbers: dict[Path, int], exports: dict[Path, list[str]]) -> str:
    """Return a module's text with its imports taken from what stands before it."""

    def link(found: re.Match[str]) -> str:
        wanted = [name.strip() for name in found.group(1).split(",") if name.strip()]
        source = (path.parent / found.group(2)).resolve()
        missing = sorted(set(wanted) - set(exports[source]))
        if missing:
            line = text.count("\n", 0, found.start()) + 1
            raise BundleError(
                f"{path}, line {line}: {source.name} does not export {', '.join(missing)}"
            )
        return f"const {{ {', '.join(wanted)} }} = module_{numbers[source]};\n"

    return _IMPORT.sub(link, text)


def _refuse_unknown_forms(path: Path, body: str, *, is_entry: bool) -> None:
    code = _COMMENT.sub(lambda match: "\n" * match.group().count("\n"), body)
    if not is_entry and re.search(r"^export default", code, re.MULTILINE):
        raise BundleError(f"{path}: only the entry may have a default export")
    for pattern, problem in (
        (_LEFT_OVER, "this form of import or export cannot be joined"),
        (_DYNAMIC, "import() and import.meta cannot be joined"),
    ):
        match = pattern.search(code)
        if match:
            line = code[match.start() :].lstrip().splitlines()[0]
            raise BundleError(f"{path}: {problem}: {line}")
