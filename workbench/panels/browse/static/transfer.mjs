/** The pages of imports and exports, which stand in place of the gallery, and what is downloaded. */
/** @import { GalleryReceived, Send, TransferPage } from "../../types.d.ts" */
import { createDownload, saveAs } from "../../shared/static/download.mjs";
import { createTransferPage, importContent } from "../../shared/static/transfer_page.mjs";
import { exportPage } from "./export_page.mjs";

/**
 * @param {{send: Send, leave: () => void,
 *   progressed: (share: number|null, name: string) => void}} options
 *   `leave`: put the focus back into the gallery; `progressed`: told how much of a download has
 *   come, null: it is over
 */
export function createTransfer({ send, leave, progressed }) {
  /** @type {ReturnType<typeof createDownload> | null} */
  let download = null;
  let isWanted = false; // a download is being packed

  function startDownload() {
    if (download || isWanted) return;
    isWanted = true;
    page.ask({ kind: "export", action: "prepare" });
  }
  const page = createTransferPage({
    send,
    leave,
    /** @param {TransferPage} shown @param {Send} ask */
    contentOf: (shown, ask) =>
      shown.kind === "export"
        ? exportPage(shown, ask, startDownload)
        : importContent(shown, ask, "Back to the gallery"),
  });

  return {
    element: page.element,
    isOpen: page.isOpen,
    key: page.key,
    expect: page.expect,
    /** @param {TransferPage} shown */
    update(shown) {
      if (!page.update(shown)) return;
      if (shown.kind === "export" && shown.download.name && isWanted) {
        isWanted = false;
        download = createDownload();
        send({ kind: "fetch", start: 0 });
      } else if (shown.kind !== "export") {
        isWanted = false;
        download = null;
      }
    },
    /** @param {GalleryReceived} message @param {DataView<ArrayBuffer>[]} buffers */
    receive(message, buffers) {
      if (message.kind === "no_piece") {
        isWanted = false;
        download = null;
        progressed(null, "");
      } else if (message.kind === "piece" && download) {
        if (!download.take(message.start, buffers[0])) return;
        if (download.size < message.total) {
          progressed(download.size / message.total, message.name);
          send({ kind: "fetch", start: download.size });
          return;
        }
        saveAs(download.blob(), message.name);
        download = null;
        progressed(null, "");
      }
    },
    /** Ask for nothing more. */
    stop() {
      isWanted = false;
      download = null;
      progressed(null, "");
    },
  };
}
