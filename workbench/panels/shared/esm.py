"""Join several small ES modules into the one that anywidget loads.

anywidget hands the browser a single string, from which relative imports cannot work. The
front end is nevertheless written as real modules, which node tests as they are. This
module joins them: dependencies first, ``import`` and ``export`` taken off. Only two forms
are allowed, so that joining by text is safe::

    import { name, other } from "./module.mjs";    (or "../../shared/static/module.mjs")
    export function name() ...        (also const, let, class, async function)

The entry alone may have an ``export default function``. Everything else - other forms of
import and export, a name that two modules define at their top level, an import of a name
that is not exported, a cycle - raises `BundleError` that names file and line.
"""

from __future__ import annotations

import re
from pathlib import Path

_IMPORT = re.compile(r'^import \{([\w$,\s]+)\} from "(\.{1,2}/[\w./-]+\.mjs)";\n', re.MULTILINE)
_EXPORT = re.compile(
    r"^export (?=(?:async function|function|class|const|let) )(?!default)", re.MULTILINE
)
_DEFINITION = re.compile(
    r"^(export )?(?:default )?(?:async )?(?:function\*?|class|const|let|var) ([\w$]+)", re.MULTILINE
)
_DESTRUCTURING = re.compile(r"^(?:export )?(?:const|let|var) [\[{]", re.MULTILINE)
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
        One ES module without imports.

    Raises
    ------
    BundleError
        If a module uses a form that cannot be joined safely; names file and line.
    """
    entry = entry.resolve()
    sources = _in_order(entry)
    _refuse_collisions(sources)
    exports = {path: _exported(text) for path, text in sources.items()}
    parts = []
    for path, text in sources.items():
        _refuse_unknown_names(path, text, exports)
        body = _EXPORT.sub("", _IMPORT.sub("", text))
        _refuse_unknown_forms(path, body, is_entry=path == entry)
        parts.append(f"// {path.parent.parent.name}/{path.name}\n{body.strip()}\n")
    return "\n".join(parts)


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


def _exported(text: str) -> set[str]:
    return {name for export, name in _DEFINITION.findall(text) if export}


def _refuse_collisions(sources: dict[Path, str]) -> None:
    owner: dict[str, Path] = {}
    for path, text in sources.items():
        for match in _DEFINITION.finditer(text):
            name = match.group(2)
            if name in owner:
                where = _at(path, text, match.start())
                raise BundleError(
                    f"{where}: {name} is defined in {owner[name].name} too; rename one of them"
                )
            owner[name] = path


def _refuse_unknown_names(path: Path, text: str, exports: dict[Path, set[str]]) -> None:
    for match in _IMPORT.finditer(text):
        wanted = {name.strip() for name in match.group(1).split(",") if name.strip()}
        missing = wanted - exports[(path.parent / match.group(2)).resolve()]
        if missing:
            raise BundleError(
                f"{_at(path, text, match.start())}: {Path(match.group(2)).name} does not export "
                f"{', '.join(sorted(missing))}"
            )


def _refuse_unknown_forms(path: Path, body: str, *, is_entry: bool) -> None:
    code = _COMMENT.sub(lambda match: "\n" * match.group().count("\n"), body)
    if not is_entry and re.search(r"^export default", code, re.MULTILINE):
        raise BundleError(f"{path}: only the entry may have a default export")
    for pattern, problem in (
        (_LEFT_OVER, "this form of import or export cannot be joined"),
        (_DYNAMIC, "import() and import.meta cannot be joined"),
        (_DESTRUCTURING, "define one name at a time at the top level"),
    ):
        match = pattern.search(code)
        if match:
            line = code[match.start() :].lstrip().splitlines()[0]
            raise BundleError(f"{path}: {problem}: {line}")


def _at(path: Path, text: str, position: int) -> str:
    return f"{path}, line {text.count(chr(10), 0, position) + 1}"
