/** Entry of the capture panel's page; every view of a model has a camera of its own. */
import { mountCamera } from "./view.mjs";

export default function camera() {
  return {
    render({ model, el }) {
      return mountCamera(model, el);
    },
  };
}
