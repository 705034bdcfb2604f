"""Let a wheel hold the notebooks, which lie beside the package and not in it.

Everything else about the build is in ``pyproject.toml``.
"""

from __future__ import annotations

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

SOURCE = Path("notebooks")
TARGET = Path("workbench", "notebooks")


class BuildWithNotebooks(build_py):
    """Copies the notebooks into the package while a wheel is built.

    An editable installation finds them in the checkout and gets no copies, which would
    only grow old there.
    """

    def run(self) -> None:
        """Copy the package, then the notebooks."""
        super().run()
        if not self.editable_mode:
            for built, source in self._notebooks().items():
                self.mkpath(str(Path(built).parent))
                self.copy_file(source, built)

    def get_output_mapping(self) -> dict[str, str]:
        """Return the source of each file that is built."""
        mapping: dict[str, str] = super().get_output_mapping()
        return mapping if self.editable_mode else {**mapping, **self._notebooks()}

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """Return the files that are built."""
        outputs: list[str] = super().get_outputs(include_bytecode)
        return outputs if self.editable_mode else [*outputs, *self._notebooks()]

    def get_source_files(self) -> list[str]:
        """Return the files that a source archive needs."""
        return [*super().get_source_files(), *self._notebooks().values()]

    def _notebooks(self) -> dict[str, str]:
        return {
            str(Path(self.build_lib) / TARGET / source.name): str(source)
            for source in sorted(SOURCE.glob("*.ipynb"))
        }


setup(cmdclass={"build_py": BuildWithNotebooks})
