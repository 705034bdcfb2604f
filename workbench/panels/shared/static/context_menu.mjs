/**
 * A menu that opens at a point of an area, by the right button or by a key.
 *
 * @typedef {object} MenuItem
 * @property {string} text
 * @property {() => void} run
 * @property {string} [keys] that do the same, shown beside it
 * @property {string} [key] one that does it while the menu is open
 * @property {boolean|null} [checked] of items of which one is chosen; null: no such item
 * @property {string} [colour] of a swatch before it
 * @property {string} [whyNot] why it cannot be had now; empty: it can
 *
 * @typedef {{name: string, many?: boolean, items: MenuItem[]}} MenuGroup  `many`: scrolls by itself
 */
import { activeWithin, make } from "./dom.mjs";
import { createTypeAhead } from "./type_ahead.mjs";

/** Pixels between a menu and the edges of the area. */
const MARGIN = 4;

/**
 * @param {object} options
 * @param {() => void} options.leave give the focus back to what the menu was opened over
 */
export function createContextMenu({ leave }) {
  const element = make("div", {
    class: "wb-menu",
    role: "menu",
    tabindex: "-1",
    hidden: true,
    onkeydown: press,
    onfocusout: (/** @type {FocusEvent} */ event) => {
      const to = /** @type {Node|null} */ (event.relatedTarget);
      if (!element.contains(to) && document.hasFocus()) close(false);
    },
    // A right click on it is not one on what lies below.
    oncontextmenu: (/** @type {Event} */ event) => {
      event.preventDefault();
      event.stopPropagation();
    },
  });
  const typeAhead = createTypeAhead();
  /** @type {Map<string, HTMLButtonElement>} */
  let direct = new Map();

  const buttons = () => [...element.querySelectorAll("button")];

  /** @param {HTMLButtonElement|undefined} button */
  function go(button) {
    button?.focus({ preventScroll: true });
    button?.scrollIntoView({ block: "nearest" });
  }

  /** @param {KeyboardEvent} event */
  function press(event) {
    const all = buttons();
    const at = all.indexOf(/** @type {HTMLButtonElement} */ (activeWithin(element)));
    const held = event.ctrlKey || event.metaKey || event.altKey;
    event.stopPropagation();
    if (event.key === "Escape" || event.key === "Tab") close();
    else if (event.key === "ArrowDown") go(all[(at + 1) % all.length]);
    else if (event.key === "ArrowUp") go(all.at(at - 1));
    else if (event.key === "Home") go(all[0]);
    else if (event.key === "End") go(all.at(-1));
    else if (held || event.key === "Enter" || (event.key === " " && !typeAhead.isTyping())) return;
    else if (direct.has(event.key)) direct.get(event.key)?.click();
    else if (event.key.length === 1) {
      const texts = all.map((button) => button.querySelector(".wb-menu-text")?.textContent ?? "");
      go(all[typeAhead.find(event.key, texts, at)]);
    } else return;
    event.preventDefault();
  }

  /** @param {boolean} back give the focus back */
  function close(back = true) {
    if (element.hidden) return;
    element.hidden = true;
    if (back) leave();
  }

  /** @param {MenuItem} item */
  function itemOf(item) {
    const { text, run, keys = "", checked = null, colour = "", whyNot = "" } = item;
    const swatch = make("span", { class: "wb-menu-swatch" });
    swatch.style.background = colour;
    const button = make(
      "button",
      {
        type: "button",
        class: "wb-menu-item",
        role: checked === null ? "menuitem" : "menuitemradio",
        tabindex: "-1",
        "aria-checked": checked === null ? null : String(checked),
        "aria-disabled": whyNot ? "true" : null,
        title: whyNot || null,
        onpointermove: () => button.focus({ preventScroll: true }),
        onclick: () => {
          if (whyNot) return;
          close();
          run();
        },
      },
      ...(colour ? [swatch] : []),
      make("span", { class: "wb-menu-text" }, text),
      ...(keys ? [make("span", { class: "wb-menu-keys", "aria-hidden": "true" }, keys)] : []),
    );
    if (item.key) direct.set(item.key, button);
    return button;
  }

  return {
    element,
    close,
    /**
     * Open it, inside of the element that it lies in.
     * @param {{x: number, y: number}} at CSS pixels within that element
     * @param {{name: string, groups: MenuGroup[], note?: string}} content
     */
    open(at, { name, groups, note = "" }) {
      direct = new Map();
      element.setAttribute("aria-label", name);
      element.replaceChildren(
        make("div", { class: "wb-menu-name", "aria-hidden": "true" }, name),
        ...groups
          .filter((group) => group.items.length)
          .map((group) =>
            make(
              "div",
              {
                class: `wb-menu-group${group.many ? " wb-many" : ""}`,
                role: "group",
                "aria-label": group.name,
              },
              ...group.items.map(itemOf),
            ),
          ),
        ...(note ? [make("div", { class: "wb-menu-note" }, note)] : []),
      );
      element.hidden = false;
      const room = /** @type {HTMLElement} */ (element.offsetParent ?? element.parentElement);
      const most = { x: room.clientWidth, y: room.clientHeight };
      element.style.maxHeight = `${most.y - 2 * MARGIN}px`;
      element.style.left = `${Math.max(Math.min(at.x, most.x - element.offsetWidth - MARGIN), MARGIN)}px`;
      element.style.top = `${Math.max(Math.min(at.y, most.y - element.offsetHeight - MARGIN), MARGIN)}px`;
      const chosen = buttons().find((button) => button.getAttribute("aria-checked") === "true");
      go(chosen ?? buttons()[0]);
    },
  };
}
