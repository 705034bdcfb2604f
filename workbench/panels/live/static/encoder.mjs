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

/** @typedef {VideoFrame | ImageBitmap | HTMLCanvasElement | OffscreenCanvas} Picture */

/** Let go of a picture that nobody encodes. @param {Picture} picture */
export function dropPicture(picture) {
  if ("close" in picture) picture.close();
}

/** @param {Picture} picture @param {number} quality */
async function encodeHere(picture, quality) {
  const canvas = "toBlob" in picture ? picture : drawnOn(document.createElement("canvas"), picture);
  /** @type {Blob | null} */
  const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", quality));
  if (!blob) throw new Error("the browser could not encode a picture");
  return blob.arrayBuffer();
}

/** Draw a picture on a canvas and let go of it. @param {HTMLCanvasElement} canvas @param {Exclude<Picture, HTMLCanvasElement>} picture */
function drawnOn(canvas, picture) {
  const isFrame = "displayWidth" in picture;
  canvas.width = isFrame ? picture.displayWidth : picture.width;
  canvas.height = isFrame ? picture.displayHeight : picture.height;
  const pen = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
  if (!pen) throw new Error("the browser has no canvas left");
  pen.drawImage(picture, 0, 0, canvas.width, canvas.height);
  dropPicture(picture);
  return canvas;
}

/** @param {number} count how many workers share the work */
export function createEncoder(count) {
  /** How to answer, by id. @type {Map<number, {resolve: (buffer: ArrayBuffer) => void, reject: (error: Error) => void}>} */
  const waiting = new Map();
  /** @type {Worker[]} */
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
    /** Takes the picture over and closes it. @param {Picture} picture @param {number} quality @returns {Promise<ArrayBuffer>} */
    encode(picture, quality) {
      if (isForbidden || !("close" in picture) || !globalThis.Worker || !globalThis.OffscreenCanvas)
        return encodeHere(picture, quality);
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
