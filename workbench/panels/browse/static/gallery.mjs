/** Entry of the gallery widget; every view of a model asks the kernel for itself. */
/** @import { GalleryModel, View } from "../../types.d.ts" */
import { mountGallery } from "./view.mjs";

export default function gallery() {
  return {
    /** @param {View<GalleryModel>} view */
    render({ model, el }) {
      return mountGallery(model, el);
    },
  };
}
