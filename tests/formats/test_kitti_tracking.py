"""Labels of KITTI's tracking benchmark: a file for each sequence."""

from __future__ import annotations

from pathlib import Path

from tests.formats.making import BOX, PICTURE, folder, labels
from workbench.datasets.formats.plan import plan_import
from workbench.persistence import Stores

_REST = "1.6 0.5 0.9 -3.1 1.5 12.0 0.1"
_ROWS = f"""0 2 Car 0 0 -1.58 20.0 10.0 80.0 60.0 {_REST}
1 2 Car 0 2 -1.58 20.0 10.0 80.0 60.0 {_REST}
1 3 Van 0 0 -1.58 20.0 10.0 80.0 60.0 {_REST} 0.75
1 -1 DontCare -1 -1 -10 1 1 9 9 -1 -1 -1 -1000 -1000 -1000 -10
7 2 Car 0 0 -1.58 20.0 10.0 80.0 60.0 {_REST}
1 4 Car 0 0
"""


async def test_each_frame_gets_the_rows_of_its_number(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    files = {
        f"training/image_02/{sequence}/{frame:06d}.png": PICTURE
        for sequence in ("0000", "0001")
        for frame in range(3)
    }
    files |= {"training/label_02/0000.txt": _ROWS.encode()}
    files |= {"training/label_02/0001.txt": _ROWS.splitlines()[0].encode()}
    plan = await plan_import(persistence_stores, folder(tmp_path / "in" / "set", files))
    assert plan.format == "kitti-tracking"
    ledger = plan.ledger
    assert (ledger.found["annotations"], ledger.taken["annotations"]) == (7, 4)
    reasons = {r for u, o, r in ledger.reasons if (u, o) == ("annotations", "left")}
    assert reasons == {"ignored region", "no picture", "unreadable"}
    info = await plan.apply()
    assert plan.counts()["train"] == {"images": 6, "labelled": 3, "boxes": 4}
    rows = sorted((info.classes[int(row[0])], row[1:]) for r in labels(info).values() for row in r)
    assert rows == [("Car", BOX)] * 3 + [("Van", BOX)]
