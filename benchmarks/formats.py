"""How fast datasets come in and go out, beside supervision, datumaro and pylabel in one run.

    python benchmarks/formats.py --peers-python VENV/bin/python --check   # 20,000 and 100,000
    python benchmarks/formats.py --quick                                  # 2,000, for a look

The tools to compare with are no dependencies of Workbench. They stand in an environment of their
own, whose Python `--peers-python` names; `--install FOLDER` makes one there with pip. Without
either, only what needs no other tool is measured.

The same pictures and boxes are made as a YOLO folder, as COCO and as Pascal VOC. Each task runs in
a process of its own, and the time is that of the task without the start of Python and imports.
Product and peers take turns, and all find the files in the page cache. ``--check`` exits 1 if a
bound is missed:

- a plan (read all, check all, count every box) takes at most 1/5 of the time in which the fastest
  peer reads the same;
- writing COCO, from what is in memory, at most 1/8; a whole import of COCO or VOC at most 1/3;
- to apply a plan at most 1.1 times `shutil.copytree` of the same files and one sync;
- a COCO file of 60 MB for 20,000 pictures is planned within 2 seconds;
- memory grows by at most half of what the leanest peer takes, and not faster than the data;
- a zip comes in within half the time of `extractall`, and goes out within 0.3 of `zipfile`, stored.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import venv
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from benchmarks.formats_peers import peak, reset_peak  # noqa: E402
from benchmarks.measure import print_columns, say, seconds  # noqa: E402
from workbench.datasets.formats.exporting import plan_export  # noqa: E402
from workbench.datasets.formats.plan import plan_import  # noqa: E402
from workbench.persistence import create_stores  # noqa: E402

FULL, QUICK = (20_000, 100_000), (2_000,)
PEERS = ("supervision", "datumaro", "pylabel")
CLASSES = [f"class {number}" for number in range(20)]
BOXES = 13
TIMEOUT = 1800
ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Result:
    """What one run of a task has taken."""

    seconds: float
    pictures: int
    boxes: int
    grown: int
    more: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the report.

    Parameters
    ----------
    work, takes, baseline, other : str
    value, bound : float
        The bound is what the value may be at most.
    unit : str
    """

    work: str
    takes: str
    baseline: str
    other: str
    value: float
    bound: float
    unit: str = "x"

    @property
    def missed(self) -> bool:
        """Whether the bound is missed."""
        return self.value > self.bound

    def cells(self) -> tuple[str, ...]:
        """Return the line as text."""
        shown, most = (f"{v:.2f}{self.unit}" for v in (self.value, self.bound))
        verdict = "MISSED" if self.missed else "met"
        return (self.work, self.takes, self.baseline, self.other, shown, most, verdict)


# --- what is measured on ---------------------------------------------------------------


def generate(folder: Path, count: int) -> None:
    """Make the same pictures and boxes as YOLO, COCO and VOC; pictures are linked."""
    chance = random.Random(20240229)
    pictures = [_picture(seed) for seed in range(16)]
    for part in ("images", "labels"):  # datumaro reads no dataset without a second split
        (folder / f"yolo/{part}/val").mkdir(parents=True)
    (folder / "yolo/images/val/other.jpg").write_bytes(pictures[0])
    (folder / "yolo/labels/val/other.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    homes = [folder / "yolo/images/train", folder / "coco/images/train", folder / "voc/JPEGImages"]
    others = [folder / "yolo/labels/train", folder / "coco/annotations", folder / "voc/Annotations"]
    for home in (*homes, *others, folder / "voc/ImageSets/Main"):
        home.mkdir(parents=True)
    images, annotations = [], []
    for number in range(count):
        stem = f"frame_{number:06d}"
        path = homes[0] / f"{stem}.jpg"
        path.write_bytes(pictures[number % 16])
        for home in homes[1:]:
            os.link(path, home / path.name)
        rows, objects = [], []
        images.append({"id": number + 1, "file_name": path.name, "width": 160, "height": 120})
        for _ in range(chance.randint(1, 2 * BOXES - 1)):
            kind = chance.randrange(len(CLASSES))
            x, y = chance.randint(0, 100), chance.randint(0, 70)
            width, height = chance.randint(4, 60), chance.randint(4, 50)
            rows.append(
                f"{kind} {(x + width / 2) / 160:.6f} {(y + height / 2) / 120:.6f} "
                f"{width / 160:.6f} {height / 120:.6f}\n"
            )
            objects.append(_object(CLASSES[kind], x, y, x + width, y + height))
            corners = [x, y, x + width, y, x + width, y + height, x, y + height]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number + 1,
                    "iscrowd": 0,
                    "category_id": kind + 1,
                    "bbox": [x, y, width, height],
                    "area": width * height,
                    "segmentation": [corners],
                }
            )
        (others[0] / f"{stem}.txt").write_text("".join(rows))
        (others[2] / f"{stem}.xml").write_text(_voc(path.name, "".join(objects)))
    names = "".join(f"  {n}: {name}\n" for n, name in enumerate(CLASSES))
    (folder / "yolo/data.yaml").write_text(f"train: images/train\nval: images/val\nnames:\n{names}")
    categories = [{"id": n, "name": name} for n, name in enumerate(CLASSES, start=1)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (others[1] / "instances_train.json").write_text(json.dumps(content))
    stems = "".join(f"frame_{number:06d}\n" for number in range(count))
    (folder / "voc/ImageSets/Main/train.txt").write_text(stems)
    (folder / "voc/labelmap.txt").write_text("".join(f"{name}:::\n" for name in CLASSES))
    os.sync()


def _picture(seed: int) -> bytes:
    noise = np.random.default_rng(seed).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    good, data = cv2.imencode(".jpg", cv2.GaussianBlur(noise, (0, 0), 1.0 + seed / 16))
    assert good
    return data.tobytes()


def _object(name: str, *corners: int) -> str:
    tags = zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True)
    box = "".join(f"<{tag}>{value}</{tag}>" for tag, value in tags)
    marks = "<pose>Unspecified</pose><truncated>0</truncated><difficult>0</difficult>"
    return f"\t<object>\n\t\t<name>{name}</name>{marks}\n\t\t<bndbox>{box}</bndbox>\n\t</object>\n"


def _voc(filename: str, objects: str) -> str:
    return (
        f"<annotation>\n\t<folder>JPEGImages</folder>\n\t<filename>{filename}</filename>\n\t<source>"
        f"<database>Unknown</database></source>\n\t<size><width>160</width><height>120</height>"
        f"<depth>3</depth></size>\n\t<segmented>0</segmented>\n{objects}</annotation>\n"
    )


# --- the product -----------------------------------------------------------------------


def product(task: str, folder: Path, target: Path) -> Result:
    """Do one task in this process."""
    return asyncio.run(_product(task, folder, target))


async def _product(task: str, folder: Path, target: Path) -> Result:
    stores = create_stores(data_dir=target / "data", models_dir=target / "models")
    verb, form = task.split("-")
    source = folder / form if verb != "export" else folder / "yolo"
    if verb == "zip":
        source = folder / "yolo.zip"
    if verb == "export":
        plan = await plan_import(stores, source, "set")
        await plan.apply()
        plan.close()
        os.sync()
    before = reset_peak()
    begin = time.perf_counter()
    if verb == "export":
        out = await plan_export(stores, "set", format=form.removesuffix(".zip"))
        read = time.perf_counter() - begin
        whole = form.endswith(".zip")
        await out.write(
            target / f"out{'.zip' if whole else ''}", images="copy" if whole else "none"
        )
        taken = time.perf_counter() - begin
        more = {"write": taken - read}
        return Result(taken, out.num_images, out.num_boxes, peak() - before, more)
    plan = await plan_import(stores, source, "set")
    planned = time.perf_counter() - begin
    counts = plan.counts()
    result = sum(c["images"] for c in counts.values()), sum(c["boxes"] for c in counts.values())
    more = {}
    if verb != "read":
        await plan.apply()
        more["apply"] = time.perf_counter() - begin - planned
    taken = time.perf_counter() - begin
    plan.close()
    return Result(taken, *result, peak() - before, more)


# --- running ---------------------------------------------------------------------------


class FailedError(Exception):
    """A tool that could not do a task."""


class Bench:
    """Runs tasks in processes of their own."""

    def __init__(self, folder: Path, peers: Path | None, tools: Sequence[str]) -> None:
        self.folder = folder
        self.peers = peers
        self.tools = tools if peers else ()

    def ours(self, task: str) -> Result:
        """Let the product do a task."""
        return self._run([sys.executable, __file__, "--one", task], "workbench", task)

    def theirs(self, tool: str, task: str) -> Result:
        """Let another tool do it."""
        script = Path(__file__).with_name("formats_peers.py")
        return self._run([str(self.peers), str(script), tool, task], tool, task)

    def _run(self, command: list[str], tool: str, task: str) -> Result:
        say(f"{tool}: {task}")
        done = subprocess.run(
            [*command, str(self.folder), str(self.target())],
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        lines = done.stdout.strip().splitlines()
        if done.returncode or not lines:
            why = (done.stderr.strip().splitlines() or ["no output"])[-1]
            raise FailedError(f"{tool} cannot do {task}: {why[:200]}")
        return Result(**json.loads(lines[-1]))

    def target(self) -> Path:
        """Return an empty folder on the same disk, with nothing left to be written.

        It is deleted with everything else at the end. To make a file soon after many were deleted
        takes ext4 up to ten times as long: it looks at each inode that was freed in the last
        minutes and passes it by, and whoever comes next would pay for it.
        """
        os.sync()
        return Path(tempfile.mkdtemp(dir=self.folder))

    def compare(self, work: str, task: str, bound: float, failures: list[str]) -> list[Line]:
        """Return the lines about a task that the peers do, too."""
        peers: dict[str, list[Result]] = {}
        mine: list[Result] = []
        for number in range(ROUNDS):
            mine.append(self.ours(task))
            for tool in self.tools:
                # One round of what takes minutes is enough.
                slow = tool in peers and peers[tool][0].seconds > 20 * mine[0].seconds
                if (number and tool not in peers) or slow:
                    continue
                try:
                    peers.setdefault(tool, []).append(self.theirs(tool, task))
                except (FailedError, subprocess.TimeoutExpired) as error:
                    peers.pop(tool, None)
                    failures.append(str(error))
        # The peers hold the dataset in memory before their time begins, as a plan of ours does.
        took = median(r.more.get("write", r.seconds) for r in mine)
        if not peers:
            return []
        fastest = min(peers, key=lambda t: median(r.seconds for r in peers[t]))
        other = median(r.seconds for r in peers[fastest])
        for tool, results in peers.items():
            say(
                f"  {tool}: {seconds(median(r.seconds for r in results))}, "
                f"{results[0].pictures} pictures, {results[0].boxes} boxes, "
                f"{results[0].grown / 2**20:.0f} MiB (Workbench {mine[0].boxes} boxes)"
            )
        lines = [Line(work, seconds(took), fastest, seconds(other), took / other, bound)]
        leanest = min(peers, key=lambda t: peers[t][0].grown)
        least, grown = peers[leanest][0].grown, mine[0].grown
        shown, theirs = (f"{n / 2**20:.0f} MiB" for n in (grown, least))
        lines.append(Line(f"{work}: memory", shown, leanest, theirs, grown / max(least, 1), 0.5))
        return lines


def measure(bench: Bench, count: int, failures: list[str]) -> tuple[list[Line], dict[str, int]]:
    """Measure everything on `count` pictures; return the lines, and memory by task."""
    lines: list[Line] = []
    for form, title in (("yolo", "YOLO"), ("coco", "COCO"), ("voc", "VOC")):
        lines += bench.compare(f"plan {title}", f"read-{form}", 1 / 5, failures)
    for form, title, bound in (("coco", "COCO", 1 / 8), ("yolo", "YOLO", 1 / 2)):
        lines += bench.compare(f"export {title}", f"export-{form}", bound, failures)
    for form, title in (("coco", "COCO"), ("voc", "VOC")):
        lines += bench.compare(f"import {title}", f"import-{form}", 1 / 3, failures)
    lines += _apply(bench)
    if count == FULL[0]:
        took = median(bench.ours("read-coco").seconds for _ in range(ROUNDS))
        size = (bench.folder / "coco/annotations/instances_train.json").stat().st_size
        title = f"plan COCO of {size / 1e6:.0f} MB"
        lines.append(Line(title, seconds(took), "", "", took, 2.0, " s"))
    lines += _zips(bench)
    grown = {task: bench.ours(task).grown for task in ("read-yolo", "read-coco", "read-voc")}
    return lines, grown


def _apply(bench: Bench) -> list[Line]:
    """Compare applying a plan with a copy of the same files and a sync."""
    ratios, ours, theirs = [], [], []
    for _ in range(ROUNDS):
        took = bench.ours("import-yolo").more["apply"]
        copied = _copied(bench, lambda target: shutil.copytree(bench.folder / "yolo", target / "o"))
        ratios.append(took / copied)
        ours.append(took)
        theirs.append(copied)
    shown, other = seconds(median(ours)), seconds(median(theirs))
    return [Line("apply YOLO", shown, "copytree and sync", other, median(ratios), 1.1)]


def _copied(bench: Bench, work: Callable[[Path], object], sync: bool = True) -> float:
    target = bench.target()
    begin = time.perf_counter()
    work(target)
    if sync:
        os.sync()
    return time.perf_counter() - begin


def _zips(bench: Bench) -> list[Line]:
    source = bench.folder / "yolo"
    files = [p for p in sorted(source.rglob("*")) if p.is_file()]

    def pack(target: Path) -> None:
        with zipfile.ZipFile(target / "o.zip", "w", zipfile.ZIP_STORED) as archive:
            for path in files:
                archive.write(path, path.relative_to(source))

    def unpack(target: Path) -> None:
        with zipfile.ZipFile(bench.folder / "yolo.zip") as archive:
            archive.extractall(target / "o")

    pack_to = bench.folder / "yolo.zip"
    if not pack_to.exists():
        target = bench.target()
        pack(target)
        (target / "o.zip").rename(pack_to)
    lines = []
    for title, task, plain, bound in (
        ("zip import", "zip-yolo", unpack, 0.5),
        ("zip export", "export-yolo.zip", pack, 0.3),
    ):
        pairs = [
            (bench.ours(task).seconds, _copied(bench, plain, sync=False)) for _ in range(ROUNDS)
        ]
        took, other = (seconds(median(values)) for values in zip(*pairs, strict=True))
        name = "extractall" if plain is unpack else "zipfile, stored"
        lines.append(Line(title, took, name, other, median(a / b for a, b in pairs), bound))
    return lines


def install(folder: Path) -> Path:
    """Make an environment with the peers; return its Python."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *PEERS], check=True)
    return python


def main() -> int:
    """Measure, print, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--check", action="store_true", help="exit 1 if a bound is missed")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK[0]:,} pictures")
    parser.add_argument("--images", type=int, nargs="*", help="other numbers of pictures")
    parser.add_argument("--peers-python", type=Path, help="Python of an environment with the peers")
    parser.add_argument("--peers", nargs="*", default=PEERS, help="which of them (default: all)")
    parser.add_argument("--install", type=Path, help="folder to make such an environment in")
    parser.add_argument("--one", nargs=3, metavar=("TASK", "FOLDER", "TARGET"))
    options = parser.parse_args()
    if options.one:
        task, folder, target = options.one
        result = product(task, Path(folder), Path(target))
        names = ("seconds", "pictures", "boxes", "grown", "more")
        print(json.dumps({name: getattr(result, name) for name in names}))
        return 0
    peers = install(options.install) if options.install else options.peers_python
    if peers is None:
        say("no --peers-python and no --install: only what needs no other tool is measured")
    missed, memory = False, {}
    failures: list[str] = []
    counts = options.images or (QUICK if options.quick else FULL)
    for count in counts:
        with tempfile.TemporaryDirectory(prefix="workbench-formats-") as folder:
            say(f"making {count:,} pictures")
            generate(Path(folder), count)
            bench = Bench(Path(folder), peers, options.peers)
            lines, memory[count] = measure(bench, count, failures)
        print(f"\n{count:,} pictures")
        headings = ("work", "takes", "beside", "takes", "result", "at most", "")
        print_columns(headings, [line.cells() for line in lines])
        missed = missed or any(line.missed for line in lines)
    if len(counts) > 1:
        few, many = counts[0], counts[-1]
        for task, grown in memory[few].items():
            factor = memory[many][task] / grown / (many / few)
            print(f"{task}: memory for each picture grows {factor:.2f}x from {few:,} to {many:,}")
            missed = missed or factor > 1.2
    for failure in dict.fromkeys(failures):
        print(failure)
    return int(options.check and missed)


if __name__ == "__main__":
    sys.exit(main())
