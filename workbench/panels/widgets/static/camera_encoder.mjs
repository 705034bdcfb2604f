/**
 * JPEG files of drawn pictures, made in a worker. On the page itself Chromium encodes only
 * when it has nothing else to do, which while a video plays takes a quarter of a second.
 */

const WORK = `
let easel = null;
onmessage = async ({ data: { id, picture, quality } }) => {
  try {
    easel ??= new OffscreenCanvas(1, 1);
    if (easel.width !== picture.width) easel.width = picture.width;
    if (easel.height !== picture.height) easel.height = picture.height;
    easel.getContext("2d", { alpha: false, willReadFrequently: true }).drawImage(picture, 0, 0);
    picture.close();
    const blob = await easel.convertToBlob({ type: "image/jpeg", quality });
    const buffer = await blob.arrayBuffer();
    postMessage({ id, buffer }, [buffer]);
  } catch (error) {
    postMessage({ id, error: String(error) });
  }
};`;

async function encodeHere(canvas, quality) {
  const type = "image/jpeg";
  const blob = canvas.convertToBlob
    ? await canvas.convertToBlob({ type, quality })
    : await new Promise((done) => canvas.toBlob(done, type, quality));
  if (!blob) throw new Error("the browser could not encode a picture");
  return blob.arrayBuffer();
}

/** @param {number} count how many workers share the work */
export function createEncoder(count) {
  const waiting = new Map(); // id -> how to answer
  let workers = [];
  let next = 0;

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
      workers.push(worker);
    }
    URL.revokeObjectURL(url);
  }

  return {
    /** The canvas may be drawn on again at once. @returns {Promise<ArrayBuffer>} */
    encode(canvas, quality) {
      if (!canvas.transferToImageBitmap || !globalThis.Worker) return encodeHere(canvas, quality);
      if (workers.length === 0) open();
      const id = next++;
      const picture = canvas.transferToImageBitmap();
      return new Promise((resolve, reject) => {
        waiting.set(id, { resolve, reject });
        workers[id % workers.length].postMessage({ id, picture, quality }, [picture]);
      });
    },
    close() {
      for (const worker of workers) worker.terminate();
      for (const answer of waiting.values()) answer.reject(new Error("the camera is off"));
      workers = [];
      waiting.clear();
    },
  };
}
