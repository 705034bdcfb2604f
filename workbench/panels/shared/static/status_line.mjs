/**
 * One line that says what happened last. The element stays while its text changes: a live
 * region that is replaced is not read out.
 */
/** @import { StatusLineModel, View } from "../../types.d.ts" */

import { KERNEL_GONE, onKernelBusy, onKernelGone } from "./kernel.mjs";
import { ownKeysAround } from "./own_keys.mjs";

const PANEL = ".wb-panel";
const BUSY =
  "The kernel is busy, with a cell that runs perhaps. What you do here is done when it has ended.";

/** @param {View<StatusLineModel>} view */
function render({ model, el }) {
  const line = document.createElement("div");
  line.className = "wb-status-line";
  line.setAttribute("role", "status");
  line.setAttribute("aria-live", "polite");
  el.append(line);
  let isBusy = false;
  let isGone = false;
  const show = () => {
    const text = isGone ? KERNEL_GONE : isBusy ? BUSY : model.get("text");
    line.textContent = text;
    line.title = text;
    line.dataset.tone = isGone ? "problem" : isBusy ? "info" : model.get("tone");
  };
  model.on("change:text change:tone", show);
  show();
  const release = ownKeysAround(el, PANEL);
  /** Said once: of panels within each other by the outer one, of lines in it by the first. @param {Element} panel */
  const isFirst = (panel) =>
    !panel.parentElement?.closest(PANEL) && panel.querySelector(".wb-status-line") === line;
  /** @type {(() => void)[]} */
  let forgotten = [];
  let frame = 0;
  const look = () => {
    const panel = el.closest(PANEL);
    if (!panel) {
      frame = requestAnimationFrame(look); // it is put into its place a while after it was made
      return;
    }
    forgotten = [
      onKernelBusy(model, panel, (now) => {
        isBusy = now && isFirst(panel);
        show();
      }),
      onKernelGone(model, () => {
        isGone = isFirst(panel);
        show();
      }),
    ];
  };
  look();
  return () => {
    model.off("change:text change:tone", show);
    cancelAnimationFrame(frame);
    for (const forget of forgotten) forget();
    release();
  };
}

export default function statusLine() {
  return { render };
}
