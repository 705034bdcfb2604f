/**
 * JPEG files of pictures, made in workers. On the page itself Chromium encodes only when it
 * has nothing else to do, which while a video plays takes a quarter of a second.
 */

const WORK = `
let easel = null;
let pen = null;
onmessage = async ({ data: { id, picture, quality } }) => {
  try {
    const width = picture.displayWidth ?? picture.width;
    const height = picture.displayHeight ?? picture.height;
    if (!easel) {
      easel = new OffscreenCanvas(width, height);
      pen = easel.getContext("2d", { alpha: false, willReadFrequently: true });
    }
    if (easel.width !== width) easel.width = width;
    if (easel.height !== height) easel.height = height;
    pen.drawImage(picture, 0, 0, width, height);
    picture.close();
    const blob = await easel.convertToBlob({ type: "image/jpeg", quality });
    const buffer = await blob.arrayBuffer();
    postMessage({ id, buffer }, [buffer]);
  } catch (error) {
    postMessage({ id, error: String(error) });
  }
};`;

/** Let go of a picture that nobody encodes. */
export function dropPicture(picture) {
  picture.close?.();
}

async function encodeHere(picture, quality) {
  let canvas = picture;
  if (!canvas.toBlob) {
    canvas = document.createElement("canvas");
    canvas.width = picture.displayWidth ?? picture.width;
    canvas.height = picture.displayHeight ?? picture.height;
    canvas.getContext("2d", { alpha: false, willReadFrequently: true }).drawImage(picture, 0, 0, canvas.width, canvas.height);
    dropPicture(picture);
  }
  const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", quality));
  if (!blob) throw new Error("the browser could not encode a picture");
  return blob.arrayBuffer();
}

/** @param {number} count how many workers share the work */
export function createEncoder(count) {
  const waiting = new Map(); // id -> how to answer
  let workers = [];
  let next = 0;
  let isForbidden = false; // a page's policy may allow no workers

  function open() {
    const url = URL.createObjectURL(new Blob([WORK], { type: "text/javascript" }));
    for (let i = 0; i < count; i++) {
      const worker = new Worker(url);
      worker.onmessage = ({ data }) => {
        const answer = waiting.get(data.id);
        waiting.delete(data.id);
        if (data.error) answer?.reject(new Error(data.error));
        else answer?.resolve(data.buffer);
      };
      worker.onerror = () => {
        isForbidden = true;
        close();
      };
      workers.push(worker);
    }
    URL.revokeObjectURL(url);
  }

  function close() {
    for (const worker of workers) worker.terminate();
    for (const answer of waiting.values()) answer.reject(new Error("nobody encodes any more"));
    workers = [];
    waiting.clear();
  }

  return {
    /** Takes the picture over and closes it. @returns {Promise<ArrayBuffer>} */
    encode(picture, quality) {
      if (isForbidden || !picture.close || !globalThis.Worker || !globalThis.OffscreenCanvas) return encodeHere(picture, quality);
      const id = next++;
      try {
        if (workers.length === 0) open();
        workers[id % workers.length].postMessage({ id, picture, quality }, [picture]);
      } catch {
        isForbidden = true;
        return encodeHere(picture, quality);
      }
      return new Promise((resolve, reject) => waiting.set(id, { resolve, reject }));
    },
    close,
  };
}
