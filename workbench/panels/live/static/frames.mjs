/**
 * The frames of a camera, one by one. Chromium hands over the camera's own, also while the
 * page is hidden or too busy to paint; elsewhere the video tells when it shows a new one.
 */

const HIDDEN_MS = 40;
const SILENT_MS = 500;
/** Copies of frames that may wait while the page does something else: half a second. */
const MOST_WAITING = 15;

/**
 * Reads the camera beside the page. A camera has few buffers and goes on only when they are
 * given back, so each frame is copied as it is (no conversion: half a millisecond) and let go
 * at once; a page that is busy for a moment then loses none.
 */
const PUMP = `
let waiting = 0;

async function copyOf(frame) {
  const { format, timestamp, displayWidth, displayHeight, colorSpace } = frame;
  const { width, height } = frame.visibleRect;
  const buffer = new ArrayBuffer(frame.allocationSize());
  const layout = await frame.copyTo(buffer);
  return new VideoFrame(buffer, { format, timestamp, displayWidth, displayHeight, colorSpace, layout, codedWidth: width, codedHeight: height, transfer: [buffer] });
}

onmessage = async ({ data }) => {
  if (data === "taken") {
    waiting -= 1;
    return;
  }
  const reader = data.readable.getReader();
  let missed = 0;
  for (;;) {
    const { value: frame, done } = await reader.read();
    if (done) return;
    if (waiting >= data.most) {
      missed += 1;
      frame.close();
      continue;
    }
    const isTurned = Boolean(frame.rotation || frame.flip);
    // A frame that lies in the memory of a graphics card may have no format to copy.
    const copy = frame.format ? await copyOf(frame).catch(() => null) : null;
    if (copy) frame.close();
    waiting += 1;
    postMessage({ frame: copy ?? frame, isTurned, missed }, [copy ?? frame]);
    missed = 0;
  }
};`;

function makeEasel() {
  const canvas = globalThis.OffscreenCanvas
    ? new OffscreenCanvas(1, 1)
    : document.createElement("canvas");
  // Pixels are read back for the JPEG: a canvas on the graphics card would be slow at that.
  const options = { alpha: false, willReadFrequently: true };
  const pen = /** @type {CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D | null} */ (
    canvas.getContext("2d", options)
  );
  if (!pen) throw new Error("the browser has no canvas left");
  return { canvas, pen };
}

/**
 * Whether a frame lies as the video shows it: a phone's may be turned. Pure.
 * @param {Pick<VideoFrame, "displayWidth" | "displayHeight" | "rotation" | "flip">} frame @param {{videoWidth: number, videoHeight: number}} video
 */
export function isUpright(frame, video, isTurned = Boolean(frame.rotation || frame.flip)) {
  if (isTurned) return false;
  if (!(video.videoWidth > 0)) return true;
  /** @param {number} width @param {number} height */
  const isWide = (width, height) => width > height;
  return (
    isWide(frame.displayWidth, frame.displayHeight) === isWide(video.videoWidth, video.videoHeight)
  );
}

/**
 * What the video shows now, for `encode` of the encoder. Without a copy where the browser can.
 * @param {HTMLVideoElement} video @returns {import("./encoder.mjs").Picture}
 */
export function snapshot(video) {
  if (globalThis.VideoFrame) {
    try {
      const frame = new VideoFrame(video, { timestamp: 0 });
      if (isUpright(frame, video)) return frame;
      frame.close();
    } catch {
      // This browser makes frames of other things only: a drawing does as well.
    }
  }
  const { canvas, pen } = makeEasel();
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  pen.drawImage(video, 0, 0);
  return "transferToImageBitmap" in canvas ? canvas.transferToImageBitmap() : canvas;
}

/**
 * @typedef {object} Watching
 * @property {MediaStreamTrack} track
 * @property {HTMLVideoElement} video
 * @property {(time: number, picture: () => import("./encoder.mjs").Picture) => void} take
 * @property {() => void} missed
 *
 * @param {Watching} options `take` is told of every frame: its time in ms of the page's clock, and `picture`, which is asked at
 *   once or not at all; who asks must close what it gets. `missed`: of a frame that was lost
 *   because the page had no time for it.
 * @returns {() => void} stops it
 */
export function watchFrames(options) {
  const Processor = globalThis.MediaStreamTrackProcessor;
  if (!Processor) return watchVideo(options);
  try {
    return watchTrack(options, new Processor({ track: options.track }).readable);
  } catch {
    return watchVideo(options); // a page's policy may allow no workers
  }
}

/** @param {Watching} options @param {ReadableStream<VideoFrame>} readable what the camera gives */
function watchTrack({ video, take, missed }, readable) {
  const url = URL.createObjectURL(new Blob([PUMP], { type: "text/javascript" }));
  const worker = new Worker(url);
  URL.revokeObjectURL(url);
  let stop = () => worker.terminate();
  let isOn = true;
  /** From the frames' clock to the page's, ms. @type {number | null} */
  let epoch = null;

  worker.onerror = () => {
    worker.terminate();
    if (isOn) stop = watchVideo({ video, take });
  };
  worker.onmessage = ({ data: { frame, isTurned, missed: count } }) => {
    worker.postMessage("taken");
    const stamp = frame.timestamp / 1000;
    const now = performance.now();
    // The frame that was least delayed tells how the clocks lie; a second apart is another clock.
    if (epoch === null || now - stamp < epoch || now - stamp > epoch + 1000) epoch = now - stamp;
    for (let i = 0; i < count; i++) missed();
    let isTaken = false;
    if (isOn) {
      take(epoch + stamp, () => {
        if (!isUpright(frame, video, isTurned)) return snapshot(video);
        isTaken = true;
        return frame;
      });
    }
    if (!isTaken) frame.close();
  };
  worker.postMessage({ readable, most: MOST_WAITING }, [readable]);

  return () => {
    isOn = false;
    stop();
  };
}

/** @param {Pick<Watching, "video" | "take">} options */
function watchVideo({ video, take }) {
  let isOn = true;
  let lastTime = 0;

  /** @param {number} time */
  function onFrame(time) {
    if (!isOn) return;
    schedule();
    if (video.videoWidth === 0 || video.readyState < 2 || time === lastTime) return;
    lastTime = time;
    take(time, () => snapshot(video));
  }

  function schedule() {
    // A hidden page paints no frames, so nobody calls back for them; a recording goes on.
    if (!video.requestVideoFrameCallback || document.hidden) {
      setTimeout(() => onFrame(performance.now()), HIDDEN_MS);
      return;
    }
    let isCalled = false;
    /** @param {number} time */
    const once = (time) => {
      if (isCalled) return;
      isCalled = true;
      onFrame(time);
    };
    video.requestVideoFrameCallback((now, facts) => once(facts.captureTime ?? now));
    setTimeout(() => once(performance.now()), SILENT_MS);
  }

  schedule();
  return () => {
    isOn = false;
  };
}
