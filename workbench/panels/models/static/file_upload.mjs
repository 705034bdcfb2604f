/** A button that brings a file of the browser's machine to the kernel, piece by piece. */
/** @import { FileUploadModel, Receiver, View } from "../../types.d.ts" */
import { allow, make } from "../../shared/static/dom.mjs";
import { createSender, KERNEL_GONE } from "../../shared/static/kernel.mjs";
import { pageSession } from "../../shared/static/page_session.mjs";
import { createUploader } from "../../shared/static/upload.mjs";

/** @param {View<FileUploadModel>} view */
function render({ model, el }) {
  const kernel = createSender(model, () => {
    uploader.stop();
    show();
  });
  const session = pageSession();
  let sent = 0;
  let size = 0;
  const input = make("input", {
    type: "file",
    hidden: true,
    accept: model.get("accept"),
    "aria-label": model.get("label"),
    onchange: () => {
      const file = input.files?.[0];
      if (!file) return;
      size = file.size;
      uploader.add([file], "");
      input.value = "";
    },
  });
  const pick = () => button.getAttribute("aria-disabled") !== "true" && input.click();
  const button = make(
    "button",
    { class: "jupyter-button wbm-download", type: "button", onclick: pick },
    "",
  );
  el.append(button, input);

  const show = (share = "") => {
    button.textContent = share ? `Uploading … ${share}` : model.get("label");
    const gone = kernel.isGone() ? KERNEL_GONE : "";
    allow(button, gone || (share && "A file is on its way: wait until it is here."));
  };
  const uploader = createUploader({
    send(message, buffers) {
      sent = message.offset + buffers[0].byteLength;
      show(`${size ? Math.floor((100 * message.offset) / size) : 0} %`);
      kernel.send({ ...message, session }, buffers);
    },
    failed: () => {}, // the kernel is told as well, and says so
  });
  /** @type {Receiver<FileUploadModel>} */
  const receive = (message) => {
    if (message.to !== session) return;
    if (message.kind === "refused") {
      uploader.stop();
      show();
      return;
    }
    if (sent >= size) show();
    uploader.acknowledged(message);
  };
  const refresh = () => show();
  model.on("change:label", refresh);
  model.on("msg:custom", receive);
  show();
  return () => {
    kernel.close();
    model.off("change:label", refresh);
    model.off("msg:custom", receive);
    uploader.stop();
  };
}

export default function fileUpload() {
  return { render };
}
