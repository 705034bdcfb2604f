/** The images around the one that is shown, as small pictures below it. */
import { activeWithin, make, setAttribute, setText } from "../../shared/static/dom.mjs";

/** Width of a picture with the gap behind it, in CSS pixels; as in `canvas.css`. */
const CELL = 90;
/** Milliseconds within which changes are asked about together. */
const PAUSE = 80;

/**
 * Which images fit: as many as the width has room for, the present one in the middle.
 * @param {number} width @param {number} index @param {number} total @param {number} shift cells that a hand has moved it
 */
export function stripRange(width, index, total, shift) {
  const count = Math.min(Math.max(Math.floor(width / CELL), 1), total);
  const wanted = index + shift - Math.floor(count / 2);
  return { first: Math.min(Math.max(wanted, 0), Math.max(total - count, 0)), count };
}

/**
 * @param {object} options
 * @param {(first: number, count: number) => void} options.ask
 * @param {(index: number) => import("./strip.mjs").StripItem|null} options.at
 * @param {(index: number) => void} options.go
 * @param {() => void} options.leave give the focus back to the stage
 */
export function createFilmstrip({ ask, at, go, leave }) {
  const element = make("div", {
    class: "wb-strip",
    role: "group",
    "aria-label": "Images around this one",
    hidden: true,
    onkeydown: press,
    onwheel: (/** @type {WheelEvent} */ event) => {
      event.preventDefault();
      move(Math.sign(event.deltaY || event.deltaX));
    },
  });
  let place = { index: 0, total: 0, stamp: "" };
  let shift = 0;
  let range = { first: 0, count: 0 };
  let timer = 0;
  let asked = "";

  /** @param {number} by */
  function move(by) {
    const before = range.first;
    const next = stripRange(element.clientWidth, place.index, place.total, shift + by);
    if (next.first === before) return;
    shift += by;
    render();
  }

  function cell() {
    const picture = make("img", { alt: "", draggable: "false" });
    const number = make("span", { class: "wb-strip-number" });
    const button = make(
      "button",
      {
        type: "button",
        class: "wb-strip-cell",
        onclick: () => {
          go(Number(button.dataset.index));
          leave();
        },
      },
      picture,
      number,
    );
    return button;
  }

  function render() {
    if (element.hidden) return;
    range = stripRange(element.clientWidth, place.index, place.total, shift);
    const mark = `${place.stamp} ${range.first} ${range.count}`;
    if (mark !== asked && range.count) {
      asked = mark;
      clearTimeout(timer);
      timer = window.setTimeout(() => ask(range.first, range.count), PAUSE);
    }
    while (element.childElementCount > range.count) element.lastElementChild?.remove();
    while (element.childElementCount < range.count) element.append(cell());
    for (const [i, child] of [...element.children].entries()) {
      const button = /** @type {HTMLButtonElement} */ (child);
      const index = range.first + i;
      const item = at(index);
      const [picture, number] = button.children;
      const state = item ? (item.labelled ? "labelled" : "not labelled") : "";
      button.dataset.index = String(index);
      setAttribute(button, "data-state", state);
      setAttribute(button, "tabindex", index === place.index ? 0 : -1);
      setAttribute(button, "aria-current", index === place.index);
      const text = `Image ${index + 1}${item ? `, ${item.name}, ${state}` : ""}`;
      setAttribute(button, "aria-label", text);
      setAttribute(button, "title", text);
      setText(number, String(index + 1));
      if (item?.url) setAttribute(picture, "src", item.url);
      else picture.removeAttribute("src");
      button.classList.toggle("wb-unreadable", item?.url === "");
    }
  }

  /** @param {KeyboardEvent} event */
  function press(event) {
    const cells = /** @type {HTMLElement[]} */ ([...element.children]);
    const i = cells.indexOf(/** @type {HTMLElement} */ (activeWithin(element)));
    const by = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (event.key === "Escape") leave();
    else if (!by || event.ctrlKey || event.metaKey || event.altKey) return;
    else if (cells[i + by]) cells[i + by].focus();
    else move(by); // the cell with the focus shows the next image then
    event.preventDefault();
    event.stopPropagation();
  }

  const observer = new ResizeObserver(() => render());
  observer.observe(element);

  return {
    element,
    isOpen: () => !element.hidden,
    /** @param {boolean} open */
    toggle(open) {
      element.hidden = !open;
      shift = 0;
      asked = "";
      render();
    },
    /**
     * @param {{index: number, total: number, stamp: string}} next `stamp`: changes with what the
     *   kernel knows of the images
     */
    update(next) {
      if (next.index !== place.index) shift = 0;
      place = next;
      render();
    },
    refresh: render,
    close() {
      clearTimeout(timer);
      observer.disconnect();
    },
  };
}
