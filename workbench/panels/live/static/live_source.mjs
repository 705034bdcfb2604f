/**
 * Where the pictures of a page come from: this browser's camera, or a source that the kernel
 * opens. Holds the camera, the bar that chooses, and the card that says what is wrong, and
 * carries out Start and Stop. What a page says to its kernel beside that, it says in the hooks.
 */
/** @import { CameraFrames } from "../../types.d.ts" */

import { createCamera, listCameras } from "./device.mjs";
import { createHelp } from "./help.mjs";
import {
  cameraProblem,
  cameraSurroundings,
  KERNEL_GONE,
  surroundingsProblem,
  TAKEN_OVER,
  UNPLUGGED,
} from "./problems.mjs";
import { createSourceBar } from "./source.mjs";

/**
 * @typedef {import("./problems.mjs").Problem} Problem
 * @typedef {Parameters<typeof createCamera>[0]} CameraOptions
 * @typedef {{kind: "source", source: string, place: string} | {kind: "stop"}} SourceMessage
 */

/**
 * @param {object} page
 * @param {ReturnType<typeof import("./stage.mjs").createStage>} page.stage
 * @param {(message: CameraFrames | SourceMessage, buffers?: ArrayBuffer[]) => void} page.send
 * @param {Pick<CameraOptions, "rate" | "window" | "quality" | "left" | "together">} page.frames
 *   which frames of the camera are sent
 * @param {(files: File[]) => void} page.upload
 * @param {(found: {name: string, facing: string}) => void} page.opened the camera is on
 * @param {(problem: Problem | null) => void} page.closed the camera could not be opened or went
 *   away by itself (`problem`), or the user has stopped it (null)
 * @param {() => void} [page.starting] the user has pressed Start
 * @param {() => void} [page.stopping] the user has pressed Stop
 * @param {() => void} page.changed another kind of source was chosen; not yet started
 * @param {() => boolean} [page.isWanted] the camera still is, once the user has allowed it
 */
export function createLiveSource({
  stage,
  send,
  frames,
  upload,
  opened,
  closed,
  changed,
  starting = () => {},
  stopping = () => {},
  isWanted = () => true,
}) {
  const camera = createCamera({
    ...frames,
    video: stage.video,
    send,
    lost: () => fail(UNPLUGGED),
  });
  const help = createHelp({
    card: stage.card,
    retry: () => startCamera(),
    upload,
    server() {
      bar.choose("camera");
      start("camera", "0");
    },
  });
  const bar = createSourceBar({
    start,
    stop,
    mirror: (flag) => stage.mirror(flag),
    changed(kind) {
      changed();
      stage.use(kind === "browser");
      help.show(kind === "browser" ? idle() : null);
    },
  });
  const idle = () => surroundingsProblem(cameraSurroundings()) ?? help.idle;

  /** @param {Problem} problem */
  function fail(problem) {
    bar.on(false);
    help.show(problem);
    closed(problem);
  }

  async function startCamera() {
    bar.choose("browser");
    stage.use(true);
    const missing = surroundingsProblem(cameraSurroundings());
    if (missing) {
      fail(missing);
      return;
    }
    help.show(help.asking);
    try {
      const found = await camera.start(bar.wish());
      if (!found) return;
      if (!isWanted()) {
        camera.stop();
        return;
      }
      help.show(null);
      bar.on(true);
      // Only with the camera on does the browser tell the names of all cameras.
      bar.cameras(await listCameras(), found.device);
      opened(found);
    } catch (error) {
      fail(cameraProblem(/** @type {Error} */ (error)));
    }
  }

  /** @param {string} kind @param {string} place */
  function start(kind, place) {
    starting();
    if (kind === "browser") {
      startCamera();
      return;
    }
    camera.stop();
    stage.blank();
    help.show(null);
    send({ kind: "source", source: kind, place });
  }

  /** Release this page's camera, and show why. @param {Problem} [why] @returns {boolean} whether it was on */
  function release(why = idle()) {
    const wasOn = camera.isOn();
    camera.stop();
    if (!wasOn) return false;
    bar.on(false);
    help.show(why);
    return true;
  }

  function stop() {
    stopping();
    if (release()) closed(null);
    else send({ kind: "stop" });
  }

  return {
    camera,
    bar,
    help,
    start,
    stop,
    release,
    /** This browser's camera is chosen: show its stage, and how to start it. */
    showCamera() {
      stage.use(true);
      if (!camera.isOn()) help.show(idle());
    },
    /** Another page has taken the camera over. */
    takenOver: () => release(TAKEN_OVER),
    /** The kernel has died or was restarted: nobody takes pictures. */
    kernelGone() {
      release();
      bar.on(false);
      help.show(KERNEL_GONE);
    },
    /** Cameras were plugged in or out. */
    async listAnew() {
      bar.cameras(await listCameras(), "");
    },
  };
}
