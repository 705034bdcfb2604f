/**
 * The camera of this browser: opening and letting go of it, and JPEG files of what it sees.
 */
import { createEncoder } from "./camera_encoder.mjs";
import { createBeat, createWindow } from "./camera_flow.mjs";

const HIDDEN_MS = 40;
const ENCODERS = 4;

/** What to ask getUserMedia for. Pure. */
export function cameraWish({ device, facing, size }) {
  const [width, height] = (size || "1280x720").split("x").map(Number);
  const video = { width: { ideal: width }, height: { ideal: height }, frameRate: { ideal: 30 } };
  if (device) video.deviceId = { exact: device };
  else if (facing) video.facingMode = { ideal: facing };
  return { video, audio: false };
}

/** The cameras that there are. They have names only once one was allowed. */
export async function listCameras() {
  const found = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
  return found
    .filter((device) => device.kind === "videoinput" && device.deviceId)
    .map((device, index) => ({ id: device.deviceId, name: device.label || `Camera ${index + 1}` }));
}

function makeCanvas() {
  const canvas = globalThis.OffscreenCanvas ? new OffscreenCanvas(1, 1) : document.createElement("canvas");
  // Pixels are read back for the JPEG: a canvas on the graphics card would be slow at that.
  return { canvas, pen: canvas.getContext("2d", { alpha: false, willReadFrequently: true }) };
}

/**
 * @param {{video: HTMLVideoElement, send: (message: object, buffers: ArrayBuffer[]) => void,
 *   rate: () => number, window: () => number, quality: () => number, left: (inARow: number) => void,
 *   lost: () => void}} options `left`: a frame was left out because too many are on their way;
 *   `lost`: the camera went away by itself
 */
export function createCamera({ video, send, rate, window: windowSize, quality, left, lost }) {
  const ways = createWindow(windowSize);
  const beat = createBeat();
  const idle = [];
  const encoder = createEncoder(2);
  let stream = null;
  let run = 0; // changes whenever frames of before mean nothing any more
  let seq = 0;
  let encoding = 0;
  let tail = Promise.resolve();
  let grabbed = null;
  let lastTime = 0;
  let leftInARow = 0;

  function draw() {
    const easel = idle.pop() ?? makeCanvas();
    const { videoWidth, videoHeight } = video;
    if (easel.canvas.width !== videoWidth) easel.canvas.width = videoWidth;
    if (easel.canvas.height !== videoHeight) easel.canvas.height = videoHeight;
    easel.pen.drawImage(video, 0, 0);
    return easel;
  }

  /** Encode a drawn frame and send it, in the order of the calls. */
  function post(easel, time, extra) {
    const own = run;
    const number = seq++;
    ways.send(number, performance.now());
    encoding += 1;
    const encoded = encoder.encode(easel.canvas, quality());
    const finish = () => {
      encoding -= 1;
      if (idle.length < ENCODERS + 1) idle.push(easel);
    };
    encoded.then(finish, finish);
    tail = tail
      .then(() => encoded)
      .then((buffer) => {
        if (own === run) send({ kind: "frame", seq: number, time: (performance.timeOrigin + time) / 1000, ...extra }, [buffer]);
      })
      .catch(() => ways.acknowledge(number, 0));
    return tail;
  }

  const ready = () => stream !== null && video.videoWidth > 0 && video.readyState >= 2;

  function onFrame(own, now, time) {
    if (own !== run) return;
    schedule(own);
    if (!ready() || time === lastTime || !beat.isDue(now, rate())) return;
    lastTime = time;
    if (!ways.isOpen() || encoding >= ENCODERS) {
      left(++leftInARow);
      return;
    }
    leftInARow = 0;
    post(draw(), time, {});
  }

  function schedule(own) {
    // A hidden page paints no frames, so nobody calls back for them; a recording goes on.
    if (video.requestVideoFrameCallback && !document.hidden) {
      let called = false;
      const once = (now, time) => {
        if (called) return;
        called = true;
        onFrame(own, now, time);
      };
      video.requestVideoFrameCallback((now, facts) => once(now, facts.captureTime ?? now));
      setTimeout(() => once(performance.now(), performance.now()), 500);
    } else {
      setTimeout(() => onFrame(own, performance.now(), performance.now()), HIDDEN_MS);
    }
  }

  function stop() {
    run += 1;
    if (stream) for (const track of stream.getTracks()) track.stop();
    stream = null;
    video.srcObject = null;
    grabbed = null;
    ways.clear();
    encoder.close();
  }

  return {
    isOn: () => stream !== null,
    stop,
    /** Open a camera. Rejects with the error of getUserMedia. */
    async start(wish) {
      stop();
      const own = run;
      const opened = await navigator.mediaDevices.getUserMedia(cameraWish(wish));
      if (own !== run) {
        for (const track of opened.getTracks()) track.stop();
        return null;
      }
      stream = opened;
      const [track] = opened.getVideoTracks();
      track.addEventListener("ended", () => {
        if (stream !== opened) return;
        stop();
        lost();
      });
      video.srcObject = opened;
      await video.play().catch(() => {}); // a hidden tab may refuse; frames come nevertheless
      if (own !== run) return null;
      beat.reset();
      schedule(own);
      const facts = track.getSettings();
      return { name: track.label || "camera", device: facts.deviceId ?? "", facing: facts.facingMode ?? "", width: facts.width ?? 0, height: facts.height ?? 0 };
    },
    /** Keep the picture of this moment for `shoot`. */
    grab() {
      if (!ready()) return;
      if (grabbed) idle.push(grabbed.easel);
      grabbed = { easel: draw(), time: performance.now() };
    },
    /** Send the picture that was kept. @returns {boolean} whether there was one */
    shoot() {
      if (!grabbed) return false;
      const { easel, time } = grabbed;
      grabbed = null;
      post(easel, time, { shoot: true });
      return true;
    },
    dropGrab() {
      if (grabbed) idle.push(grabbed.easel);
      grabbed = null;
    },
    acknowledge: (number) => ways.acknowledge(number, performance.now()),
    onTheWay: ways.count,
    silence: () => ways.silence(performance.now()),
  };
}
