"""How Sphinx builds the documentation. `python -m tools.docs` calls it."""

from __future__ import annotations

import json
from typing import Any

import workbench

project = "Workbench"
author = "the authors of Workbench"
copyright = "the authors of Workbench, AGPL-3.0-or-later"
version = release = workbench.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "numpydoc",
    "myst_nb",
]
# The project's folder is the source, so that links lead to the same files here and there.
root_doc = "docs/index"
include_patterns = ["docs/**", "notebooks/*.ipynb", "CHANGELOG.md", "CONTRIBUTING.md"]
exclude_patterns = ["**/.ipynb_checkpoints"]

# `name` in a docstring becomes a link where that name is documented.
default_role = "py:obj"

# The notebooks are shown as they are: `make test` runs them.
nb_execution_mode = "off"
# Widgets need a kernel; without them no page asks another machine for scripts.
nb_ipywidgets_js = {}

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # numpydoc's sections name the types
autodoc_default_options = {"members": True, "show-inheritance": True}
numpydoc_show_class_members = False

html_theme = "furo"
html_title = f"Workbench {release}"
html_show_sphinx = False
html_copy_source = False


def _unfold_attachments(_app: Any, docname: str, source: list[str]) -> None:
    """Put pictures that a notebook carries in place of their names, which MyST does not know."""
    if not docname.startswith("notebooks/"):
        return
    notebook = json.loads(source[0])
    for cell in notebook["cells"]:
        for name, kinds in cell.pop("attachments", {}).items():
            ((kind, content),) = kinds.items()
            written = f"data:{kind};base64,{content}"
            cell["source"] = [
                line.replace(f"attachment:{name}", written) for line in cell["source"]
            ]
    source[0] = json.dumps(notebook)


def setup(app: Any) -> None:
    """Connect what this page adds to Sphinx."""
    app.connect("source-read", _unfold_attachments)
