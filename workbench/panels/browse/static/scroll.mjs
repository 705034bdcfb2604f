/**
 * Scrolling through more pixels than an element may be high (Chromium stops at 33 million,
 * Firefox at 17). The element is no higher than `MAX_HEIGHT`; the gallery behind it is.
 *
 * Small movements go over one to one: the two differ by `offset`, which stays. A jump (the
 * scroll bar is dragged) goes to the same share of the whole. When scrolling rests, `settle`
 * moves the element to where that share is, and what is seen does not move. Near both ends
 * one pixel is one pixel, so that the last row is reached like any other.
 */

export const MAX_HEIGHT = 8_000_000;
const EDGE = 200_000;

/** @param {{maxHeight?: number, edge?: number}} limits */
export function createScroll({ maxHeight = MAX_HEIGHT, edge = EDGE } = {}) {
  let content = 0; // height of the gallery
  let view = 0; // height of what is in sight
  let offset = 0; // gallery top - element top
  let last = 0; // scrollTop seen last
  let top = 0; // of what is in sight, in the gallery

  const height = () => Math.min(content, maxHeight);
  const end = () => Math.max(0, content - view);
  const physicalEnd = () => Math.max(0, height() - view);
  /** @param {number} value */
  const clamp = (value) => Math.min(Math.max(value, 0), end());

  /** @param {number} scrollTop */
  function toGallery(scrollTop) {
    if (content <= maxHeight || scrollTop <= edge) return clamp(scrollTop);
    const left = physicalEnd() - scrollTop;
    if (left <= edge) return clamp(end() - left);
    return edge + ((scrollTop - edge) / (physicalEnd() - 2 * edge)) * (end() - 2 * edge);
  }

  /** @param {number} galleryTop */
  function toElement(galleryTop) {
    if (content <= maxHeight || galleryTop <= edge) return galleryTop;
    const left = end() - galleryTop;
    if (left <= edge) return physicalEnd() - left;
    return edge + ((galleryTop - edge) / (end() - 2 * edge)) * (physicalEnd() - 2 * edge);
  }

  /** @param {number} galleryTop */
  function seek(galleryTop) {
    top = clamp(galleryTop);
    last = Math.round(toElement(top));
    offset = top - last;
    return last;
  }

  return {
    get height() {
      return height();
    },
    get top() {
      return top;
    },
    get offset() {
      return offset;
    },
    /**
     * The gallery or the view has another size; returns the new scrollTop.
     * @param {number} contentHeight @param {number} viewHeight
     */
    resize(contentHeight, viewHeight, keep = top) {
      content = contentHeight;
      view = viewHeight;
      return seek(keep);
    },
    /** The element was scrolled; returns the gallery's top. @param {number} scrollTop */
    scrolled(scrollTop) {
      const isJump = Math.abs(scrollTop - last) > Math.max(2 * view, 2000);
      if (isJump || content <= maxHeight) {
        top = toGallery(scrollTop);
        offset = content <= maxHeight ? 0 : top - scrollTop;
      } else {
        top = clamp(scrollTop + offset);
      }
      last = scrollTop;
      return top;
    },
    /** Where scrollTop belongs now that scrolling rests. */
    settle: () => seek(top),
    /** Go somewhere; returns the new scrollTop. */
    seek,
  };
}
