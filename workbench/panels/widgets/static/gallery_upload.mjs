/**
 * Sends files to the kernel in pieces: a server may refuse messages of more than 10 MiB,
 * and a piece goes out only when the one before has arrived, so that neither the network
 * nor the kernel is flooded.
 */

export const PIECE = 2 * 2 ** 20;

/**
 * @param {{send: (message: object, buffers: ArrayBuffer[]) => void,
 *   failed: (text: string) => void, piece?: number}} options
 */
export function createUploader({ send, failed, piece = PIECE }) {
  const queue = [];
  let batch = 0;
  let under = null; // what the kernel has not acknowledged

  async function next() {
    if (under || queue.length === 0) return;
    const job = queue[0];
    const file = job.files[job.index];
    under = job;
    const end = Math.min(job.offset + piece, file.size);
    let buffer = null;
    try {
      buffer = await file.slice(job.offset, end).arrayBuffer();
    } catch {
      failed(`${file.name} cannot be read (is it a folder?)`);
    }
    if (!queue.includes(job)) return; // called off meanwhile
    job.sent = buffer ? end : file.size;
    const message = {
      kind: "upload", batch: job.batch, split: job.split, class_name: job.className, index: job.index, files: job.files.length,
      name: file.name, size: buffer ? file.size : 0, offset: buffer ? job.offset : 0, unreadable: !buffer,
    };
    send(message, [buffer ?? new ArrayBuffer(0)]);
  }

  return {
    /** @param {File[]} files @param {string} split @param {string} className that they show, if it is known */
    add(files, split, className = "") {
      if (files.length === 0) return;
      batch += 1;
      queue.push({ batch, split, className, files: [...files], index: 0, offset: 0, sent: 0 });
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
      if (job.index === job.files.length) queue.shift();
      next();
    },
    /** Send nothing more. */
    stop() {
      queue.length = 0;
      under = null;
    },
  };
}
