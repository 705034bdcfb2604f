"""The account of an import, kept with the dataset."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.formats.making import PICTURE, coco, folder, voc
from tests.helpers.backends import BACKENDS, make_backend
from workbench import import_accounts, import_dataset, plan_merge, take_back_import
from workbench.datasets.formats.accounts import Account, work_since
from workbench.errors import ConflictError, NotFoundError
from workbench.persistence import Stores, create_stores

OBJECT = (
    "<object><name>cat</name><difficult>1</difficult><occluded>0</occluded><bndbox><xmin>20</xmin>"
    "<ymin>10</ymin><xmax>80</xmax><ymax>60</ymax></bndbox></object>"
)


@pytest.mark.parametrize("kind", BACKENDS)
async def test_accounts_stay_with_the_dataset(tmp_path: Path, kind: str) -> None:
    stores = make_backend(kind, tmp_path).stores
    source = folder(
        tmp_path / "in" / "pets",
        {"a.jpg": PICTURE, "a.xml": voc(OBJECT + "<object><name>x</name></object>")},
    )
    info = await import_dataset(stores, source)
    [account] = await import_accounts(stores, "pets")
    assert account.ledger == info.ledger
    assert account.source == str(source)
    assert account.ledger.to_frame()["place"].tolist() == [2, 0]
    [(box, extra)] = account.extras["a.jpg"]
    assert (box.class_id, round(box.width, 9), extra) == (0, 0.3, {"difficult": True})

    assert account.pictures == {"a.jpg": "train/a.jpg"}
    assert "difficult" not in repr([account])  # which would be long for many images

    more = folder(tmp_path / "more", {"x.json": coco({"bbox": [0, 0, 9, 9], "score": 0.5})})
    await (await plan_merge(stores, more, "pets", existing="add")).apply()
    _, second = await import_accounts(stores, "pets")
    assert second.ledger.format == "coco"
    assert second.extras["a.jpg"][0][1] == {"score": 0.5}


async def test_a_damaged_account_hides_no_other(tmp_path: Path, persistence_stores: Stores) -> None:
    source = folder(tmp_path / "in" / "pets", {"a.jpg": PICTURE, "a.xml": voc(OBJECT)})
    info = await import_dataset(persistence_stores, source)
    kept = info.path / ".workbench" / "imports"
    for number, text in enumerate(("{", "[]", '{"format": 1}', "[" * 100_000)):
        (kept / f"0{number}.json").write_text(text)
    assert len(await import_accounts(persistence_stores, "pets")) == 1
    with pytest.raises(ValueError, match="account"):
        Account.from_bytes("x", b"[]")


@pytest.mark.parametrize("kind", BACKENDS)
@pytest.mark.parametrize("own", [True, False])
async def test_accounts_travel_in_the_archive(tmp_path: Path, kind: str, own: bool) -> None:
    stores = make_backend(kind, tmp_path).stores
    source = folder(tmp_path / "in" / "pets", {"a.jpg": PICTURE, "a.xml": voc(OBJECT)})
    await import_dataset(stores, source)
    archive = await stores.dataset.export_zip("pets", tmp_path)
    if own:
        await stores.dataset.import_zip(archive, name="copy")
    else:
        await import_dataset(stores, archive, "copy")
    before = await import_accounts(stores, "pets")
    after = await import_accounts(stores, "copy")
    assert after[: len(before)] == before
    assert len(after) == (1 if own else 2)
    assert after[0].extras["a.jpg"][0][1] == {"difficult": True}

    some = await stores.dataset.export_zip("pets", tmp_path / "some", only=[("train", "a.jpg")])
    await stores.dataset.import_zip(some, name="some")
    assert await import_accounts(stores, "some") == []


@pytest.mark.parametrize("kind", BACKENDS)
async def test_an_import_that_made_the_dataset_is_taken_back(tmp_path: Path, kind: str) -> None:
    stores = make_backend(kind, tmp_path).stores
    source = folder(tmp_path / "in", {"a.jpg": PICTURE, "a.xml": voc(OBJECT)})
    await import_dataset(stores, source, "pets")
    [account] = [
        Account.from_bytes(*i) for i in (await stores.dataset.load_imports("pets")).items()
    ]
    assert account.made
    assert account.can_be_taken_back
    await take_back_import(stores, "pets", account)
    assert not await stores.dataset.exists("pets")
    assert [entry.name for entry in await stores.dataset.list_trash()] == ["pets"]


async def test_an_import_is_taken_back_by_the_id_of_its_account(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    stores = persistence_stores
    source = folder(tmp_path / "in", {"a.jpg": PICTURE, "a.xml": voc(OBJECT)})
    await import_dataset(stores, source, "pets")
    more = folder(tmp_path / "more", {"x.json": coco({"bbox": [0, 0, 9, 9]})})
    await (await plan_merge(stores, more, "pets", existing="add")).apply()
    made, stale = await import_accounts(stores, "pets")
    with pytest.raises(NotFoundError, match=f"found 'that one'.*{stale.id}"):
        await take_back_import(stores, "pets", "that one")
    await take_back_import(stores, "pets", stale.id)
    for again in (stale, stale.id):  # which was read before it was taken back
        with pytest.raises(ConflictError, match="undone already"):
            await take_back_import(stores, "pets", again)
    await take_back_import(stores, "pets", made.id, confirmed=True)
    with pytest.raises(NotFoundError, match="taken back already"):
        await take_back_import(stores, "pets", made)


@pytest.mark.parametrize("work", ["labels", "tags", "lost"])
async def test_work_since_is_not_thrown_away_unasked(tmp_path: Path, work: str) -> None:
    source = folder(tmp_path / "in", {"a.jpg": PICTURE, "a.xml": voc(OBJECT)})
    data = tmp_path / "data"
    await import_dataset(create_stores(data, tmp_path / "models"), source, "pets")
    stores = create_stores(data, tmp_path / "models")  # as after a restart
    [account] = await import_accounts(stores, "pets")
    assert await work_since(stores, "pets") == ""
    if work == "labels":
        await stores.label.save("pets", "train", "a.jpg", [])
    elif work == "tags":
        await stores.dataset.save_tags("pets", {"good": ["a.jpg"]})
    else:
        shutil.rmtree(data / "pets" / ".workbench" / "cache")
    with pytest.raises(ConflictError, match="nothing was undone"):
        await take_back_import(stores, "pets", account)
    assert (data / "pets" / "images" / "train" / "a.jpg").read_bytes() == PICTURE
    await take_back_import(stores, "pets", account, confirmed=True)
    assert not (data / "pets").exists()
    assert [entry.name for entry in await stores.dataset.list_trash()] == ["pets"]
