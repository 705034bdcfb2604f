/** The last pictures, newest first, each with a way to delete it. */
import { icon, make } from "../../shared/static/dom.mjs";

/** @param {{remove: (id: number) => void}} options */
export function createStrip({ remove }) {
  const list = make("ul", { class: "wbc-strip", "aria-label": "Last pictures" });
  const empty = make("p", { class: "wbc-empty" }, "Pictures that you take appear here.");
  const element = make("div", { class: "wbc-strip-box" }, empty, list);
  const cells = new Map(); // id -> cell

  function cellOf(item) {
    const image = make("img", { alt: "", draggable: "false" });
    const notes = make("span", { class: "wbc-notes" });
    const button = make("button", { type: "button", class: "wbc-remove", title: "Delete this picture", "aria-label": `Delete ${item.name}`, onclick: () => remove(item.id) }, icon("delete"));
    const cell = make("li", { title: item.name, "data-name": item.name }, image, notes, button);
    const words = [item.split, item.class_name, item.boxes ? `${item.boxes} box${item.boxes === 1 ? "" : "es"}` : ""];
    notes.textContent = words.filter(Boolean).join(" · ");
    if (item.blurred) notes.prepend(make("b", { class: "wbc-blurred", title: "Looks blurred" }, "blurred "));
    return cell;
  }

  return {
    element,
    /** @param {{ids: number[], items: object[]}} message @param {DataView[]} buffers */
    receive(message, buffers) {
      for (const item of message.items) {
        let cell = cells.get(item.id);
        if (!cell) {
          cell = cellOf(item);
          cells.set(item.id, cell);
        }
        if (item.buffer !== null && item.buffer !== undefined) {
          const image = cell.querySelector("img");
          URL.revokeObjectURL(image.src);
          image.src = URL.createObjectURL(new Blob([buffers[item.buffer]], { type: "image/jpeg" }));
        }
      }
      const wanted = new Set(message.ids);
      for (const [id, cell] of cells) {
        if (wanted.has(id)) continue;
        if (cell.contains(document.activeElement)) (cell.nextElementSibling ?? cell.previousElementSibling)?.querySelector("button")?.focus();
        URL.revokeObjectURL(cell.querySelector("img").src);
        cell.remove();
        cells.delete(id);
      }
      let place = list.firstElementChild;
      for (const id of message.ids) {
        const cell = cells.get(id);
        if (!cell) continue;
        if (cell === place) place = place.nextElementSibling;
        else list.insertBefore(cell, place);
      }
      empty.hidden = cells.size > 0;
    },
    close() {
      for (const cell of cells.values()) URL.revokeObjectURL(cell.querySelector("img").src);
      cells.clear();
    },
  };
}
