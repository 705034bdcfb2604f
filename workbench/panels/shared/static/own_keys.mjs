/**
 * Keys and context menus that are meant for a panel stay in it. A notebook's own keys insert,
 * move and delete cells, and its menu offers to delete one.
 *
 * - While the focus is in a panel, no key leaves it.
 * - A click on a part of it that takes no focus, such as a counter, gives the focus to the panel;
 *   among the tabs to the panel that is seen: its keys work as soon as its tab was clicked.
 * - While the pointer is over it and nobody types elsewhere, the next key comes to it, too.
 * - A first click into a field for a number selects it: it is about to be replaced.
 * - Where a control that has the focus is disabled, hidden or removed, the panel takes the focus,
 *   and a control that can be used again takes it back.
 */

import { activeWithin } from "./dom.mjs";
import { keyOf } from "./letters.mjs";

const TEXT =
  "textarea, select, [contenteditable]:not([contenteditable=false]), .cm-editor, " +
  "input:not([type=range], [type=checkbox], [type=radio], [type=button], [type=file])";

/** Whether keys typed into an element are text. @param {EventTarget|null} target */
export function isTyping(target) {
  return target instanceof Element && target.closest(TEXT) !== null;
}

/**
 * Keep keys and menus in a panel.
 * @param {HTMLElement} root everything of the panel
 * @param {HTMLElement} [home] what takes the keyboard when no control was clicked
 * @returns {() => void} to let go
 */
export function ownKeys(root, home = root) {
  const abort = new AbortController();
  const { signal } = abort;
  root.dataset.lmSuppressShortcuts = "true";
  root.dataset.wbKeys = "";
  if (!root.hasAttribute("tabindex")) root.tabIndex = -1;

  const seen = () => [...root.querySelectorAll("[data-wb-keys]")].find(isShown);
  const taker = () => (home === root && /** @type {HTMLElement|undefined} */ (seen())) || home;
  const takeFocus = () => {
    const active = activeWithin(root);
    if (!root.contains(active) || active === root) taker().focus({ preventScroll: true });
  };
  // The click, and not the press: JupyterLab gives the focus to the notebook after the press.
  root.addEventListener("click", takeFocus, { signal });
  root.addEventListener("pointerup", takeFocus, { signal });
  if (home !== root) root.addEventListener("focus", takeFocus, { signal });

  keepFocus(root, taker, signal);
  selectNumbers(root, signal);

  /** @param {Event} event */
  const stop = (event) => event.stopPropagation();
  for (const type of ["keydown", "keyup", "keypress"])
    root.addEventListener(type, stop, { signal });
  root.addEventListener(
    "keydown",
    (event) => {
      // All is saved already, and a browser would offer to save the page.
      const isSave = (event.ctrlKey || event.metaKey) && keyOf(event).toLowerCase() === "s";
      if (isSave && !event.shiftKey && !event.altKey) event.preventDefault();
    },
    { signal },
  );
  root.addEventListener(
    "contextmenu",
    (event) => {
      event.stopPropagation();
      if (!isTyping(event.target)) event.preventDefault();
    },
    { signal },
  );

  // On the window, because JupyterLab listens on the document before anything below it.
  /** @param {KeyboardEvent} event */
  const fetchKey = (event) => {
    // A page that was left by a key, with the pointer over it, stays ":hover" while it is hidden.
    const isOver = root.matches(":hover") && isShown(root);
    const isInnermost = isOver && !root.querySelector("[data-wb-keys]:hover");
    if (!event.isTrusted || !isInnermost || event.composedPath().includes(root)) return;
    if (isTyping(event.target) || document.querySelector("[aria-modal=true], .jp-Dialog")) return;
    event.stopImmediatePropagation();
    takeFocus();
    const again = new KeyboardEvent(event.type, event);
    taker().dispatchEvent(again);
    if (again.defaultPrevented) event.preventDefault();
  };
  window.addEventListener("keydown", fetchKey, { signal, capture: true });
  return () => abort.abort();
}

/** @param {Element} element */
const isShown = (element) => element.getClientRects().length > 0;

/** Whether an element can have the focus. @param {HTMLElement} element */
const isUsable = (element) => isShown(element) && !element.matches(":disabled");

/**
 * Take the focus that a control loses by itself: the browser would leave it to nobody, and the
 * next Tab would begin at the top of the page.
 * @param {HTMLElement} root @param {() => HTMLElement} taker @param {AbortSignal} signal
 */
function keepFocus(root, taker, signal) {
  const isFree = () => activeWithin(root) === document.body;
  root.addEventListener(
    "focusout",
    (event) => {
      const lost = /** @type {HTMLElement} */ (event.target);
      if (event.relatedTarget || lost === root) return;
      requestAnimationFrame(() => {
        const home = taker();
        if (!isFree() || isUsable(lost) || !isUsable(home)) return;
        home.focus({ preventScroll: true });
        if (!lost.isConnected) return;
        const watch = new MutationObserver(() => {
          if (!isUsable(lost)) return;
          watch.disconnect();
          if (activeWithin(root) === home) lost.focus({ preventScroll: true });
        });
        watch.observe(lost, { attributes: true, attributeFilter: ["disabled"] });
        home.addEventListener("focusout", () => watch.disconnect(), { once: true, signal });
      });
    },
    { signal },
  );
}

/**
 * Select a field for a number that is clicked on for the first time, so that one click and the
 * digits are enough. After the press: the browser puts the cursor into it then.
 * @param {HTMLElement} root @param {AbortSignal} signal
 */
function selectNumbers(root, signal) {
  /** @type {EventTarget|null} */
  let entered = null;
  root.addEventListener(
    "pointerdown",
    ({ target }) => {
      entered = activeWithin(root) === target ? null : target;
    },
    { signal, capture: true },
  );
  root.addEventListener(
    "click",
    ({ target }) => {
      const field = /** @type {HTMLInputElement|null} */ (target);
      if (field?.type === "number" && field === entered) field.select();
      entered = null;
    },
    { signal },
  );
}

/**
 * Likewise for a panel of Jupyter's own widgets, into which an element is put a while after it
 * was made.
 * @param {Element} element @param {string} selector of the panel @returns {() => void}
 */
export function ownKeysAround(element, selector) {
  let release = () => {};
  let frame = 0;
  const look = () => {
    const panel = /** @type {HTMLElement|null} */ (element.closest(selector));
    if (panel) release = ownKeys(panel);
    else frame = requestAnimationFrame(look);
  };
  look();
  return () => {
    cancelAnimationFrame(frame);
    release();
  };
}
