/**
 * Sends files to the kernel in pieces: a server may refuse messages of more than 10 MiB,
 * and a piece goes out only when the one before has arrived, so that neither the network
 * nor the kernel is flooded.
 */
/** @import { UploadPiece } from "../../types.d.ts" */

export const PIECE = 2 * 2 ** 20;

/**
 * What is on its way, in words: the file by its name, and which of how many it is.
 * @param {Sending} sending
 */
export function sendingWords({ file, files, name, split }) {
  const to = split ? ` to ${split}` : "";
  if (files === 1) return `Sending ${name}${to}`;
  return `Sending file ${file.toLocaleString("en")} of ${files.toLocaleString("en")}${to}: ${name}`;
}

/**
 * @param {{send: (message: UploadPiece, buffers: ArrayBuffer[]) => void,
 *   failed: (text: string) => void, piece?: number, refusal?: (file: File) => string,
 *   progressed?: (state: Sending|null) => void}} options
 *   `refusal`: why a file is not sent at all, empty if it is; `progressed`: told before each
 *   piece which file it is of, over all that is to be sent, and null when nothing is left
 *
 * @typedef {{file: number, files: number, name: string, share: number, split: string}} Sending
 *   `file` counts from 1; `split`: where it goes, empty if nowhere yet
 *
 * @typedef {{batch: number, split: string, className: string, files: File[], bytes: number,
 *   index: number, offset: number, sent: number}} Job
 */
export function createUploader({
  send,
  failed,
  piece = PIECE,
  refusal = () => "",
  progressed = () => {},
}) {
  /** @type {Job[]} */
  const queue = [];
  let batch = 0;
  /** What the kernel has not acknowledged. @type {Job|null} */
  let under = null;
  let before = { files: 0, bytes: 0 }; // of batches that are done, while there are more

  async function next() {
    if (under) return;
    if (queue.length === 0) {
      before = { files: 0, bytes: 0 };
      progressed(null);
      return;
    }
    const job = queue[0];
    const file = job.files[job.index];
    under = job;
    report(job);
    const end = Math.min(job.offset + piece, file.size);
    const why = refusal(file);
    /** @type {ArrayBuffer | null} */
    let buffer = null;
    try {
      if (!why) buffer = await file.slice(job.offset, end).arrayBuffer();
    } catch {
      failed(`${file.name} cannot be read (is it a folder?)`);
    }
    if (!queue.includes(job)) return; // called off meanwhile
    job.sent = buffer ? end : file.size;
    /** @type {UploadPiece} */
    const message = {
      kind: "upload",
      batch: job.batch,
      split: job.split,
      class_name: job.className,
      index: job.index,
      files: job.files.length,
      name: file.name,
      size: buffer ? file.size : 0,
      offset: buffer ? job.offset : 0,
      unreadable: !buffer,
      ...(why && { why }),
    };
    send(message, [buffer ?? new ArrayBuffer(0)]);
  }

  /** Say how far it is with all that was added since there was nothing to do. @param {Job} job */
  function report(job) {
    /** @param {File[]} files */
    const sum = (files) => files.reduce((bytes, file) => bytes + file.size, 0);
    const files = before.files + queue.reduce((n, one) => n + one.files.length, 0);
    const bytes = before.bytes + queue.reduce((n, one) => n + one.bytes, 0);
    const sent = before.bytes + sum(job.files.slice(0, job.index)) + job.offset;
    progressed({
      file: before.files + job.index + 1,
      files,
      name: job.files[job.index].name,
      share: bytes ? sent / bytes : 0,
      split: job.split,
    });
  }

  return {
    /** @param {File[]} files @param {string} split @param {string} className that they show, if it is known */
    add(files, split, className = "") {
      if (files.length === 0) return;
      batch += 1;
      queue.push({
        batch,
        split,
        className,
        files: [...files],
        bytes: files.reduce((n, file) => n + file.size, 0),
        index: 0,
        offset: 0,
        sent: 0,
      });
      next();
    },
    /** The kernel has what was sent last. @param {{batch: number}} message */
    acknowledged(message) {
      const job = under;
      if (!job || message.batch !== job.batch) return;
      under = null;
      job.offset = job.sent;
      if (job.offset >= job.files[job.index].size) {
        job.index += 1;
        job.offset = 0;
      }
      if (job.index === job.files.length) {
        queue.shift();
        before = { files: before.files + job.files.length, bytes: before.bytes + job.bytes };
      }
      next();
    },
    /** Send nothing more. */
    stop() {
      queue.length = 0;
      under = null;
      before = { files: 0, bytes: 0 };
      progressed(null);
    },
    /** Whether something is still to be sent. */
    isBusy: () => queue.length > 0,
  };
}
