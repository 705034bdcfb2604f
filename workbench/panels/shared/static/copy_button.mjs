/** A button that copies a text, for panels of Jupyter's widgets. */
/** @import { CopyButtonModel, View } from "../../types.d.ts" */

import { copyBy } from "./copying.mjs";
import { allow, make } from "./dom.mjs";

/** @param {View<CopyButtonModel>} view */
function render({ model, el }) {
  const button = make(
    "button",
    {
      class: "jupyter-button wb-copy",
      type: "button",
      onclick: () => model.get("text") && copyBy(button, model.get("text")),
    },
    "Copy as Python",
  );
  el.append(button);
  const show = () => {
    const text = model.get("text");
    allow(button, text ? "" : model.get("why"), text);
  };
  model.on("change:text change:why", show);
  show();
  return () => model.off("change:text change:why", show);
}

export default function copyButton() {
  return { render };
}
