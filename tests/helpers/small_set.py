"""A small dataset with labels, prompts and tags, and everything that is in it."""

from __future__ import annotations

from tests.helpers.pictures import jpeg
from workbench.persistence import Stores
from workbench.persistence.models import Annotation

CAT = Annotation(0, 0.5, 0.5, 0.25, 0.5)
DOG = Annotation(1, 0.25, 0.25, 0.125, 0.25)
A, B, C = ("train", "a.jpg"), ("train", "b.jpg"), ("val", "c.jpg")


async def make_set(stores: Stores) -> str:
    """Make the dataset ``"set"``; return its name."""
    await stores.dataset.create("set", ["cat", "dog"])
    for number, (split, name) in enumerate((A, B, C)):
        await stores.image.save_bytes("set", split, name, jpeg(number))
    await stores.label.save("set", *A, [CAT, DOG])
    await stores.label.save("set", *C, [])
    await stores.dataset.save_prompts("set", {1: ["a dog"]})
    await stores.dataset.save_tags("set", {"day": ["a.jpg"]})
    return "set"


async def contents(stores: Stores) -> dict[object, object]:
    """Return all that the dataset holds, to compare."""
    info = await stores.dataset.get("set")
    found: dict[object, object] = {
        "classes": info.classes,
        "prompts": await stores.dataset.get_prompts("set"),
        "tags": await stores.dataset.get_tags("set"),
    }
    for image in await stores.image.list("set"):
        key = image.split, image.filename
        labels = await stores.label.get("set", *key)
        found[key] = (await stores.image.read_bytes("set", *key), labels)
    return found
