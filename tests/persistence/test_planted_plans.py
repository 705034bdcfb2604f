"""A folder from a stranger holds the plan of a change that nobody was making."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from tests.helpers.archives import BOX
from tests.helpers.pictures import jpeg
from tests.helpers.planted import Planted, limited, model_facts, state
from workbench.persistence.models import Annotation

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links and pipes as POSIX has them")

TX = ".workbench/tx/1"


@pytest.fixture
def planted(tmp_path: Path) -> Planted:
    return Planted(tmp_path)


def refused(root: Path) -> list[str]:
    return sorted(path.name for path in (root / ".workbench").glob("refused-*"))


async def assert_listed(planted: Planted) -> None:
    """Both datasets are listed, and the labels of the planted one can be read."""
    stores = planted.stores()
    found = await limited(stores.dataset.list())
    assert [info.name for info in found] == ["pets", "sound"]
    assert await limited(stores.label.load("pets", "train", "a.jpg")) == [
        Annotation(0, 0.5, 0.5, 0.25, 0.5)
    ]
    planted.assert_nothing_outside_changed()
    planted.assert_no_secret_inside()


async def test_a_plan_overwrites_no_file_outside(planted: Planted) -> None:
    planted.plant(f"{TX}/0", b"evil")
    planted.plant(f"{TX}/plan.json", [[f"{TX}/0", "../../home/.bashrc"]])
    await assert_listed(planted)
    assert refused(planted.pets) == ["refused-1"]


async def test_a_plan_takes_no_private_key(planted: Planted) -> None:
    planted.plant(f"{TX}/plan.json", [["../../home/.ssh/id_rsa", "images/train/key.jpg"]])
    await assert_listed(planted)
    assert refused(planted.pets) == ["refused-1"]


HOME_PLANS = {
    "absolute target": lambda home: [[f"{TX}/0", f"{home}/.bashrc"]],
    "absolute source": lambda home: [[f"{home}/.ssh/id_rsa", "labels/train/k.txt"]],
    "dots in the middle": lambda _: [[f"{TX}/0", "images/../../../home/.bashrc"]],
    "dots behind a split": lambda _: [[f"{TX}/0", "images/train/../../../../home/a.jpg"]],
    "empty parts": lambda _: [[f"{TX}/0", "images//train/a.jpg"]],
    "another's transaction": lambda _: [[".workbench/tx/2/0", "images/train/c.jpg"]],
    "the plan itself": lambda _: [[f"{TX}/plan.json", "labels/train/c.txt"]],
    "no image": lambda _: [[f"{TX}/0", "images/train/run.sh"]],
    "a hidden image": lambda _: [[f"{TX}/0", "images/train/.c.jpg"]],
    "no split": lambda _: [[f"{TX}/0", "images/other/c.jpg"]],
    "a file beside": lambda _: [[f"{TX}/0", "setup.py"]],
    "a file of git": lambda _: [[f"{TX}/0", ".git/hooks/post-commit"]],
    "the lock": lambda _: [[f"{TX}/0", ".workbench/lock"]],
    "an image for labels": lambda _: [["images/train/a.jpg", "labels/train/a.txt"]],
    "a whole folder": lambda _: [["images/train", f"{TX}/gone-0"]],
    "the hidden folder": lambda _: [[".workbench", f"{TX}/gone-0"]],
    "nothing": lambda _: [["", "images/train/c.jpg"]],
    "a number": lambda _: [[1, 2]],
    "three names": lambda _: [["images/train/a.jpg", "images/val/a.jpg", "x"]],
    "a zero byte": lambda _: [[f"{TX}/0", "images/train/c\0.jpg"]],
    "no list": lambda _: {"images/train/a.jpg": "images/val/a.jpg"},
    "text": lambda _: "images/train/a.jpg",
    "null": lambda _: None,
    "no JSON": lambda _: b"[[",
    "deep": lambda _: b"[" * 100_000,
    "half good": lambda _: [
        ["images/train/a.jpg", "images/val/a.jpg"],
        [f"{TX}/0", "../../home/.bashrc"],
    ],
}


@pytest.mark.parametrize("name", HOME_PLANS)
async def test_an_implausible_plan_is_set_aside_whole(planted: Planted, name: str) -> None:
    planted.plant(f"{TX}/0", b"evil")
    planted.plant(f"{TX}/plan.json", HOME_PLANS[name](planted.home))
    await assert_listed(planted)
    assert refused(planted.pets) == ["refused-1"]
    assert (planted.pets / ".workbench/refused-1/plan.json").is_file()
    assert not (planted.pets / ".workbench/tx").exists()
    assert (planted.pets / "images/train/a.jpg").read_bytes() == jpeg(1)
    assert (planted.pets / "labels/train/a.txt").read_bytes() == BOX


@pytest.mark.parametrize("split", ["images/val", "images"])
async def test_a_plan_does_not_go_through_a_link(planted: Planted, split: str) -> None:
    folder = planted.pets / split
    folder.rename(planted.pets / "away")
    folder.symlink_to(planted.home / "tmp")
    (planted.home / "tmp/val").mkdir()
    planted.remember()
    planted.plant(f"{TX}/0", b"evil")
    planted.plant(
        f"{TX}/plan.json",
        [["images/val/holiday.jpg", f"{TX}/gone-0"], [f"{TX}/0", "images/val/b.jpg"]],
    )
    await limited(planted.stores().dataset.list())
    await limited(planted.stores().label.load_all("sound"))
    planted.assert_nothing_outside_changed()
    assert refused(planted.pets) == ["refused-1"]


@pytest.mark.parametrize("content", ["link", "folder", "pipe"])
async def test_what_a_plan_writes_is_an_ordinary_file(planted: Planted, content: str) -> None:
    planted.plant(f"{TX}/plan.json", [[f"{TX}/0", "labels/val/b.txt"]])
    staged = planted.pets / TX / "0"
    if content == "link":
        staged.symlink_to(planted.home / ".ssh/id_rsa")
    elif content == "folder":
        staged.mkdir()
    else:
        os.mkfifo(staged)
    await assert_listed(planted)
    assert refused(planted.pets) == ["refused-1"]
    assert not os.path.lexists(planted.pets / "labels/val/b.txt")


async def test_a_folder_in_the_place_of_an_image_refuses_the_plan(planted: Planted) -> None:
    (planted.pets / "images/val/a.jpg").mkdir()
    planted.plant(f"{TX}/plan.json", [["images/train/a.jpg", "images/val/a.jpg"]])
    await assert_listed(planted)
    assert refused(planted.pets) == ["refused-1"]


@pytest.mark.parametrize("content", ["link", "dangling", "folder", "pipe"])
async def test_a_plan_that_is_no_file_is_set_aside(planted: Planted, content: str) -> None:
    plan = planted.pets / TX / "plan.json"
    plan.parent.mkdir(parents=True)
    if content == "link":
        outside = planted.home / "plan.json"
        outside.write_text(json.dumps([["images/train/a.jpg", "images/val/a.jpg"]]))
        planted.remember()
        plan.symlink_to(outside)
    elif content == "dangling":
        plan.symlink_to(planted.home / "nothing")
    elif content == "folder":
        plan.mkdir()
    else:
        os.mkfifo(plan)
    await assert_listed(planted)
    assert refused(planted.pets) == ["refused-1"]


async def test_a_transaction_that_is_a_link_is_set_aside(planted: Planted) -> None:
    """Without a plan, it would be emptied as one that was not committed."""
    (planted.pets / ".workbench/tx").mkdir(parents=True)
    (planted.pets / TX).symlink_to(planted.home)
    await assert_listed(planted)
    assert refused(planted.pets) == ["refused-1"]


async def test_a_file_among_the_transactions_is_set_aside(planted: Planted) -> None:
    planted.plant(TX, b"no folder")
    await assert_listed(planted)
    assert refused(planted.pets) == ["refused-1"]


async def test_other_changes_are_completed_all_the_same(planted: Planted) -> None:
    """A plausible plan is carried out, whoever wrote it: a crash on another machine leaves one."""
    planted.plant(f"{TX}/plan.json", [[f"{TX}/0", "../../home/.bashrc"]])
    planted.plant(".workbench/tx/2/0", b"1 0.5 0.5 0.25 0.25\n")
    planted.plant(".workbench/tx/2/plan.json", [[".workbench/tx/2/0", "labels/val/b.txt"]])
    await assert_listed(planted)
    assert refused(planted.pets) == ["refused-1"]
    assert (planted.pets / "labels/val/b.txt").read_bytes() == b"1 0.5 0.5 0.25 0.25\n"


async def test_what_is_set_aside_is_kept_apart(
    planted: Planted, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        planted.plant(f"{TX}/plan.json", [[f"{TX}/0", "/etc/passwd"]])
        await assert_listed(planted)
    assert refused(planted.pets) == ["refused-1", "refused-2"]
    assert "/etc/passwd" in caplog.text
    assert "refused-2" in caplog.text


# --- the folder of models -----------------------------------------------------------------


@pytest.mark.parametrize(
    "plan",
    [
        [[f"{TX}/0", "../home/.bashrc"]],
        [["../home/.ssh", "stolen"]],
        [["../data/sound", "net2"]],
        [["good/weights.pt", "net/weights.pt"]],
        [[f"{TX}/0", "good/model.json"]],
        [[f"{TX}/0", "../data/sound/data.yaml"]],
    ],
)
async def test_a_plan_among_the_models_does_not_lead_outside(
    planted: Planted, plan: list[list[str]]
) -> None:
    folder = planted.models / TX
    folder.mkdir(parents=True)
    (folder / "0").write_bytes(b"evil")
    (folder / "plan.json").write_text(json.dumps(plan))
    stores = planted.stores()
    assert [info.name for info in await limited(stores.model.list())] == ["good", "net"]
    assert refused(planted.models) == ["refused-1"]
    planted.assert_nothing_outside_changed()
    assert (planted.models / "good/weights.pt").read_bytes() == b"weights"
    assert json.loads((planted.models / "good/model.json").read_bytes()) == model_facts()


async def test_a_plausible_plan_among_the_models_is_carried_out(planted: Planted) -> None:
    folder = planted.models / TX
    folder.mkdir(parents=True)
    (folder / "0").write_text('{"name": "net2"}')
    (folder / "plan.json").write_text(
        json.dumps([["net", "net2"], [f"{TX}/0", ".workbench/active.json"]])
    )
    stores = planted.stores()
    assert [info.name for info in await limited(stores.model.list())] == ["good", "net2"]
    active = await stores.model.get_active()
    assert active is not None
    assert active.name == "net2"


async def test_the_same_for_the_place_of_all_models(planted: Planted) -> None:
    """A folder in the way of a model's new name refuses the plan, and is not replaced."""
    folder = planted.models / TX
    folder.mkdir(parents=True)
    (folder / "plan.json").write_text(json.dumps([["net", "good"]]))
    stores = planted.stores()
    assert [info.name for info in await limited(stores.model.list())] == ["good", "net"]
    assert refused(planted.models) == ["refused-1"]


async def test_a_model_that_the_user_has_linked_gets_its_name(planted: Planted) -> None:
    (planted.models / "net").rename(planted.folder / "elsewhere")
    (planted.models / "net").symlink_to(planted.folder / "elsewhere")
    folder = planted.models / TX
    folder.mkdir(parents=True)
    (folder / "plan.json").write_text(json.dumps([["net", "net2"]]))
    stores = planted.stores()
    assert [info.name for info in await limited(stores.model.list())] == ["good", "net2"]
    assert refused(planted.models) == []


@pytest.mark.parametrize(
    "plan",
    [
        [["good", ".workbench/trash/9/0"], [".workbench/trash/9", f"{TX}/gone-0"]],
        [["good", "other"], ["other", f"{TX}/gone-0"]],
        [["good", f"{TX}/gone-0"]],
        [["good", ".workbench/new/1"], [".workbench/new/1", f"{TX}/gone-0"]],
        [["good", ".workbench/tmp/1"], [".workbench/tmp/1", f"{TX}/gone-0"]],
        [["good", "other"], ["net", "good"]],
        [["net", "x"], [f"{TX}/0", "x/weights.pt"]],
    ],
)
async def test_a_plan_of_several_steps_destroys_no_model(
    planted: Planted, plan: list[list[str]]
) -> None:
    """Each step alone could be one of ours."""
    before = dict(state(planted.models))
    folder = planted.models / TX
    folder.mkdir(parents=True)
    (folder / "0").write_bytes(b"evil")
    (folder / "plan.json").write_text(json.dumps(plan))
    stores = planted.stores()
    await limited(stores.model.list())
    await stores.model.purge()
    assert [info.name for info in await limited(stores.model.list())] == ["good", "net"]
    after = dict(state(planted.models))
    assert {name: after.get(name) for name in before} == before
    assert refused(planted.models) == ["refused-1"]
    planted.assert_nothing_outside_changed()


async def test_two_plans_together_destroy_no_model(planted: Planted) -> None:
    entry = {"kind": "model", "name": "good", "split": "", "files": [["0", "good"]]}
    entry["deleted_at"] = "2026-01-01T00:00:00+00:00"
    for number, plan in enumerate(
        (
            [["good", ".workbench/trash/9/0"], [f"{TX}/0", ".workbench/trash/9/entry.json"]],
            [[".workbench/trash/9", ".workbench/tx/2/gone-0"]],
        ),
        start=1,
    ):
        folder = planted.models / ".workbench/tx" / str(number)
        folder.mkdir(parents=True)
        (folder / "0").write_text(json.dumps(entry))
        (folder / "plan.json").write_text(json.dumps(plan))
    stores = planted.stores()
    assert [info.name for info in await limited(stores.model.list())] == ["net"]
    [deleted] = await stores.model.list_trash()
    await stores.model.restore(deleted.id)
    assert [info.name for info in await stores.model.list()] == ["good", "net"]
    assert (planted.models / "good/weights.pt").read_bytes() == b"weights"


@pytest.mark.parametrize("plan", [[["good", ".workbench/trash/9/0"]], []])
async def test_what_nobody_has_deleted_is_not_purged(planted: Planted, plan: list[object]) -> None:
    """A model in the trash without a word of what it is stays where it is."""
    if plan:
        folder = planted.models / TX
        folder.mkdir(parents=True)
        (folder / "plan.json").write_text(json.dumps(plan))
    else:
        (planted.models / ".workbench/trash/9").mkdir(parents=True)
        (planted.models / "good").rename(planted.models / ".workbench/trash/9/0")
    stores = planted.stores()
    assert [info.name for info in await limited(stores.model.list())] == ["net"]
    await stores.model.purge()
    kept = planted.models / ".workbench/trash/9/0/weights.pt"
    assert kept.read_bytes() == b"weights"
