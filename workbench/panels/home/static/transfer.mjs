/** Datasets on their way between the browser's machine and the kernel: sent whole, or taken as a zip. */
/** @import { HomeReceived, HomeSent } from "../../types.d.ts" */
import { createDownload, saveAs } from "../../shared/static/download.mjs";
import { droppedOn, filesIn, pathOf } from "../../shared/static/drop.mjs";
import { pageSession } from "../../shared/static/page_session.mjs";
import { createUploader, sendingWords } from "../../shared/static/upload.mjs";

/**
 * @param {(message: HomeSent, buffers?: ArrayBuffer[]) => void} send
 * @param {object} options
 * @param {(text: string, share: number|null) => void} options.progressed null: it is over
 * @param {(text: string) => void} options.failed
 */
export function createTransfer(send, { progressed, failed }) {
  const session = pageSession();
  /** @type {File[]} */
  let files = [];
  /** @type {ReturnType<typeof createDownload>|null} */
  let download = null;
  const uploader = createUploader({
    send: (message, buffers) =>
      send({ ...message, kind: "arrive", path: pathOf(files[message.index]), session }, buffers),
    failed,
    progressed: (state) => {
      if (state) progressed(sendingWords(state), state.share);
      else progressed("", null);
    },
  });

  return {
    /** @param {DataTransfer} transfer @returns {Promise<File[]>} */
    dropped: (transfer) => filesIn(droppedOn(transfer)),
    /** Send files, of which a dataset can be made. @param {File[]} chosen */
    send(chosen) {
      uploader.stop();
      files = chosen;
      uploader.add(files, "");
    },
    /** Take a dataset as a zip. @param {string} name */
    take(name) {
      if (download) return;
      download = createDownload();
      progressed(`Packing ${name}`, 0);
      send({ kind: "download", name, session });
    },
    /** @param {HomeReceived} message @param {DataView<ArrayBuffer>[]} buffers */
    receive(message, buffers) {
      if (message.to !== session) return;
      if (message.kind === "arrived") {
        if (message.refused) uploader.stop();
        else uploader.acknowledged(message);
      } else if (message.kind === "no_piece") {
        download = null;
        progressed("", null);
      } else if (!download) return;
      else if (message.kind === "packed") send({ kind: "fetch", start: 0, session });
      else if (message.kind === "piece" && download.take(message.start, buffers[0])) {
        const share = download.size / message.total;
        progressed(`Downloading ${message.name}`, share);
        if (share < 1) {
          send({ kind: "fetch", start: download.size, session });
          return;
        }
        saveAs(download.blob(), message.name);
        download = null;
        progressed("", null);
      }
    },
    /** Whether something would be lost if the page were closed. */
    isBusy: () => uploader.isBusy() || download !== null,
    stop() {
      uploader.stop();
      download = null;
      progressed("", null);
    },
  };
}
