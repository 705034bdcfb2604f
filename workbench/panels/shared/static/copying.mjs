/** Text onto the clipboard. */

/**
 * Put a text onto the clipboard; to be called while a click is handled.
 * @param {string} text @returns {Promise<boolean>} whether it is there
 */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyOldWay(text); // of a page over plain http there is no other
  }
}

/** @param {string} text */
function copyOldWay(text) {
  const before = /** @type {HTMLElement|null} */ (document.activeElement);
  const field = document.createElement("textarea");
  field.value = text;
  field.style.position = "fixed";
  document.body.append(field);
  field.select();
  const isDone = document.execCommand("copy");
  field.remove();
  before?.focus?.({ preventScroll: true });
  return isDone;
}

/** Milliseconds for which a button says that it has copied. */
const SAID_MS = 2000;

/** Copy a text, and let the button that was pressed say so. @param {HTMLElement} button @param {string} text */
export async function copyBy(button, text) {
  const label = button.dataset.label ?? button.textContent ?? "";
  button.dataset.label = label;
  button.textContent = (await copyText(text)) ? "Copied" : "Not copied: the browser refused";
  setTimeout(() => {
    button.textContent = label;
  }, SAID_MS);
}
