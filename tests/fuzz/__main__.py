"""Fuzz one reader, or all of them: ``python -m tests.fuzz label_text --seconds 60``.

Led by coverage, so it needs `atheris`, which is in the extra `fuzz` of yolo-workbench:
``python -m pip install -e '.[fuzz]'``. What falls out is written to the folder that is named at
the end; put it into ``tests/fuzz/corpus/TARGET`` with the mending, and the ordinary tests keep
it mended.
"""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
import tempfile
from pathlib import Path

_MEMORY_MB = 2048
_SECONDS_FOR_ONE_INPUT = 20
_LONGEST_INPUT = 1 << 16
_SLACK = 120  # seconds: importing with instrumentation takes half a minute


def main(arguments: list[str]) -> int:
    """Run what the command line asks for; return 1 if an input brought a reader down."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", nargs="?", help="name of a reader")
    parser.add_argument("--all", action="store_true", help="every reader, one after the other")
    parser.add_argument("--seconds", type=int, default=60, help="for each reader")
    parser.add_argument("--out", type=Path, help="folder for what falls out; default: a new one")
    chosen = parser.parse_args(arguments)
    out = chosen.out or Path(tempfile.mkdtemp(prefix="workbench-fuzz-findings-"))
    out.mkdir(parents=True, exist_ok=True)
    if chosen.all:
        return _run_all(chosen.seconds, out)
    if chosen.target is None:
        parser.error(f"name a reader, or --all; there are {', '.join(_names())}")
    _fuzz(chosen.target, chosen.seconds, out)
    return 0


def _names() -> list[str]:
    return sorted(folder.name for folder in (Path(__file__).parent / "corpus").iterdir())


def _run_all(seconds: int, out: Path) -> int:
    """Fuzz each reader in a process of its own, so that one that falls stops no other."""
    fallen = []
    for name in _names():
        command = [sys.executable, "-m", "tests.fuzz", name, f"--seconds={seconds}", f"--out={out}"]
        done = subprocess.run(
            command, timeout=seconds + _SLACK, stderr=subprocess.PIPE, check=False
        )
        lines = done.stderr.decode("utf-8", "replace").splitlines()
        print(f"{name}: {'FELL' if done.returncode else 'held'}; {_last_words(lines)}", flush=True)
        if done.returncode:
            print("\n".join(lines[-60:]), flush=True)
            fallen.append(name)
    print(f"{len(fallen)} readers fell: {', '.join(fallen)}; see {out}" if fallen else "all held")
    return bool(fallen)


def _last_words(lines: list[str]) -> str:
    return next((line.strip() for line in reversed(lines) if "DONE" in line or "Done" in line), "")


def _fuzz(name: str, seconds: int, out: Path) -> None:
    """Fuzz one reader; ends the process."""
    import atheris

    with atheris.instrument_imports(include=["workbench"], enable_loader_override=False):
        targets = importlib.import_module("tests.fuzz.targets")
    folder = tempfile.mkdtemp(prefix=f"workbench-fuzz-{name}-")

    def one_input(data: bytes) -> None:
        targets.run(name, data)

    atheris.Setup(
        [
            sys.argv[0],
            folder,
            str(targets.CORPUS / name),
            f"-max_total_time={seconds}",
            f"-max_len={_LONGEST_INPUT}",
            f"-timeout={_SECONDS_FOR_ONE_INPUT}",
            f"-rss_limit_mb={_MEMORY_MB}",
            f"-artifact_prefix={out}/{name}-",
        ],
        one_input,
    )
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
