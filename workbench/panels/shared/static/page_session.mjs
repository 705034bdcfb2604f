/**
 * A name for one showing of a widget: the kernel answers the page that asked, and several may
 * show the same widget.
 */
export function pageSession() {
  return crypto.getRandomValues(new Uint32Array(2)).join("-");
}
