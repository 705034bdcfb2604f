/**
 * One line that says what happened last. The element stays while its text changes: a live
 * region that is replaced is not read out.
 */
/** @import { StatusLineModel, View } from "../../types.d.ts" */

import { ownKeysAround } from "./own_keys.mjs";

/** @param {View<StatusLineModel>} view */
function render({ model, el }) {
  const line = document.createElement("div");
  line.className = "wb-status-line";
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
  const release = ownKeysAround(el, ".wb-panel");
  return () => {
    model.off("change:text change:tone", show);
    release();
  };
}

export default function statusLine() {
  return { render };
}
