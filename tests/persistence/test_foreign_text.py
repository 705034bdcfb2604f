"""Text that a stranger has crafted, in files of ours: refused by name, or made whole."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.pictures import jpeg
from tests.helpers.planted import Planted, limited, model_facts
from workbench.errors import InvalidDatasetError, InvalidNameError, NotFoundError, WorkbenchError
from workbench.persistence.foreign_text import is_whole, made_whole
from workbench.persistence.stored_json import loads

HALF = "\ud800"
HOSTILE = [HALF, "\udc80", "x" * 300, 10**400, 10**20, -1, True, None, [[]], {}, ""]


@pytest.fixture
def planted(tmp_path: Path) -> Planted:
    return Planted(tmp_path)


def crafted(value: Any, new: object) -> list[Any]:
    """The same JSON with one value replaced, and another one, and another one."""
    if isinstance(value, dict):
        inner = [({**value, key: one}) for key, item in value.items() for one in crafted(item, new)]
        renamed = [
            {(new if key == old else key): item for key, item in value.items()}
            for old in value
            if isinstance(new, str)
        ]
        return [new, *inner, *renamed]
    if isinstance(value, list):
        inner_lists = [
            [*value[:i], one, *value[i + 1 :]]
            for i, item in enumerate(value)
            for one in crafted(item, new)
        ]
        return [new, *inner_lists]
    return [new]


async def ours_or_done(work: Any) -> Any:
    try:
        return await limited(work)
    except WorkbenchError:
        return None


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda value: repr(value)[:12])
async def test_a_version_file(planted: Planted, hostile: object) -> None:
    stores = planted.stores()
    await stores.dataset.save_prompts("pets", {0: ["a cat"]})
    await stores.dataset.save_tags("pets", {"good": ["a.jpg"]})
    await stores.dataset.freeze("pets", "v")
    path = planted.pets / ".workbench/versions/v.version"
    head, _, packed = path.read_bytes().partition(b"\n")
    body = json.loads(zlib.decompress(packed))
    files = [
        json.dumps(one).encode() + b"\n" + packed for one in crafted(json.loads(head), hostile)
    ]
    files += [
        head + b"\n" + zlib.compress(json.dumps(one).encode()) for one in crafted(body, hostile)
    ]
    for data in files:
        path.write_bytes(data)
        await limited(stores.dataset.list_versions("pets"))
        await ours_or_done(stores.dataset.compare_versions("pets", "v", None))
        await ours_or_done(stores.dataset.restore_version("pets", "v"))
        assert not (await limited(stores.dataset.list()))[1].problem
        await limited(stores.label.load_all("pets"))
    planted.assert_nothing_outside_changed()


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda value: repr(value)[:12])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("dataset.json", {"created_at": "2026-01-01T00:00:00+00:00", "format": 1}),
        ("prompts.json", {"0": ["a cat"]}),
        ("tags.json", {"good": ["a.jpg"]}),
    ],
)
async def test_a_hidden_file(planted: Planted, name: str, content: Any, hostile: object) -> None:
    for one in crafted(content, hostile):
        planted.plant(f".workbench/{name}", one)
        stores = planted.stores()
        await limited(stores.dataset.list())
        for work in (
            stores.dataset.get("pets"),
            stores.dataset.get_prompts("pets"),
            stores.dataset.get_tags("pets"),
            stores.dataset.update_classes("pets", ["cat", "dog"]),
            stores.image.rename("pets", "train", "a.jpg", "a2.jpg"),
            stores.image.rename("pets", "train", "a2.jpg", "a.jpg"),
        ):
            await ours_or_done(work)
        await ours_or_done(stores.label.load_all("pets"))


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda value: repr(value)[:12])
async def test_a_trash_entry(planted: Planted, hostile: object) -> None:
    stores = planted.stores()
    entry = await stores.image.delete("pets", "train", "a.jpg")
    path = planted.pets / ".workbench/trash" / entry.id / "entry.json"
    content = json.loads(path.read_bytes())
    longest = "x" * 251 + ".jpg"  # as long as a name can be: but with its number it is too long
    names = [
        {**content, "files": [[content["files"][0][0], f"images/train/{name}"]]}
        for name in (f"{HALF}.jpg", "x" * 300 + ".jpg", longest, "\udc80.jpg", "a\0.jpg")
    ]
    for one in [*crafted(content, hostile), *names]:
        path.write_text(json.dumps(one))
        listed = await limited(stores.image.list_trash("pets"))
        assert len(listed) <= 1
        await limited(stores.image.read_deleted("pets", [entry.id]))
        await ours_or_done(stores.image.restore_many("pets", [entry.id]))
        # Wherever it was brought back to, it goes into the trash again.
        for image in await limited(stores.image.list("pets", "train")):
            back = await limited(stores.image.delete("pets", "train", image.filename))
            (path.parent.parent / back.id).replace(path.parent)
    planted.assert_nothing_outside_changed()


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda value: repr(value)[:12])
async def test_the_facts_of_a_model(planted: Planted, hostile: object) -> None:
    for one in crafted(model_facts(metrics={"best_map50": 0.5}), hostile):
        (planted.models / "net/model.json").write_text(json.dumps(one))
        stores = planted.stores()
        assert "good" in [info.name for info in await limited(stores.model.list())]
        await ours_or_done(stores.model.get("net"))
        await ours_or_done(stores.model.load("net"))


async def test_an_entry_that_does_not_tell_of_a_file_destroys_nothing(planted: Planted) -> None:
    stores = planted.stores()
    entry = await stores.image.delete("pets", "train", "a.jpg")
    path = planted.pets / ".workbench/trash" / entry.id / "entry.json"
    content = json.loads(path.read_bytes())
    path.write_text(json.dumps({**content, "files": content["files"][1:]}))
    with pytest.raises(InvalidDatasetError, match=r"0-a\.jpg"):
        await stores.image.restore_many("pets", [entry.id])
    assert await stores.image.purge("pets") == 0
    assert (path.parent / "0-a.jpg").read_bytes() == jpeg(1)


async def test_names_as_long_as_they_can_be_go_to_the_trash_and_come_back(
    planted: Planted,
) -> None:
    name = "x" * 251 + ".jpg"
    (planted.pets / "images/train" / name).write_bytes(jpeg(4))
    stores = planted.stores()
    entry = await stores.image.delete("pets", "train", name)
    await stores.image.restore("pets", entry.id)
    assert (planted.pets / "images/train" / name).read_bytes() == jpeg(4)


async def test_half_a_character_is_refused_wherever_a_user_gives_it(planted: Planted) -> None:
    stores = planted.stores()
    with pytest.raises(InvalidDatasetError, match="half a character"):
        await stores.dataset.update_classes("pets", ["cat", HALF])
    with pytest.raises(InvalidDatasetError, match="prompts of class 0"):
        await stores.dataset.save_prompts("pets", {0: [HALF]})
    with pytest.raises(InvalidDatasetError, match="tag"):
        await stores.dataset.save_tags("pets", {HALF: ["a.jpg"]})
    with pytest.raises(InvalidNameError):
        await stores.image.save_bytes("pets", "train", f"{HALF}.jpg", jpeg(3))
    with pytest.raises((InvalidNameError, NotFoundError)):
        await stores.image.load("pets", "train", f"{HALF}.jpg")


def test_what_json_of_ours_may_hold() -> None:
    assert loads(b'"\\ud83d\\ude00"') == "\U0001f600"  # a pair
    assert loads(b'"\\udc80.jpg"') == "\udc80.jpg"  # a name that is no UTF-8
    for text in (b'"\\ud800"', b'{"\\uDFFF": 1}', b'[["\\udc00"]]', b'"\xed\xa0\x80"'):
        with pytest.raises(ValueError, match="half a character"):
            loads(text)


def test_a_strangers_text_is_made_whole() -> None:
    assert made_whole({"a\ud800": ["\udfff", 1, None]}) == {"a\ufffd": ["\ufffd", 1, None]}
    assert is_whole("\U0001f600")
    assert not is_whole("a\udc80")
