"""The front end's modules: node tests of the pure parts, and the bundle that the browser gets."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from workbench.panels.shared.esm import BundleError, bundle

ROOT = Path(__file__).parents[2]
ENTRY = ROOT / "workbench" / "panels" / "annotate" / "static" / "canvas.mjs"


@pytest.fixture
def node() -> str:
    found = shutil.which("node")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("no node: install Node.js 20 or newer")
        pytest.skip("no node: install Node.js 20 or newer to run the front end's tests")
    return found


def test_node_tests_pass(node: str) -> None:
    files = sorted((ROOT / "tests" / "js").glob("*.test.mjs"))
    assert files
    done = subprocess.run(
        [node, "--test", *map(str, files)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_bundle_is_one_module_that_parses(node: str, tmp_path: Path) -> None:
    joined = tmp_path / "joined.mjs"
    joined.write_text(bundle(ENTRY), encoding="utf-8")
    script = (
        f"const m = await import({joined.as_uri()!r}); "
        "console.log(Object.keys(m).join(), Object.keys(m.default()).join())"
    )
    done = subprocess.run(
        [node, "--input-type=module", "-e", script], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "default initialize,render", done.stderr


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


@pytest.mark.parametrize(
    ("modules", "problem"),
    [
        ({"one": "export const a = 1;\nconst own = 2;\n"}, "own is defined in one.mjs too"),
        ({"one": "export const b = 1;\n"}, "one.mjs does not export a"),
        ({}, "imports one.mjs, which is not there"),
        ({"one": 'import { own } from "./entry.mjs";\nexport const a = 1;\n'}, "in a circle"),
        ({"one": 'export const a = 1;\nexport * from "./x.mjs";\n'}, "cannot be joined"),
        ({"one": "const a = 1;\nexport { a };\n"}, "cannot be joined"),
        ({"one": 'export const a = 1;\nimport x from "./x.mjs";\n'}, "cannot be joined"),
        ({"one": 'export const a = await import("./x.mjs");\n'}, "cannot be joined"),
        ({"one": "export const a = import.meta.url;\n"}, "cannot be joined"),
        ({"one": "export const a = 1;\nconst [c, d] = [1, 2];\n"}, "one name at a time"),
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


def test_collision_names_file_and_line(tmp_path: Path) -> None:
    entry = write(
        tmp_path,
        entry='import { a } from "./one.mjs";\n\nconst own = a;\n',
        one="export const a = 1;\nconst own = 2;\n",
    )
    with pytest.raises(BundleError, match=r"entry\.mjs, line 3: own"):
        bundle(entry)
