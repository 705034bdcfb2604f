/** Entry of the capture panel's page; every view of a model has a camera of its own. */
/** @import { CameraModel, View } from "../../types.d.ts" */
import { mountCamera } from "./view.mjs";

export default function camera() {
  return {
    /** @param {View<CameraModel>} view */
    render({ model, el }) {
      return mountCamera(model, el);
    },
  };
}
