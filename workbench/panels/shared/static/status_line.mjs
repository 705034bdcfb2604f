/**
 * One line that says what happened last. The element stays while its text changes: a live
 * region that is replaced is not read out.
 */
/** @import { StatusLineModel, View } from "../../types.d.ts" */

/**
 * Keys pressed in a panel mean the panel: JupyterLab would insert and delete cells. The line
 * is put into the panel some time after it is rendered, so this waits for that.
 * @param {Element} element @param {string} selector @returns {() => void}
 */
export function keepKeys(element, selector) {
  /** @param {Event} event */
  const stop = (event) => event.stopPropagation();
  /** @type {HTMLElement | null} */
  let panel = null;
  let frame = 0;
  const look = () => {
    panel = element.closest(selector);
    if (panel === null) {
      frame = requestAnimationFrame(look);
      return;
    }
    panel.dataset.lmSuppressShortcuts = "true";
    panel.addEventListener("keydown", stop);
  };
  look();
  return () => {
    cancelAnimationFrame(frame);
    panel?.removeEventListener("keydown", stop);
  };
}

/** @param {View<StatusLineModel>} view */
function render({ model, el }) {
  const line = document.createElement("div");
  line.className = "curate-status";
  line.setAttribute("role", "status");
  line.setAttribute("aria-live", "polite");
  el.append(line);
  const show = () => {
    line.textContent = model.get("text");
    line.title = model.get("text");
    line.dataset.tone = model.get("tone");
  };
  model.on("change:text change:tone", show);
  show();
  const release = keepKeys(el, ".wb-curate");
  return () => {
    model.off("change:text change:tone", show);
    release();
  };
}

export default function statusLine() {
  return { render };
}
