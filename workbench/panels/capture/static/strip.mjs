/** The last pictures, newest first, each with a way to delete it. */
/** @import { StripItem, StripMessage } from "../../types.d.ts" */
import { icon, make } from "../../shared/static/dom.mjs";

/** @param {{remove: (id: number) => void}} options */
export function createStrip({ remove }) {
  const list = make("ul", { class: "wbc-strip", "aria-label": "Last pictures" });
  const empty = make("p", { class: "wbc-empty" }, "Pictures that you take appear here.");
  const element = make("div", { class: "wbc-strip-box" }, empty, list);
  /** By id. @type {Map<number, {element: HTMLLIElement, image: HTMLImageElement}>} */
  const cells = new Map();

  /** @param {StripItem} item */
  function cellOf(item) {
    const image = make("img", { alt: "", draggable: "false" });
    const notes = make("span", { class: "wbc-notes" });
    const button = make(
      "button",
      {
        type: "button",
        class: "wbc-remove",
        title: "Delete this picture",
        "aria-label": `Delete ${item.name}`,
        onclick: () => remove(item.id),
      },
      icon("delete"),
    );
    const element = make("li", { title: item.name, "data-name": item.name }, image, notes, button);
    const words = [
      item.split,
      item.class_name,
      item.boxes ? `${item.boxes} box${item.boxes === 1 ? "" : "es"}` : "",
    ];
    notes.textContent = words.filter(Boolean).join(" · ");
    if (item.blurred)
      notes.prepend(make("b", { class: "wbc-blurred", title: "Looks blurred" }, "blurred "));
    return { element, image };
  }

  return {
    element,
    /** @param {StripMessage} message @param {DataView<ArrayBuffer>[]} buffers */
    receive(message, buffers) {
      for (const item of message.items) {
        let cell = cells.get(item.id);
        if (!cell) {
          cell = cellOf(item);
          cells.set(item.id, cell);
        }
        if (item.buffer !== null) {
          URL.revokeObjectURL(cell.image.src);
          cell.image.src = URL.createObjectURL(
            new Blob([buffers[item.buffer]], { type: "image/jpeg" }),
          );
        }
      }
      const wanted = new Set(message.ids);
      for (const [id, { element: cell, image }] of cells) {
        if (wanted.has(id)) continue;
        if (cell.contains(document.activeElement))
          (cell.nextElementSibling ?? cell.previousElementSibling)
            ?.querySelector("button")
            ?.focus();
        URL.revokeObjectURL(image.src);
        cell.remove();
        cells.delete(id);
      }
      let place = list.firstElementChild;
      for (const id of message.ids) {
        const cell = cells.get(id)?.element;
        if (!cell) continue;
        if (cell === place) place = cell.nextElementSibling;
        else list.insertBefore(cell, place);
      }
      empty.hidden = cells.size > 0;
    },
    close() {
      for (const { image } of cells.values()) URL.revokeObjectURL(image.src);
      cells.clear();
    },
  };
}
