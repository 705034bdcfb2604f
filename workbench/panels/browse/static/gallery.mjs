/** Entry of the gallery widget; every view of a model asks the kernel for itself. */
import { mountGallery } from "./view.mjs";

export default function gallery() {
  return {
    render({ model, el }) {
      return mountGallery(model, el);
    },
  };
}
