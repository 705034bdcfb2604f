"""Plant every fault in a copy of a real dataset, and see which are found, and what is invented.

    python benchmarks/health_bccd.py --data path/to/BCCD

``--data`` takes any Pascal VOC folder with some 50 labelled training images or more. With
``--check`` the exit status is 1 where a fault was missed or one was invented.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from benchmarks.measure import print_columns, say, seconds  # noqa: E402
from tests.helpers.faults import outcome, plant_all  # noqa: E402
from workbench import import_dataset  # noqa: E402
from workbench.datasets.health import HealthChecker, HealthReport  # noqa: E402
from workbench.persistence import Stores, create_stores  # noqa: E402

CLEAN, BROKEN = "clean", "broken"


def main() -> int:
    """Measure; return the exit status."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="health-") as folder:
        return asyncio.run(_run(options, Path(folder)))


async def _run(options: argparse.Namespace, folder: Path) -> int:
    stores = create_stores(folder / "data", folder / "models")
    for name in (CLEAN, BROKEN):
        await import_dataset(stores, options.data, name=name)
    before = await _timed(stores, CLEAN, "as it was imported")
    print_columns(("severity", "kind", "finding"), [(f.severity, f.kind, f.title) for f in before])
    await _timed(stores, CLEAN, "again, unchanged")
    untouched = await _timed(stores, BROKEN, "the copy, before anything was planted")
    expected = plant_all(folder / "data" / BROKEN, untouched)
    after = await _timed(stores, BROKEN, "the copy, with all faults planted")
    rows, faults = [], 0
    for kind, (planted, found, missed, invented) in outcome(untouched, after, expected).items():
        faults += len(missed) + len(invented)
        extra = ", ".join(sorted(missed)[:2] + sorted(invented)[:2])
        rows.append((kind, str(planted), str(found), str(len(invented)), extra))
    print_columns(("kind", "planted", "found", "invented", "which were missed or invented"), rows)
    say(
        f"{sum(int(row[1]) for row in rows)} planted, {sum(int(row[2]) for row in rows)} found, "
        f"{sum(int(row[3]) for row in rows)} invented"
    )
    return 1 if faults and options.check else 0


async def _timed(stores: Stores, name: str, what: str) -> HealthReport:
    begin = time.perf_counter()
    report = await HealthChecker(stores).run(name)
    taken = seconds(time.perf_counter() - begin)
    say(
        f"{what}: {report.num_images} images, {report.examined} read, "
        f"{len(report)} findings, {taken}"
    )
    return report


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="a Pascal VOC folder")
    parser.add_argument("--check", action="store_true", help="exit 1 if anything is amiss")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
