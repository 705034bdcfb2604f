/** Datasets on their way between the browser's machine and the kernel: sent whole, or taken as a zip. */
/** @import { HomeModel, HomeReceived } from "../../types.d.ts" */
import { createDownload, saveAs } from "../../shared/static/download.mjs";
import { droppedOn, filesIn, pathOf } from "../../shared/static/drop.mjs";
import { pageSession } from "../../shared/static/page_session.mjs";
import { createUploader } from "../../shared/static/upload.mjs";

/** Endings of files that hold a whole dataset, which give it its name. */
const ENDING = /(\.tar)?\.[a-z0-9]+$/i;

/**
 * What a dataset is called that is made of files: as the folder or the file, if there is one.
 * @param {string[]} paths with their folders
 */
export function nameOf(paths) {
  const tops = new Set(paths.map((path) => path.split("/")[0]));
  if (tops.size !== 1) return "pictures";
  const [top] = tops;
  return paths[0].includes("/") ? top : top.replace(ENDING, "");
}

/**
 * @param {HomeModel} model
 * @param {object} options
 * @param {(text: string, share: number|null) => void} options.progressed null: it is over
 * @param {(text: string) => void} options.failed
 */
export function createTransfer(model, { progressed, failed }) {
  const session = pageSession();
  /** @type {File[]} */
  let files = [];
  let dataset = "";
  /** @type {ReturnType<typeof createDownload>|null} */
  let download = null;
  const uploader = createUploader({
    send: (message, buffers) =>
      model.send(
        { ...message, kind: "arrive", path: pathOf(files[message.index]), session, dataset },
        undefined,
        buffers,
      ),
    failed,
    progressed: (state) => {
      if (!state) progressed("", null);
      else
        progressed(
          `Sending file ${state.file.toLocaleString("en")} of ${state.files.toLocaleString("en")}`,
          state.share,
        );
    },
  });

  return {
    /** @param {DataTransfer} transfer @returns {Promise<File[]>} */
    dropped: (transfer) => filesIn(droppedOn(transfer)),
    /** @param {File[]} chosen */
    nameOf: (chosen) => nameOf(chosen.map(pathOf)),
    /** Send files, of which a dataset is made. @param {File[]} chosen @param {string} name */
    send(chosen, name) {
      uploader.stop();
      [files, dataset] = [chosen, name];
      uploader.add(files, "");
    },
    /** Take a dataset as a zip. @param {string} name */
    take(name) {
      if (download) return;
      download = createDownload();
      progressed(`Packing ${name}`, 0);
      model.send({ kind: "download", name, session });
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
      else if (message.kind === "packed") model.send({ kind: "fetch", start: 0, session });
      else if (message.kind === "piece" && download.take(message.start, buffers[0])) {
        const share = download.size / message.total;
        progressed(`Downloading ${message.name}`, share);
        if (share < 1) {
          model.send({ kind: "fetch", start: download.size, session });
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
