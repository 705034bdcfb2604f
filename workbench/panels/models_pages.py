"""The pages of the models panel about the chosen model: facts, name and note; trying it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from html import escape
from typing import Any

import ipywidgets as w

from workbench.datasets.drawing import to_png
from workbench.panels.curate_parts import Spawn, button, hint, labelled, page, row
from workbench.panels.models_model import NOTE, ModelsModel
from workbench.persistence.models import SPLITS, ModelInfo

_NO_MODEL = "No model is chosen."


def table_cells(info: ModelInfo) -> list[str]:
    """Return what the table says of a model, besides its name and curve."""
    metrics = info.metrics
    figures = (
        info.best_map50,
        metrics.get("best_map50_95", metrics.get("map50_95")),
        metrics.get("precision"),
        metrics.get("recall"),
    )
    made = "" if info.created_at is None else f"{info.created_at.astimezone():%Y-%m-%d %H:%M}"
    return [
        *("–" if value is None else f"{value:.3f}" for value in figures),
        f"{info.epochs_completed:,}",
        info.dataset_name or "–",
        info.base_model or "–",
        made,
    ]


class DetailsPage:
    """Facts of a model, its name and note; makes it active, or deletes it.

    Parameters
    ----------
    model : ModelsModel
    spawn : callable
    """

    title = "About"

    def __init__(self, model: ModelsModel, spawn: Spawn) -> None:
        self._model = model
        self.activate = button(
            "Make active", "check", self._activate, spawn, tip="Let it label and predict"
        )
        self.delete = button("Delete", "trash", self._delete, spawn, tip="Move it to the trash")
        self.name = labelled(w.Text(description="Name"), width="280px")
        self.rename = button("Rename", "pencil", self._rename, spawn)
        self.note = labelled(
            w.Textarea(description="Note", placeholder="what it is good for, what was tried"),
            width="100%",
            max_width="560px",
            height="64px",
        )
        self.save_note = button("Save note", "save", self._save_note, spawn)
        self.facts = w.HTML()
        self.view = page(
            row(self.name, self.rename, self.activate, self.delete),
            row(self.note, self.save_note),
            self.facts,
        )

    def show(self, info: ModelInfo | None) -> None:
        """Show another model, or none."""
        for widget in (self.activate, self.delete, self.rename, self.save_note):
            widget.disabled = info is None
        is_active = info is not None and info.is_active
        self.activate.description = "Make inactive" if is_active else "Make active"
        self.name.value = "" if info is None else info.name
        self.note.value = "" if info is None else str(info.details.get(NOTE, ""))
        self.facts.value = hint(_NO_MODEL).value if info is None else _facts(info)

    async def _activate(self) -> None:
        info = required(self._model)
        await self._model.activate(None if info.is_active else info.name)

    async def _delete(self) -> None:
        await self._model.delete(required(self._model).name)

    async def _rename(self) -> None:
        await self._model.rename(required(self._model).name, self.name.value)

    async def _save_note(self) -> None:
        await self._model.note(required(self._model).name, self.note.value)


class TryPage:
    """A picture, from a dataset or from the browser, with what the model finds on it.

    Parameters
    ----------
    model : ModelsModel
    spawn : callable
    """

    title = "Try"

    def __init__(self, model: ModelsModel, spawn: Spawn) -> None:
        self._model = model
        self._spawn = spawn
        self.dataset = labelled(w.Dropdown(description="Dataset"), max_width="100%")
        self.split = labelled(w.Dropdown(description="Split", options=SPLITS, value="val"))
        self.image = labelled(w.Dropdown(description="Image"), max_width="100%")
        self.upload = w.FileUpload(
            accept="image/*", description="Upload a picture", layout={"width": "auto"}
        )
        self.run = button("Find objects", "search", self._try, spawn)
        self.confidence = labelled(
            w.FloatSlider(
                description="Confidence from", min=0.05, max=0.95, step=0.05, value=0.25,
                readout_format=".2f",
            ),
            width="100%",
            max_width="420px",
        )  # fmt: skip
        self.words = w.HTML()
        self._image = w.Image(format="png", layout={"max_width": "100%", "object_fit": "contain"})
        self._frame = w.Box((self._image,), layout={"display": "none"})
        self._frame.add_class("wbm-picture")
        self.view = page(
            row(self.dataset, self.split, self.image, self.run, self.upload),
            row(self.confidence, self.words),
            self._frame,
        )
        self.dataset.observe(self._list, "value")
        self.split.observe(self._list, "value")
        self.upload.observe(self._take, "value")
        self.confidence.observe(self._draw, "value")
        model.observe(self._draw, names=("tried", "found"))

    async def refresh(self) -> None:
        """Look again which datasets there are."""
        names = await self._model.datasets()
        info = self._model.info
        wanted = self.dataset.value or (info.dataset_name if info else "")
        self.dataset.options = names
        self.dataset.value = wanted if wanted in names else next(iter(names), None)
        await self._list_images()

    def show(self, info: ModelInfo | None) -> None:
        """Let another model look; one that was trained on a dataset begins with that."""
        self.run.disabled = info is None
        if info is not None and info.dataset_name in self.dataset.options:
            self.dataset.value = info.dataset_name

    def _list(self, _change: Mapping[str, Any]) -> None:
        self._spawn(self._list_images)

    async def _list_images(self) -> None:
        dataset, split = self.dataset.value, self.split.value
        names = await self._model.images(dataset, split) if dataset else []
        if (dataset, split) == (self.dataset.value, self.split.value):
            kept = self.image.value
            self.image.options = names
            self.image.value = kept if kept in names else next(iter(names), None)

    async def _try(self) -> None:
        info = required(self._model)
        if not self.image.value:
            raise ValueError("Choose an image first, or bring one of yours.")
        where = self.dataset.value, self.split.value, self.image.value
        await self._model.try_image(info.name, *where)

    def _take(self, change: Mapping[str, Any]) -> None:
        files = change["new"]
        if not files:
            return
        name, data = files[0]["name"], bytes(files[0]["content"])

        async def try_it() -> None:
            self.upload.value = ()  # so that the same file can be brought again
            await self._model.try_bytes(required(self._model).name, data, name)

        self._spawn(try_it)

    def _draw(self, _change: Mapping[str, Any]) -> None:
        if self._model.tried is not None:
            self._spawn(self._show_picture)

    async def _show_picture(self) -> None:
        confidence = self.confidence.value
        drawn = await asyncio.to_thread(self._model.drawn, confidence)
        if drawn is None:
            return
        png = await asyncio.to_thread(to_png, drawn)
        if confidence != self.confidence.value:  # the slider has moved on
            return
        self._image.value = png
        self._frame.layout.display = None
        count = len(self._model.above(confidence))
        self.words.value = (
            f"{count} of {len(self._model.found)} boxes, by <b>{escape(self._model.found_by)}</b>"
        )


def required(model: ModelsModel) -> ModelInfo:
    """Return the model that is chosen; ValueError if none is."""
    if model.info is None:
        raise ValueError("Choose a model first.")
    return model.info


def _facts(info: ModelInfo) -> str:
    details = info.details
    config = details.get("config") or {}
    version = details.get("dataset_version")
    settings = ("image_size", "batch", "seed")
    facts = {
        "Classes": ", ".join(info.class_names) or "–",
        "Trained on": (info.dataset_name or "–") + (f", version {version}" if version else ""),
        "Started from": info.base_model or "–",
        "Epochs": f"{info.epochs_completed:,}"
        + (f" of {details['epochs_planned']:,}" if "epochs_planned" in details else ""),
        "Settings": ", ".join(f"{n.replace('_', ' ')} {config[n]}" for n in settings if n in config)
        or "–",
        "Training run": str(details.get("run_id", "–")),
        "Imported from": str(details.get("imported_from", "")),
        "Weights": str(info.path),
    }
    rows = "".join(
        f'<tr><th scope="row" class="curate-text">{name}</th>'
        f'<td class="curate-long">{escape(value)}</td></tr>'
        for name, value in facts.items()
        if value
    )
    return f'<table class="curate-table"><tbody>{rows}</tbody></table>'
