"""The front end's modules: node tests of the pure parts, and what the joiner makes of them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import anywidget
import pytest
from traitlets import TraitType

from workbench.panels.shared.esm import BundleError, bundle

ROOT = Path(__file__).parents[2]
PANELS = ROOT / "workbench" / "panels"
TESTS = ROOT / "tests" / "js"
ENTRIES = sorted(
    path for path in PANELS.glob("*/static/*.mjs") if "\nexport default " in path.read_text("utf-8")
)
"""The module of each widget."""

Run = Callable[..., str]


@pytest.fixture
def node() -> Run:
    found = shutil.which("node")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("no node: install Node.js 20 or newer")
        pytest.skip("no node: install Node.js 20 or newer to run the front end's tests")

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [found, *arguments], capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def script(text: str) -> list[str]:
    return ["--input-type=module", "-e", text]


def test_node_tests_pass(node: Run) -> None:
    files = sorted(TESTS.glob("*.test.mjs"))
    assert files
    node("--test", *map(str, files))


def test_marks_of_a_class_keep_their_colour_where_the_system_chooses_colours() -> None:
    marks = re.compile(r"""class(?:: |=)"([\w-]*(?:swatch|dot|colour))\b""")
    found = {
        name
        for path in sorted(PANELS.rglob("*"))
        if path.suffix in {".mjs", ".py"}
        for name in marks.findall(path.read_text("utf-8"))
    }
    sheet = (PANELS / "shared" / "static" / "controls.css").read_text("utf-8")
    _, _, forced = sheet.partition("@media (forced-colors: active)")
    kept, _, _ = forced.partition("forced-color-adjust: none")
    assert "wb-swatch" in found
    assert {name for name in found if not re.search(rf"\.{name}\b(?!-)", kept)} == set()


# The joiner


def opened(joined: str) -> str:
    """Return a joined module that also exports what each module inside of it returns."""
    inside = re.findall(r"^// (.+)\nconst (module_\d+) = ", joined, re.MULTILINE)
    fields = ", ".join(f"{json.dumps(name)}: {module}" for name, module in inside)
    return f"{joined}\nexport const inside = {{ {fields} }};\n"


def place_of(module: Path) -> str:
    """Return how a joined module names one of its parts."""
    return f"{module.parent.parent.name}/{module.name}"


def subclasses(kind: type) -> Iterator[type]:
    for own in kind.__subclasses__():
        yield own
        yield from subclasses(own)


def test_each_entry_is_a_widgets_and_each_widget_has_one() -> None:
    from workbench.panels import _HOME_OF, __getattr__

    for name in _HOME_OF:
        __getattr__(name)
    # Each widget that was made has a class of its own, too, whose `_esm` is a trait.
    widgets = {
        kind
        for kind in subclasses(anywidget.AnyWidget)
        if "workbench" in kind.__module__ and not isinstance(vars(kind).get("_esm"), TraitType)
    }
    joined = {bundle(entry) for entry in ENTRIES}
    assert len(ENTRIES) > 8
    assert {kind._esm for kind in widgets} == joined  # type: ignore[attr-defined]


@pytest.mark.parametrize("entry", ENTRIES, ids=place_of)
def test_joined_modules_are_what_node_loads(entry: Path, node: Run, tmp_path: Path) -> None:
    """The same names with the same values, down to the text of every function."""
    joined = tmp_path / "joined.mjs"
    joined.write_text(opened(bundle(entry)), encoding="utf-8")
    modules = {place_of(path): path.as_uri() for path in PANELS.glob("*/static/*.mjs")}
    node(
        *script(
            f"""
import assert from "node:assert/strict";
const addresses = {json.dumps(modules)};
const plain = (value) => (typeof value === "function" ? String(value) : value);
const told = (module) => Object.fromEntries(Object.keys(module).map((k) => [k, plain(module[k])]));
const {{ inside, ...own }} = await import({json.dumps(joined.as_uri())});
assert.deepEqual(told(own), told(await import({json.dumps(entry.as_uri())})));
for (const [name, module] of Object.entries(inside)) {{
  assert.deepEqual(told(module), told({{ ...(await import(addresses[name])) }}), name);
}}
const widget = own.default();
assert.ok(typeof widget.render === "function", "a widget can be rendered");
"""
        )
    )


def test_node_tests_pass_with_the_joined_modules_too(node: Run, tmp_path: Path) -> None:
    """Where the tests import a module, they get that part of a joined one."""
    homes: dict[str, tuple[Path, str]] = {}
    for number, entry in enumerate(ENTRIES):
        joined = tmp_path / f"joined_{number}.mjs"
        text = opened(bundle(entry))
        joined.write_text(text, encoding="utf-8")
        homes[place_of(entry)] = (joined, "own")
        for name in re.findall(r"^// (.+)\nconst module_", text, re.MULTILINE):
            homes.setdefault(name, (joined, f"own.inside[{json.dumps(name)}]"))
    for module in PANELS.glob("*/static/*.mjs"):
        joined, what = homes[place_of(module)]
        names = re.findall(
            r"^export (?:async )?(?:function|class|const) ([\w$]+)", module.read_text("utf-8"), re.M
        )
        stand_in = tmp_path / module.relative_to(ROOT)
        stand_in.parent.mkdir(parents=True, exist_ok=True)
        stand_in.write_text(
            f"import * as own from {json.dumps(joined.as_uri())};\n"
            + "".join(f"export const {name} = {what}.{name};\n" for name in names),
            encoding="utf-8",
        )
    keys = PANELS / "annotate" / "static" / "keys.json"
    shutil.copy(keys, tmp_path / keys.relative_to(ROOT))
    copied = Path(shutil.copytree(TESTS, tmp_path / "tests" / "js"))
    node("--test", *map(str, sorted(copied.glob("*.test.mjs"))))


def write(folder: Path, **modules: str) -> Path:
    for name, text in modules.items():
        (folder / f"{name}.mjs").write_text(text, encoding="utf-8")
    return folder / "entry.mjs"


def test_dependencies_come_first_and_once(tmp_path: Path) -> None:
    entry = write(
        tmp_path,
        entry='import { b } from "./two.mjs";\nimport {\n  a,\n} from "./one.mjs";\n'
        "export default function go() { return a + b; }\n",
        two='import { a } from "./one.mjs";\nexport const b = a + 1;\n',
        one="export const a = 1;\n",
    )
    joined = bundle(entry)
    assert joined.count("const a = 1;") == 1
    assert joined.index("const a") < joined.index("const b") < joined.index("export default")
    assert "import" not in joined


def test_a_name_belongs_to_its_module(node: Run, tmp_path: Path) -> None:
    """The same name in several modules, also that of a global, means what it means in node."""
    entry = write(
        tmp_path,
        entry='import { one } from "./one.mjs";\nimport { two } from "./two.mjs";\n'
        'const own = "entry";\nconst name = "entry";\n'
        "export default function go() { return [own, name, ...one(), ...two()]; }\n"
        "export const extra = 3;\n",
        one='const own = "one";\nconst { length } = [1, 2];\n'
        "export function one() { return [own, typeof process, length]; }\n",
        two='let own = "two";\nconst process = 5;\n'
        "export async function later() {}\n"
        "export class Two {}\n"
        'export function two() {\n  own += "!";\n  return [own, process];\n}\n',
    )
    joined = tmp_path / "joined.mjs"
    joined.write_text(bundle(entry), encoding="utf-8")
    said = [
        node(
            *script(
                f"const m = await import({json.dumps(file.as_uri())});"
                "console.log(JSON.stringify([Object.keys(m), m.default(), m.default()]))"
            )
        )
        for file in (entry, joined)
    ]
    assert said[0] == said[1]
    assert json.loads(said[1]) == [
        ["default", "extra"],
        ["entry", "entry", "one", "object", 2, "two!", 5],
        ["entry", "entry", "one", "object", 2, "two!!", 5],
    ]


@pytest.mark.parametrize(
    ("modules", "problem"),
    [
        ({"one": "export const b = 1;\n"}, r"line 1: one\.mjs does not export a"),
        ({}, "imports one.mjs, which is not there"),
        ({"one": 'import { own } from "./entry.mjs";\nexport const a = 1;\n'}, "in a circle"),
        ({"one": 'export const a = 1;\nexport * from "./x.mjs";\n'}, "cannot be joined"),
        ({"one": 'export { a } from "./x.mjs";\nexport const b = 1;\n'}, "cannot be joined"),
        ({"one": "const a = 1;\nexport { a };\n"}, "cannot be joined"),
        ({"one": "export const a = 1;\nexport let b = 2;\n"}, "cannot be joined: export let b"),
        ({"one": "export const a = 1;\nexport const [c] = [1];\n"}, "cannot be joined"),
        ({"one": 'export const a = 1;\nimport x from "./x.mjs";\n'}, "cannot be joined"),
        ({"one": 'export const a = 1;\nimport { x as y } from "./x.mjs";\n'}, "cannot be joined"),
        ({"one": 'export const a = 1;\nimport "./x.mjs";\n'}, "cannot be joined"),
        ({"one": 'export const a = await import("./x.mjs");\n'}, "cannot be joined"),
        ({"one": "export const a = import.meta.url;\n"}, "cannot be joined"),
        ({"one": "export const a = 1;\nexport default function f() {}\n"}, "only the entry"),
    ],
)
def test_what_cannot_be_joined_safely_is_refused(
    tmp_path: Path, modules: dict[str, str], problem: str
) -> None:
    entry = write(
        tmp_path,
        entry='import { a } from "./one.mjs";\nconst own = a;\nexport default function go() {}\n',
        **modules,
    )
    with pytest.raises(BundleError, match=problem):
        bundle(entry)
