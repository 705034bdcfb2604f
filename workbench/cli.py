"""The ``workbench`` command: open the notebooks, check this machine, serve the stores."""

from __future__ import annotations

import argparse
import asyncio
import re
import shlex
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from workbench import __version__
from workbench.errors import SetupError, WorkbenchError

_DATA = Path("workbench-data")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Parameters
    ----------
    arguments : sequence of str, optional
        Arguments after the command's name; those of this process if left out.

    Returns
    -------
    int
        0 for success, 1 for a problem that was reported. Wrong arguments end the process
        with status 2, as :mod:`argparse` does.
    """
    options = _parser().parse_args(arguments)
    try:
        return _COMMANDS[options.command](options)
    except WorkbenchError as error:
        print(f"workbench: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="workbench",
        description="A workbench for YOLO object-detection datasets in Jupyter notebooks.",
    )
    parser.add_argument("--version", action="version", version=f"workbench {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    lab = commands.add_parser(
        "lab",
        help="open JupyterLab on the tour, a dataset, or a notebook or folder of yours",
        description="Start JupyterLab; it looks for no news, updates or extensions on the network.",
    )
    lab.add_argument(
        "target",
        nargs="?",
        type=Path,
        metavar="DATASET_OR_NOTEBOOK_OR_FOLDER",
        help="what to open (default: the tour; an installed package copies its notebooks "
        "to workbench-notebooks in the current folder first); for a dataset a notebook is made "
        "in the current folder",
    )
    _add_data(lab)
    lab.add_argument(
        "--no-browser", action="store_true", help="print the address and open no browser"
    )
    lab.add_argument(
        "--ip", default="localhost", help="address to listen on (default: this machine only)"
    )
    lab.add_argument(
        "--port", type=_port, help="port that must be used (default: the first free one from 8888)"
    )

    new = commands.add_parser(
        "new",
        help="make an empty dataset",
        description="Make an empty dataset; `workbench lab NAME` opens it.",
    )
    new.add_argument("name", metavar="NAME")
    new.add_argument(
        "--classes",
        default="",
        metavar="A,B,C",
        help="names of the classes, with commas between (default: none; more can come later)",
    )
    _add_data(new)

    copy = commands.add_parser(
        "copy",
        help="copy a dataset between folders and buckets",
        description="Copy a dataset with its versions, trash and history, and compare all bytes "
        "afterwards. If it is interrupted there is no copy; the same command goes on where it was.",
    )
    for place in ("source", "target"):
        copy.add_argument(
            place, metavar=place.upper(), help="such as data/cups or s3://bucket/data/cups"
        )

    doctor = commands.add_parser(
        "doctor",
        help="check this machine and say what to do about each problem",
        description="Check versions, PyTorch, GPU, camera, browser and data folder. "
        "The exit status is 1 if there is a problem; notes do not count.",
    )
    doctor.add_argument(
        "--data",
        type=Path,
        default=_DATA,
        metavar="DIR",
        help="the folder that holds the datasets, or will (default: %(default)s)",
    )
    doctor.add_argument(
        "--report",
        type=Path,
        nargs="?",
        const=Path(),
        metavar="FILE",
        help="also write all of it into a text file to attach to a bug report; of your data it "
        "holds numbers, no names and no contents (default: a new file in the current folder)",
    )

    trusting = commands.add_parser(
        "trust-links",
        help="say that links which lead out of a dataset are your own",
        description="What such links lead to is shown and trained on, and never changed or passed "
        "on, until you say here that you have made them. That is kept on this machine, for this "
        "folder and for where its links lead now.",
    )
    trusting.add_argument("folder", type=Path, metavar="FOLDER", help="the dataset's folder")
    trusting.add_argument("--forget", action="store_true", help="take back what was said")

    serve = commands.add_parser(
        "serve",
        help="serve datasets, labels, models and runs over HTTP",
        description="Start a server for programs in any language. It prints a token that they "
        "must send; the environment variable WORKBENCH_API_TOKEN sets one.",
    )
    _add_data(serve)
    serve.add_argument(
        "--models",
        type=str,
        metavar="DIR",
        help="that of the models (default: beside it), or a bucket: s3://bucket/prefix",
    )
    serve.add_argument(
        "--runs",
        type=str,
        metavar="DIR",
        help="that of training runs (default: beside it), or a bucket that keeps their record",
    )
    serve.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: this machine only)"
    )
    serve.add_argument(
        "--port", type=_port, default=0, help="port to listen on (default: a free one)"
    )
    serve.add_argument(
        "--allow-origin",
        type=_origin,
        action="append",
        default=[],
        metavar="ORIGIN",
        help="a web page's origin that may call from browsers, such as https://example.org; "
        "may be given several times (default: none)",
    )
    serve.add_argument("--root-path", default="", help="where a proxy has put the server")
    return parser


def _add_data(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--data",
        type=Path,
        default=_DATA,
        metavar="PLACE",
        help="the folder that holds the datasets, or the address of a bucket, such as "
        "s3://bucket/data (default: %(default)s)",
    )


def _origin(text: str) -> str:
    if text != "*" and not re.fullmatch(r"https?://[^/\s]+", text):
        raise argparse.ArgumentTypeError(
            f"an origin is a scheme and a host, such as https://example.org, not {text!r}"
        )
    return text


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"a port is a number from 1 to 65535, not {text!r}")
    return int(text)


def _lab(options: argparse.Namespace) -> int:
    from workbench.lab import dataset_notebook, start_lab

    target = options.target
    if target is not None and not target.exists():
        target = dataset_notebook(str(target), options.data) or target
    start_lab(target, ip=options.ip, port=options.port, browser=not options.no_browser)
    return 0


def _new(options: argparse.Namespace) -> int:
    from workbench.persistence import create_stores
    from workbench.persistence.addresses import Places, place_of

    places = Places.of(options.data)
    stores = create_stores(places.data, places.models)
    classes = [name.strip() for name in options.classes.split(",") if name.strip()]
    info = asyncio.run(stores.dataset.create(options.name, classes))
    where = place_of(info.path)
    data = "" if options.data == _DATA else f" --data {place_of(options.data)}"
    print(f"Dataset {info.name!r} made in {where}. Open it with: workbench lab {info.name}{data}")
    return 0


def _copy(options: argparse.Namespace) -> int:
    from workbench.persistence.addresses import place_of
    from workbench.persistence.copying import copy_dataset
    from workbench.persistence.counting import counted

    shown = -1

    def progress(done: int, total: int) -> None:
        nonlocal shown
        if total and 100 * done // total > shown and sys.stderr.isatty():
            shown = 100 * done // total
            print(f"\r{shown} %", end="" if done < total else "\n", file=sys.stderr, flush=True)

    made = asyncio.run(copy_dataset(options.source, options.target, progress=progress))
    print(
        f"Dataset {made.name!r} with {counted(sum(made.num_images.values()), 'image')} is in "
        f"{place_of(made.path)}."
    )
    return 0


def _trust_links(options: argparse.Namespace) -> int:
    from workbench.persistence.counting import counted
    from workbench.persistence.links import distrust_links, trust_links, trusted_links

    folder = options.folder.expanduser().absolute()
    if options.forget:
        known = trusted_links(str(folder))
        distrust_links(str(folder))
        print(
            f"What was said of links in {folder} is taken back."
            if known
            else f"Nothing was said of links in {folder}; there is nothing to take back."
        )
        return 0
    below = [path.parent.name for path in sorted(folder.glob("*/data.yaml"))]
    if below and not (folder / "data.yaml").exists():
        raise SetupError(
            f"{folder}: expected the folder of one dataset, found one that holds "
            f"{counted(len(below), 'dataset')}; say it for each whose links are your own: "
            f"`workbench trust-links {shlex.quote(str(folder / below[0]))}`"
        )
    found = trust_links(str(folder))
    for target in found:
        print(f"Links in {folder} may lead to {target}.")
    if not found:
        print(f"No link in {folder} leads out of it; there is nothing to say.")
    return 0


def _doctor(options: argparse.Namespace) -> int:
    from workbench.doctor import Status, examine, report
    from workbench.persistence.addresses import place_of

    if isinstance(place_of(options.data), str):
        raise SetupError(
            f"{place_of(options.data)}: expected a folder of this machine, found an address; the "
            f"doctor asks nothing of the network: leave --data out to have the machine looked at"
        )
    findings = examine(options.data)
    print(report(findings))
    if options.report is not None:
        from workbench.doctor.report_file import default_name, write_report

        target = Path(default_name()) if options.report == Path() else options.report
        print(f"The report is in {write_report(target, findings, options.data)}")
    return int(any(finding.status is Status.PROBLEM for finding in findings))


def _serve(options: argparse.Namespace) -> int:
    missing = [name for name in ("fastapi", "uvicorn", "python_multipart") if not find_spec(name)]
    if missing:
        raise SetupError(f"serving needs {', '.join(missing)}: pip install 'yolo-workbench[api]'")
    from workbench.api.server import serve

    serve(
        data_dir=options.data,
        models_dir=options.models,
        runs_dir=options.runs,
        host=options.host,
        port=options.port,
        allow_origins=options.allow_origin,
        root_path=options.root_path,
    )
    return 0


_COMMANDS = {
    "lab": _lab,
    "new": _new,
    "copy": _copy,
    "doctor": _doctor,
    "trust-links": _trust_links,
    "serve": _serve,
}
