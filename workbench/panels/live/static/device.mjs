/**
 * The camera of this browser: opening and letting go of it, and JPEG files of what it sees.
 */
/** @import { CameraFrames, FrameFacts } from "../../types.d.ts" */
import { createEncoder, dropPicture } from "./encoder.mjs";
import { createBeat, createFrameOutbox, createWindow } from "./flow.mjs";
import { snapshot, watchFrames } from "./frames.mjs";

const WORKERS = 2;
/** Pictures that are encoded or wait for it: half a second, in which a busy machine loses none. */
const ENCODED_AT_ONCE = 15;

/**
 * @typedef {{device?: string, facing?: string, size?: string}} Wish
 * @typedef {import("./encoder.mjs").Picture} Picture
 */

/** What to ask getUserMedia for. Pure. @param {Wish} wish @returns {{video: MediaTrackConstraints, audio: false}} */
export function cameraWish({ device, facing, size }) {
  const [width, height] = (size || "1280x720").split("x").map(Number);
  /** @type {MediaTrackConstraints} */
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

/**
 * @param {{video: HTMLVideoElement, send: (message: CameraFrames, buffers: ArrayBuffer[]) => void,
 *   rate: () => number, window: () => number, quality: () => number, together?: number,
 *   left: (why: "page" | "way", inARow: number) => void, lost: () => void}} options
 *   `left`: a frame was left out because this page encodes too slowly, or because too many are
 *   on their way to the kernel; `lost`: the camera went away by itself; `together`: frames that
 *   may go in one message, of the kind "frames" where they are several
 */
export function createCamera({
  video,
  send,
  rate,
  window: windowSize,
  quality,
  left,
  lost,
  together = 1,
}) {
  const ways = createWindow(windowSize);
  const beat = createBeat();
  const encoder = createEncoder(WORKERS);
  const outbox = createFrameOutbox(
    (/** @type {(FrameFacts & {buffer: ArrayBuffer})[]} */ frames) => {
      const facts = frames.map(({ buffer, ...fact }) => fact);
      /** @type {CameraFrames} */
      const message =
        facts.length === 1 ? { kind: "frame", ...facts[0] } : { kind: "frames", frames: facts };
      send(
        message,
        frames.map((frame) => frame.buffer),
      );
    },
    { most: together },
  );
  /** @type {MediaStream | null} */
  let stream = null;
  let stopWatching = () => {};
  let run = 0; // changes whenever frames of before mean nothing any more
  let seq = 0;
  let encoding = 0;
  /** @type {Promise<unknown>} */
  let tail = Promise.resolve();
  /** @type {{picture: Picture, time: number} | null} */
  let grabbed = null;
  let leftInARow = 0;
  let delivered = 0;

  /**
   * Encode a picture and send it, in the order of the calls.
   * @param {Picture} picture @param {number} time @param {{shoot?: boolean}} extra
   */
  function post(picture, time, extra) {
    const own = run;
    const number = seq++;
    ways.send(number, performance.now());
    encoding += 1;
    const encoded = encoder.encode(picture, quality());
    const finish = () => (encoding -= 1);
    encoded.then(finish, finish);
    tail = tail
      .then(() => encoded)
      .then((buffer) => {
        if (own === run)
          outbox.put(
            { seq: number, time: (performance.timeOrigin + time) / 1000, buffer, ...extra },
            Boolean(extra.shoot),
          );
      })
      .catch(() => ways.acknowledge(number, 0));
  }

  /** @param {number} time @param {() => Picture} picture */
  function take(time, picture) {
    delivered += 1;
    if (!beat.isDue(time, rate())) return;
    if (ways.isOpen() && encoding < ENCODED_AT_ONCE) {
      leftInARow = 0;
      post(picture(), time, {});
    } else left(encoding < ENCODED_AT_ONCE ? "way" : "page", ++leftInARow);
  }

  function missed() {
    if (rate() === 0) left("page", ++leftInARow);
  }

  function dropGrab() {
    if (grabbed) dropPicture(grabbed.picture);
    grabbed = null;
  }

  function stop() {
    run += 1;
    stopWatching();
    stopWatching = () => {};
    if (stream) for (const track of stream.getTracks()) track.stop();
    stream = null;
    video.srcObject = null;
    dropGrab();
    ways.clear();
    outbox.clear();
    encoder.close();
  }

  return {
    isOn: () => stream !== null,
    stop,
    /** Open a camera. Rejects with the error of getUserMedia. @param {Wish} wish */
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
      stopWatching = watchFrames({ track, video, take, missed });
      const facts = track.getSettings();
      return {
        name: track.label || "camera",
        device: facts.deviceId ?? "",
        facing: facts.facingMode ?? "",
        width: facts.width ?? 0,
        height: facts.height ?? 0,
      };
    },
    /** Keep the picture of this moment for `shoot`. */
    grab() {
      if (stream === null || video.videoWidth === 0 || video.readyState < 2) return;
      dropGrab();
      grabbed = { picture: snapshot(video), time: performance.now() };
    },
    /** Send the picture that was kept. @returns {boolean} whether there was one */
    shoot() {
      if (!grabbed) return false;
      const { picture, time } = grabbed;
      grabbed = null;
      post(picture, time, { shoot: true });
      return true;
    },
    dropGrab,
    /** @param {number} number */
    acknowledge: (number) => ways.acknowledge(number, performance.now()),
    onTheWay: ways.count,
    /** Number of frames that the camera has given. */
    delivered: () => delivered,
    silence: () => ways.silence(performance.now()),
  };
}
