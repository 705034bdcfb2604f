/** What becomes of class ids when the classes are reordered, renamed or deleted elsewhere. */
/** @import { EditState, Row } from "../../types.d.ts" */

/**
 * The id of a class by now. One that is not there any more gets an id that no class has, so that
 * nothing is saved as another class.
 * @param {number} id @param {string[]} before @param {string[]} after names of the classes
 */
export function idNow(id, before, after) {
  const name = before[id];
  if (name === undefined || after[id] === name) return id;
  const place = after.indexOf(name);
  if (place >= 0) return place;
  const isRenamed = before.length === after.length && !before.includes(after[id]);
  return isRenamed ? id : after.length + id;
}

/**
 * An edit that is not saved yet, with the ids that its classes have by now.
 * @param {EditState} edit @param {(id: number) => number} idOf @param {string[]} names by now
 * @returns {EditState}
 */
export function withIdsNow(edit, idOf, names) {
  /** @template {Row} R @param {R[]} rows @returns {R[]} */
  const moved = (rows) => rows.map((row) => ({ ...row, class_id: idOf(row.class_id) }));
  const ids = Object.keys(edit.names ?? {}).map((id) => idOf(Number(id)));
  return {
    ...edit,
    boxes: moved(edit.boxes),
    proposals: edit.proposals && moved(edit.proposals),
    ...(edit.gone ? { gone: moved(edit.gone) } : {}),
    names: Object.fromEntries(ids.filter((id) => id in names).map((id) => [id, names[id]])),
  };
}
