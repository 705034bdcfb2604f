"""The page of the models panel about the chosen model: facts, name and note."""

from __future__ import annotations

from html import escape

import ipywidgets as w

from workbench.panels.models.model import NOTE, ModelsModel, obstacle, required
from workbench.panels.shared.parts import Spawn, allow, button, empty, labelled, page, row, show
from workbench.persistence.models import ModelInfo

_ABOUT = "What a model was trained on and how good it is stands here, with its name and your note."
FIGURES = ("mAP50", "mAP50-95", "precision", "recall")


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
        self._stored = ("", "")
        self.activate = button("Make active", "check", self._activate, spawn)
        self.delete = button("Delete", "trash", self._delete, spawn)
        self.name = labelled(w.Text(description="Name"), width="280px")
        self.rename = button("Rename", "pencil", self._rename, spawn)
        self.note = labelled(
            w.Textarea(description="Note", placeholder="what it is good for, what was tried"),
            width="100%",
            max_width="560px",
            height="84px",
        )
        self.save_note = button("Save note", "save", self._save_note, spawn)
        self.facts = w.HTML()
        self._forms = (
            row(self.name, self.rename, self.activate, self.delete),
            row(self.note, self.save_note),
        )
        self.view = page(*self._forms, self.facts)

    def show(self, info: ModelInfo | None) -> None:
        """Show another model, or none."""
        reason = obstacle(info)
        allow(self.delete, reason if info is None else "", "Move it to the trash")
        allow(self.rename, reason, "Give it the name beside this button")
        allow(self.save_note, reason, "Keep the note with the model")
        is_active = info is not None and info.is_active
        tip = "Let none label and predict" if is_active else "Let it label and predict"
        allow(self.activate, "" if is_active else reason, tip)
        self.activate.description = "Make inactive" if is_active else "Make active"
        stored = ("", "") if info is None else (info.name, str(info.details.get(NOTE, "")))
        if stored != self._stored:  # else it may be that somebody is typing
            self._stored = stored
            self.name.value, self.note.value = stored
        for form in self._forms:
            show(form, info is not None)
        self.facts.value = empty(_ABOUT) if info is None else _facts(info)

    async def _activate(self) -> None:
        info = required(self._model)
        await self._model.activate(None if info.is_active else info.name)

    async def _delete(self) -> None:
        await self._model.delete(required(self._model).name)

    async def _rename(self) -> None:
        await self._model.rename(required(self._model).name, self.name.value)

    async def _save_note(self) -> None:
        await self._model.note(required(self._model).name, self.note.value)


def _facts(info: ModelInfo) -> str:
    if info.problem:
        return empty(
            f"This model is damaged: {info.problem}. It can be moved to the trash; the other "
            f"models can be used meanwhile."
        )
    details = info.details
    config = details.get("config")
    config = config if isinstance(config, dict) else {}  # a stranger may have written the facts
    version = details.get("dataset_version")
    settings = ("image_size", "batch", "seed")
    *figures, _epochs, _dataset, _start, made = table_cells(info)
    facts = {
        "Measured": ", ".join(map(" ".join, zip(FIGURES, figures, strict=True))),
        "Made": made,
        "Classes": ", ".join(info.class_names) or "–",
        "Trained on": (info.dataset_name or "–") + (f", version {version}" if version else ""),
        "Started from": info.base_model or "–",
        "Epochs": f"{info.epochs_completed:,}"
        + (f" of {details['epochs_planned']}" if "epochs_planned" in details else ""),
        "Settings": ", ".join(f"{n.replace('_', ' ')} {config[n]}" for n in settings if n in config)
        or "–",
        "Training run": str(details.get("run_id", "–")),
        "Imported from": str(details.get("imported_from", "")),
        "Weights": str(info.path),
        "Trouble": info.weights_problem,
    }
    rows = "".join(
        f'<tr><th scope="row" class="wb-text">{name}</th>'
        f'<td class="wb-long">{escape(value)}</td></tr>'
        for name, value in facts.items()
        if value
    )
    return f'<table class="wb-table wb-facts"><tbody>{rows}</tbody></table>'
