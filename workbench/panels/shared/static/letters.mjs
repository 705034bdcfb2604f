/** Which letter a key press means, on keyboards of any script. */

/**
 * The key as the browser calls it; a letter that is not a Latin one (Cyrillic, Greek, Hebrew,
 * Thai ...) as the Latin one at its place on the keyboard, as systems do for Ctrl+C.
 * @param {{key: string, code: string}} event
 */
export function keyOf(event) {
  const isForeign = /^\p{L}$/u.test(event.key) && !/\p{Script=Latin}/u.test(event.key);
  const place = isForeign ? /^Key([A-Z])$/.exec(event.code)?.[1] : undefined;
  return place?.toLowerCase() ?? event.key;
}
