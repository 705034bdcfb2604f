/** Opening this browser's camera, with what is said before, meanwhile and afterwards. */
import { listCameras } from "./device.mjs";
import { cameraProblem, cameraSurroundings, surroundingsProblem } from "./problems.mjs";

/**
 * @param {object} page the parts of the page that opens it
 * @param {ReturnType<typeof import("./device.mjs").createCamera>} page.camera
 * @param {ReturnType<typeof import("./source.mjs").createSourceBar>} page.bar
 * @param {ReturnType<typeof import("./help.mjs").createHelp>} page.help
 * @param {(problem: import("./problems.mjs").Problem) => void} page.fail it cannot be opened
 * @param {(found: {name: string, device: string, facing: string}) => void} page.opened it is on
 * @param {() => boolean} [page.isWanted] still, once the user has allowed it
 */
export async function openCamera({ camera, bar, help, fail, opened, isWanted = () => true }) {
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
