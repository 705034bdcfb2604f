"""One call of every operation of the stores of datasets, images and labels.

Each is made for the small dataset of `tests.helpers.planted`; not each can be done.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np

from tests.helpers.pictures import jpeg
from workbench.persistence import Stores
from workbench.persistence.inspection import ImageReplacement, LabelRepair
from workbench.persistence.label_models import Prediction
from workbench.persistence.models import Annotation, ImageMove, NewImage, RowPatch, TrashEntry
from workbench.persistence.rules import trash_entry
from workbench.persistence.stores.merging import Merge, WayBack
from workbench.persistence.suggestion_blocks import SuggestionBlock, SuggestionSource, new_block

BOX = Annotation(0, 0.5, 0.5, 0.25, 0.5)
Step = Callable[[Stores, Path, str], Awaitable[object]]
NAMED = ("pets", "a.jpg", "new.", "orphan.txt", "none", "0123456789abcdef")
KEY = ("train", "a.jpg")


def _entry(kind: str) -> TrashEntry:
    return trash_entry(kind, "a.jpg", "train")


def _block() -> SuggestionBlock:
    return new_block(SuggestionSource("model", "net"), {KEY: [Prediction(0, 0.5, 0.5, 0.2, 0.2)]})


def _new(name: str = "b2.jpg") -> NewImage:
    return NewImage(name, "train", jpeg(9), [BOX])


def _merge() -> Merge:
    classes = ["cat", "dog"]
    return Merge(
        classes, [*classes, "bird"], [_new()], [], {KEY: [BOX, BOX]}, lambda _: ("key", b"{}")
    )


DATASET: dict[str, Step] = {
    "create": lambda s, f, n: s.dataset.create(f"{n}-new", ["cat"]),
    "create_from": lambda s, f, n: s.dataset.create_from(f"{n}-new", ["cat"], [_new()]),
    "create_with": lambda s, f, n: s.dataset.import_folder(f / "data" / n, f"{n}-with"),
    "get": lambda s, f, n: s.dataset.get(n),
    "exists": lambda s, f, n: s.dataset.exists(n),
    "list": lambda s, f, n: s.dataset.list(),
    "names": lambda s, f, n: s.dataset.names(),
    "stamp": lambda s, f, n: s.dataset.stamp(n),
    "stamp_of_all": lambda s, f, n: s.dataset.stamp_of_all(),
    "get_prompts": lambda s, f, n: s.dataset.get_prompts(n),
    "save_prompts": lambda s, f, n: s.dataset.save_prompts(n, {0: ["a cat"]}),
    "get_tags": lambda s, f, n: s.dataset.get_tags(n),
    "save_tags": lambda s, f, n: s.dataset.save_tags(n, {"good": ["a.jpg"]}),
    "load_cache": lambda s, f, n: s.dataset.load_cache(n, "key"),
    "save_cache": lambda s, f, n: s.dataset.save_cache(n, "key", b"x"),
    "drop_caches": lambda s, f, n: s.dataset.drop_caches(n, ["key"]),
    "load_imports": lambda s, f, n: s.dataset.load_imports(n),
    "merge": lambda s, f, n: s.dataset.merge(n, _merge()),
    "take_back": lambda s, f, n: s.dataset.take_back(n, WayBack(), ("key", b"{}")),
    "set_colours": lambda s, f, n: s.dataset.set_colours(n, {"cat": "#ff8800"}),
    "update_classes": lambda s, f, n: s.dataset.update_classes(n, ["cat", "dog", "bird"]),
    "rewrite_classes": lambda s, f, n: s.dataset.rewrite_classes(n, ["a", "b", "c"], {0: 1, 1: 0}),
    "undo_rewrite": lambda s, f, n: s.dataset.undo_rewrite(n, "0123456789abcdef"),
    "copy_images": lambda s, f, n: s.dataset.copy_images(n, f"{n}-copy", [KEY]),
    "export_zip": lambda s, f, n: s.dataset.export_zip(n, f / "out"),
    "import_zip": lambda s, f, n: s.dataset.import_zip(f / "data" / n / "images", f"{n}-zip"),
    "import_folder": lambda s, f, n: s.dataset.import_folder(f / "data" / n, f"{n}-folder"),
    "snapshot": lambda s, f, n: s.dataset.snapshot(n, f / "snapshot"),
    "frozen": lambda s, f, n: s.dataset.frozen(n, "v"),
    "freeze": lambda s, f, n: s.dataset.freeze(n, "v"),
    "list_versions": lambda s, f, n: s.dataset.list_versions(n),
    "compare_versions": lambda s, f, n: s.dataset.compare_versions(n, None, None),
    "restore_version": lambda s, f, n: s.dataset.restore_version(n, "v"),
    "keep_version": lambda s, f, n: s.dataset.keep_version(n, "v"),
    "delete_version": lambda s, f, n: s.dataset.delete_version(n, "v"),
    "list_trash": lambda s, f, n: s.dataset.list_trash(),
    "rename": lambda s, f, n: s.dataset.rename(n, f"{n}-renamed"),
    "delete": lambda s, f, n: s.dataset.delete(n),
    "restore": lambda s, f, n: s.dataset.restore("none"),
    "purge": lambda s, f, n: s.dataset.purge("none"),
}
IMAGE: dict[str, Step] = {
    "save": lambda s, f, n: s.image.save(n, "train", "s.jpg", np.zeros((8, 8, 3), np.uint8)),
    "save_bytes": lambda s, f, n: s.image.save_bytes(n, *KEY, jpeg(5)),
    "add_many": lambda s, f, n: s.image.add_many(n, [_new("m.jpg"), _new("new.png")]),
    "sources": lambda s, f, n: s.image.sources(n),
    "load": lambda s, f, n: s.image.load(n, *KEY),
    "read_bytes": lambda s, f, n: s.image.read_bytes(n, *KEY),
    "read_many": lambda s, f, n: s.image.read_many(n, [KEY, ("train", "new.jpg")]),
    "measure_many": lambda s, f, n: s.image.measure_many(n, [KEY, ("train", "new.jpg")]),
    "get": lambda s, f, n: s.image.get(n, *KEY),
    "exists": lambda s, f, n: s.image.exists(n, *KEY),
    "list": lambda s, f, n: s.image.list(n),
    "keys": lambda s, f, n: s.image.keys(n),
    "scan": lambda s, f, n: s.image.scan(n),
    "suggestions": lambda s, f, n: s.image.suggestions(n),
    "add_suggestions": lambda s, f, n: s.image.add_suggestions(n, [_block()]),
    "drop_suggestions": lambda s, f, n: s.image.drop_suggestions(n, "0123456789abcdef"),
    "replace_many": lambda s, f, n: s.image.replace_many(
        n, [ImageReplacement("train", "a.jpg", "a.jpg", jpeg(8), jpeg(1))]
    ),
    "undo_replace": lambda s, f, n: s.image.undo_replace(n, ["none"]),
    "rename": lambda s, f, n: s.image.rename(n, *KEY, "renamed.jpg"),
    "move": lambda s, f, n: s.image.move(n, "renamed.jpg", "train", "test"),
    "move_many": lambda s, f, n: s.image.move_many(n, [ImageMove("a.jpg", "train", "test")]),
    "list_trash": lambda s, f, n: s.image.list_trash(n),
    "read_deleted": lambda s, f, n: s.image.read_deleted(n, ["none"]),
    "delete": lambda s, f, n: s.image.delete(n, *KEY),
    "delete_many": lambda s, f, n: s.image.delete_many(n, [KEY, ("train", "new.jpg")]),
    "restore": lambda s, f, n: s.image.restore(n, "none"),
    "restore_many": lambda s, f, n: s.image.restore_many(n, ["none"]),
    "discard_many": lambda s, f, n: s.image.discard_many(n, [_entry("image")]),
    "purge": lambda s, f, n: s.image.purge(n),
}
LABEL: dict[str, Step] = {
    "load": lambda s, f, n: s.label.load(n, *KEY),
    "get": lambda s, f, n: s.label.get(n, *KEY),
    "load_all": lambda s, f, n: s.label.load_all(n),
    "load_many": lambda s, f, n: s.label.load_many(n, [KEY, ("train", "new.jpg")]),
    "inspect": lambda s, f, n: s.label.inspect(n),
    "exists": lambda s, f, n: s.label.exists(n, *KEY),
    "history": lambda s, f, n: s.label.history(n),
    "save": lambda s, f, n: s.label.save(n, *KEY, [BOX]),
    "save_many": lambda s, f, n: s.label.save_many(n, {KEY: [BOX]}),
    "patch_many": lambda s, f, n: s.label.patch_many(n, {KEY: [RowPatch(0, None)]}),
    "repair_many": lambda s, f, n: s.label.repair_many(n, {KEY: LabelRepair("x", {})}),
    "revert": lambda s, f, n: s.label.revert(n, "none"),
    "revert_many": lambda s, f, n: s.label.revert_many(n, ["none"]),
    "delete_orphans": lambda s, f, n: s.label.delete_orphans(n, [("val", "orphan.txt")]),
    "move": lambda s, f, n: s.label.move(n, "a.jpg", "train", "test"),
    "delete": lambda s, f, n: s.label.delete(n, *KEY),
    "delete_many": lambda s, f, n: s.label.delete_many(n, [KEY]),
    "restore": lambda s, f, n: s.label.restore(n, "none"),
}
# What changes a dataset's name or takes it away comes last.
STEPS = [*LABEL.items(), *IMAGE.items(), *DATASET.items()]
