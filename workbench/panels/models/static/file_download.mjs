/**
 * A button that saves a file of the kernel's machine on the browser's.
 *
 * The page asks for one piece after the other, so that neither side is flooded:
 *
 *   page    {kind: "want", start}                of the file that the button is for
 *   kernel  {kind: "piece", start, total, name}  with the bytes as the only buffer
 */
/** @import { DownloadModel, Receiver, View } from "../../types.d.ts" */
import { allow, make } from "../../shared/static/dom.mjs";
import { createDownload, saveAs } from "../../shared/static/download.mjs";
import { createSender, KERNEL_GONE } from "../../shared/static/kernel.mjs";

/** @param {View<DownloadModel>} view */
function render({ model, el }) {
  const kernel = createSender(model, () => {
    download = null;
    show();
  });
  /** @type {ReturnType<typeof createDownload> | null} */
  let download = null;
  const button = make(
    "button",
    {
      class: "jupyter-button wbm-download",
      type: "button",
      onclick: () => {
        if (download || model.get("why_not") || kernel.isGone()) return;
        download = createDownload();
        show("0 %");
        kernel.send({ kind: "want", start: 0 });
      },
    },
    "",
  );
  el.append(button);

  const show = (share = "") => {
    button.textContent = share ? `Downloading … ${share}` : model.get("label");
    const gone = kernel.isGone() ? KERNEL_GONE : "";
    allow(
      button,
      gone || model.get("why_not") || (share && "It is on its way: wait until it is here."),
    );
  };
  /** @type {Receiver<DownloadModel>} */
  const receive = (message, buffers) => {
    if (!download) return; // another view of this button asked
    if (message.kind !== "piece") {
      download = null;
      show();
      return;
    }
    if (!download.take(message.start, buffers[0])) return;
    if (download.size < message.total) {
      show(`${Math.floor((100 * download.size) / message.total)} %`);
      kernel.send({ kind: "want", start: download.size });
      return;
    }
    saveAs(download.blob(), message.name);
    download = null;
    show();
  };
  const refresh = () => {
    if (!download) show();
  };
  model.on("change:label change:why_not", refresh);
  model.on("msg:custom", receive);
  show();
  return () => {
    kernel.close();
    model.off("change:label change:why_not", refresh);
    model.off("msg:custom", receive);
  };
}

export default function fileDownload() {
  return { render };
}
