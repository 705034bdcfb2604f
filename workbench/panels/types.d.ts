/**
 * What the front end and the kernel know of each other: the traits of each widget's model,
 * and the messages that its pages send and get. The kernel's side is in the Python modules
 * that are named here; `tests/panels/test_types.py` holds the two against each other.
 *
 * Used by the modules in `static/` folders in their comments only, for `tsc --checkJs`:
 *
 *     @import { Model, GalleryTraits } from "../../types.d.ts"
 */

/** A kernel's signal, as JupyterLab has it. */
interface Signal {
  connect?(slot: (sender: unknown, status: string) => void): void;
  disconnect(slot: (sender: unknown, status: string) => void): void;
}

/** anywidget's model: `Traits` are synced, `Sent` goes to the kernel, `Received` comes from it. */
export interface Model<Traits, Sent = never, Received = never> {
  get<Name extends keyof Traits>(name: Name): Traits[Name];
  set<Name extends keyof Traits>(name: Name, value: Traits[Name]): void;
  save_changes(): void;
  send(message: Sent, callbacks?: undefined, buffers?: Bytes[]): void;
  on(
    event: "msg:custom",
    handler: (message: Received, buffers: DataView<ArrayBuffer>[]) => void,
  ): void;
  on(event: `change:${string}`, handler: () => void): void;
  off(
    event: "msg:custom",
    handler: (message: Received, buffers: DataView<ArrayBuffer>[]) => void,
  ): void;
  off(event: `change:${string}`, handler: () => void): void;
  /** Only where the page is JupyterLab's. */
  widget_manager?: {
    kernel?: { status?: string; statusChanged?: Signal; disposed?: Signal };
  };
}

/** A handler of what the kernel sends to a model. */
export type Receiver<AnyModel> =
  AnyModel extends Model<infer _Traits, infer _Sent, infer Received>
    ? (message: Received, buffers: DataView<ArrayBuffer>[]) => void
    : never;

/** What anywidget hands to `render`. */
export interface View<AnyModel> {
  model: AnyModel;
  el: HTMLElement;
}

export type Bytes = ArrayBuffer | ArrayBufferView;

/** Every event that a page listens for, by its name. */
export type Events = HTMLElementEventMap & WindowEventMap & DocumentEventMap & MediaDevicesEventMap;

/** Left, top, right, bottom in pixels of the stored image. */
export type Xyxy = [number, number, number, number];
export interface Size {
  width: number;
  height: number;
}

/** Of one page: `session` names it, so that answers find it. */
type From<Message> = Message & { session: string };
/** For the page `to`, or for all of them. */
type To<Message> = Message & { to?: string | null };

// -- Files that a page sends: workbench/panels/shared/uploads.py

export interface UploadPiece {
  kind: "upload";
  batch: number;
  split: string;
  class_name: string;
  index: number;
  files: number;
  name: string;
  size: number;
  offset: number;
  unreadable: boolean;
  why?: string;
}
export interface Uploaded {
  kind: "uploaded";
  batch: number;
}

// -- The canvas: workbench/panels/annotate/canvas.py and messages.py

/** A box on its way to or from the kernel. */
export interface Row {
  class_id: number;
  xyxy: Xyxy;
}
export interface Proposal {
  score: number;
  /** for people */
  source: string;
  /** whose suggestion it is; not there for predictions that are not kept */
  source_id?: string;
}
export type ProposalRow = Row & Proposal;

export interface KeyAction {
  action: string;
  keys: string[];
  text: string;
  group: string;
}

export interface CanvasTraits {
  classes: string[];
  /** Of the classes that have one of their own; empty for the others. */
  colours: string[];
  current_class: string | null;
  opacity: number;
  image_brightness: number;
  image_contrast: number;
  bindings: Record<string, string[]>;
  actions: KeyAction[];
  walks: boolean;
  /** titles of panels that can be opened from here */
  doors: string[];
  why_empty: string;
  autofocus: boolean;
  canvas_height: number;
  notice: string;
  /** files that could be fetched: what they are for, and what the button says */
  offer: Record<string, string>;
  /** score from which on predictions are shown */
  threshold: number;
  /** the same for some classes by name, in place of it */
  class_thresholds: Record<string, number>;
  /** what an evaluation offers for these, and which one that is, in words */
  best_thresholds: Record<string, number>;
  best_from: string;
  /** what is under way, in words */
  work: string;
  /** where else a model can look, as it goes on after its name; empty: nowhere */
  elsewhere: string;
  can_teach: boolean;
  teaches: boolean;
  taught: string;
}

/** One image as the kernel describes it. */
export interface Frame {
  /** identity of the image */
  key: string;
  /** changes with the image's bytes */
  token: string;
  /** number of the walk that `index` belongs to */
  walk: number;
  index: number;
  name: string;
  /** image pixels */
  width: number;
  height: number;
  /** of the label file, "" if there is none */
  revision: string;
  editable: boolean;
  /** what is wrong with the image or its labels, for people */
  problem: string;
  boxes: Row[];
  proposals: ProposalRow[];
  /** predictions of it that were rejected */
  rejected: number;
  /** why it stands where it does in a queue, for people */
  reason?: string;
  /** whether unsaved edits outlive the page */
  keep: boolean;
}

/** The state of an image after a finished edit. */
export interface EditState {
  revision: string;
  boxes: Row[];
  labelled: boolean;
  proposals: ProposalRow[] | null;
  /** predictions that the kernel had sent and that do not wait any more */
  gone?: ProposalRow[];
  what: string;
  /** What the class ids of the boxes meant to whoever drew them. */
  names?: Record<string, string>;
  agreed?: boolean;
}

/** Who proposes boxes, and on which images: `Wish` in wishes.py. */
export type How = "model" | "words" | "similar" | "pixels" | "click";
export type Where = "image" | "walk" | "dataset" | "unlabelled";

export type CanvasSent = From<
  | { kind: "hello" }
  | { kind: "go"; seq: number; walk: number; index: number; have: string | null }
  | { kind: "go_unlabelled"; seq: number; walk: number; index: number }
  | { kind: "want"; index: number; walk: number }
  | { kind: "want"; key: string; plain?: boolean }
  | { kind: "want_trail"; key: string }
  | { kind: "strip"; walk: number; first: number; count: number; have: number[] }
  | { kind: "add_class"; name: string }
  | { kind: "got"; id: number }
  | ({ kind: "edit"; seq: number; key: string } & EditState)
  | { kind: "submit" }
  | { kind: "suggest"; how?: How; where?: Where; key?: string; boxes?: Row[]; at?: "ray" }
  | { kind: "fetch" }
  | { kind: "click"; key: string; point: number[] }
  | { kind: "teach" }
  | { kind: "tighten"; key: string; ids: number[]; boxes: number[][] }
  | { kind: "open"; panel: string }
>;

export interface FrameMessage {
  kind: "frame";
  id: number;
  show: boolean;
  cause: { session: string; seq: number } | null;
  total: number;
  labelled: number;
  to_review: number;
  plain: boolean;
  frame: Frame;
}
/** `buffer`: number of the picture among the buffers; null: the page has it. */
export interface FilmstripMessage {
  kind: "strip";
  walk: number;
  items: { index: number; name: string; labelled: boolean; buffer: number | null }[];
}
export interface SavedMessage {
  kind: "saved";
  session: string;
  seq: number;
  key: string;
  revision: string;
  labelled: number;
  to_review?: number;
}
/** Why an edit was not saved, and what can be done; `revision` and `boxes`: what the file has now. */
export interface Failure {
  why: string;
  choices: { choice: "mine" | "theirs" | "retry"; text: string }[];
  /** Whether it ends by itself: a network that is gone, a service without time. */
  passes?: boolean;
  revision: string;
  boxes: Row[];
}
export type NotSavedMessage = {
  kind: "not_saved";
  session: string;
  seq: number;
  key: string;
} & Failure;
export interface LabelsMessage {
  kind: "labels";
  labelled?: number;
  to_review?: number;
  key: string;
  revision: string;
  boxes: Row[];
  proposals: ProposalRow[];
}
/** What waits for review of an image by now, covered by labels or not, and what was rejected. */
export interface SuggestedMessage {
  kind: "suggested";
  key: string;
  to_review: number;
  proposals: ProposalRow[];
  rejected: ProposalRow[];
}
/** The boxes of an image at one time; null while it was not labelled. */
export type RowState = Row[] | null;
export interface TrailMessage {
  kind: "trail";
  key: string;
  /** what the file held when it was read */
  boxes: RowState;
  past: RowState[];
  future: RowState[];
  /** what waits for review in each of these states */
  past_proposals?: ProposalRow[][];
  future_proposals?: ProposalRow[][];
  more: boolean;
}
/** Boxes by the ids that the page has asked with. */
export interface TightenedMessage {
  kind: "tightened";
  key: string;
  ids: number[];
  boxes: Xyxy[];
}
/** A box around what a page has pointed at; null: nothing is there. */
export interface ClickedMessage {
  kind: "clicked";
  key: string;
  xyxy: Xyxy | null;
}
export type CanvasReceived = To<
  | FrameMessage
  | { kind: "empty" }
  | { kind: "scope"; scope: string }
  | { kind: "not_shown"; index: number; why: string }
  | SavedMessage
  | NotSavedMessage
  | LabelsMessage
  | SuggestedMessage
  | TrailMessage
  | TightenedMessage
  | ClickedMessage
  | FilmstripMessage
>;
export type CanvasModel = Model<CanvasTraits, CanvasSent, CanvasReceived>;

// -- The gallery: workbench/panels/browse/gallery.py and pages.py

export type GalleryMode = "images" | "objects" | "suggested" | "trash";
/** Half-open. */
export type Range = readonly [number, number];
export type Ranges = readonly Range[];

export interface GalleryTraits {
  listing: {
    id?: number;
    total?: number;
    mode?: GalleryMode;
    query?: string;
    dataset?: string;
    of?: number;
    keep?: boolean;
    empty?: string;
    only?: string;
  };
  selection: { listing?: number; ranges?: Ranges; by?: string };
  classes: string[];
  colours: string[];
  tags: string[];
  problem: string;
  status: { text?: string; tone?: string; details?: string[] };
  progress: { what?: string; done?: number; total?: number };
  /** who can suggest boxes */
  labellers: { text: string; how: string; name: string; where?: string }[];
  words: Record<string, string[]>;
  /** files that could be fetched for that: what they are for, and what the button says */
  offer: Record<string, string>;
  undo: string;
  transfer: TransferPage;
  transfer_state: {
    status?: GalleryTraits["status"];
    progress?: GalleryTraits["progress"];
  };
  accept: string[];
  imports: string[];
  max_bytes: number;
  height: number;
}

export type ItemState =
  | "unlabelled"
  | "background"
  | "labelled"
  | "unreadable"
  | "predicted"
  | "deleted";
/** What a cell shows; what is empty is left out. */
export interface Item {
  position: number;
  key: string;
  name: string;
  label?: string;
  split?: string;
  state?: ItemState;
  badge?: string;
  note?: string;
  problem?: string;
  predicted?: boolean;
  /** class and how many boxes of it */
  counts?: [number, number][];
  tags?: string[];
  /** class, then centre and size as shares of the picture */
  boxes?: number[][];
  picture?: boolean;
  /** place of the picture's bytes in the message */
  buffer?: number;
}
export interface Completion {
  insert: string;
  start: number;
  end: number;
  label: string;
}

/** An action on the selection; what it needs besides depends on the action. */
export interface Do {
  kind: "do";
  action: string;
  split?: string;
  tag?: string;
  name?: string;
  path?: string;
  class_id?: number;
  class_name?: string;
  every?: number;
  order?: string;
  least?: number;
  first?: number;
  last?: number;
  how?: string;
  where?: string;
  text?: string;
  images?: string;
}
export type GalleryMessage =
  | { kind: "want"; id: number; listing: number; level: number; ranges: Ranges }
  | { kind: "cancel"; id: number }
  | { kind: "select"; listing: number; ranges: Ranges }
  | { kind: "query"; text: string }
  | { kind: "complete"; seq: number; text: string; cursor: number }
  | { kind: "mode"; mode: GalleryMode }
  | { kind: "open"; listing: number; position: number }
  | Do
  | UploadPiece
  | ArrivingPiece
  | TransferAction
  | { kind: "stop" };
export interface ItemsMessage {
  kind: "items";
  id: number;
  listing: number;
  level: number;
  items: Item[];
  done: boolean;
  problem?: string;
}
export interface CompletionsMessage {
  kind: "completions";
  seq: number;
  items: Completion[];
}
export type GalleryReceived = To<
  | ItemsMessage
  | CompletionsMessage
  | Uploaded
  | { kind: "arrived"; batch: number; refused?: boolean }
  | { kind: "piece"; start: number; total: number; name: string }
  | { kind: "no_piece" }
>;
export type GalleryModel = Model<GalleryTraits, From<GalleryMessage>, GalleryReceived>;

// -- Imports and exports: panels/shared/import_pages.py, import_words.py, panels/browse/transfer.py, export_model.py

/** A piece of a file that is to be imported, with the folders that it lay in. */
export type ArrivingPiece = Omit<UploadPiece, "kind"> & { kind: "arrive"; path: string };
export type TransferAction =
  | {
      kind: "import" | "export";
      action: string;
      key?: string | string[] | null;
      value?: unknown;
      name?: string;
      dataset?: string;
      id?: string;
      path?: string;
      confirmed?: boolean;
    }
  | { kind: "fetch"; start: number };
export type Send = (message: TransferAction) => void;

export interface LedgerUnit {
  unit: string;
  found: number;
  taken: number;
  repaired: number;
  left: number;
}
/** One kind of what was left, repaired or noted: unit, outcome and reason are its key. */
export interface LedgerRow {
  key: [string, string, string];
  count: number;
  text: string;
  lines: number;
  pictures: number;
  shown?: string[][];
}
export interface PlanClass {
  name: string;
  boxes: number;
  /** null: left out */
  to: string | null;
  number: number | null;
  /** A class of the dataset that this one, which would be new, may mean; else empty. */
  near: string;
}
export interface PlanPage {
  kind: "plan";
  /** What *Import* does, as Python. */
  code: string;
  title: string;
  format: string;
  sure: number;
  reason: string;
  questions: string[];
  /** key, value and words of choices that answer them */
  answers: string[][];
  into: string;
  name: string;
  datasets: string[];
  units: LedgerUnit[];
  classes: PlanClass[];
  known: string[];
  splits: { split: string; images: number; labelled: number; boxes: number; to: string }[];
  pairs: { rule: string; count: number }[];
  rows: LedgerRow[];
  notes: string[];
  choices: { key: string; label: string; values: string[][]; value: string }[];
  facts?: string[];
}
export interface AccountPage {
  kind: "account";
  dataset: string;
  id: string;
  at: string;
  title: string;
  format: string;
  fresh: boolean;
  can_undo: boolean;
  /** Why undoing asks first; empty: it does not. */
  confirm: string;
  units: LedgerUnit[];
  by_split: { split: string; pictures: number; annotations: number; left: number }[];
  by_file: { file: string; left: number; repaired: number; noted: number }[];
  rows: LedgerRow[];
  notes: string[];
}
export interface AccountsPage {
  kind: "accounts";
  dataset: string;
  rows: { id: string; at: string; source: string; format: string; units: LedgerUnit[] }[];
}
export interface ErrorPage {
  kind: "error";
  title: string;
  text: string;
}
export interface ExportPage {
  kind: "export";
  /** What *Write* does, as Python. */
  code: string;
  dataset: string;
  whats: string[][];
  formats: string[][];
  images: string[][];
  chosen: { what: string; format: string; images: string };
  counts: { pictures?: number; annotations?: number; classes?: number };
  notes: string[];
  problem: string;
  path: string;
  download: { name?: string };
}
export type ImportPage = PlanPage | AccountPage | AccountsPage | ErrorPage;
export type HomePage = ImportPage | { kind?: undefined };
export type TransferPage = HomePage | ExportPage;
/** What stands on such a page. */
export interface PageContent {
  title: string;
  words: string;
  body: (Node | string)[];
  foot: (Node | string)[];
}

// -- The home page: workbench/panels/home/panel.py and cards.py

export interface HomeCard {
  name: string;
  problem: string;
  /** What is on the card, in words: actions are refused when it is not true any more. */
  seen: string;
  /** Names with their numbers of boxes. */
  classes: [string, number][];
  colours: string[];
  images: number;
  splits: [string, number][];
  labelled: number;
  boxes: number;
  bytes: number;
  touched: string;
  next: { text: string; button: string; panel: string } | null;
  /** Folders outside of it that its links lead to, of which nobody has said that it is meant. */
  links: string[];
  /** Those of which somebody has said that the links there are his own. */
  trusted: string[];
}
export interface HomeTraits {
  cards: HomeCard[];
  trash: { id: string; name: string; at: string }[];
  ready: boolean;
  status: { text?: string; tone?: string };
  work: { what?: string; done?: number; total?: number };
  undo: string;
  where: string;
  running: { id: string; text: string; share: number }[];
  page: HomePage;
}
export type HomeSent =
  | { kind: "do"; action: string; [more: string]: string }
  | { kind: "do"; action: "trust_links"; name: string; folders: string[] }
  | { kind: "go"; panel: string; name: string }
  | { kind: "picture"; name: string }
  | (ArrivingPiece & { session: string })
  | Extract<TransferAction, { kind: "import" | "export" }>
  | { kind: "download"; name: string; session: string }
  | { kind: "fetch"; start: number; session: string }
  | { kind: "stop" };
export type HomeReceived =
  | { kind: "picture"; to?: undefined; name: string }
  | { kind: "arrived"; to: string; batch: number; refused?: boolean }
  | { kind: "packed"; to: string; name: string }
  | { kind: "piece"; to: string; start: number; total: number; name: string }
  | { kind: "no_piece"; to: string }
  | { kind: "answered"; to: string; problem: string };
export type HomeModel = Model<HomeTraits, HomeSent, HomeReceived>;

// -- Cameras: workbench/panels/live/ and capture/camera.py

/** Where pictures come from, and how that goes. */
export interface Feed {
  kind?: string;
  name?: string;
  place?: string;
  status?: "stopped" | "opening" | "live" | "stalled" | "ended" | "failed";
  why?: string;
  player?: Player;
}
/** Of a feed with a beginning and an end. */
export interface Player {
  position: number;
  length: number;
  paused: boolean;
}
export interface FrameFacts {
  seq: number;
  time: number;
  shoot?: boolean;
}
/** Centre and size as shares of the picture, class name, score, and the class where it is known. */
export type DetectionRow = [number, number, number, number, string, number, number?];

export type CameraFrames =
  | ({ kind: "frame" } & FrameFacts)
  | { kind: "frames"; frames: FrameFacts[] };
export type PlayMessage =
  | { kind: "play"; act: "pause" | "play" }
  | { kind: "play"; act: "step" | "seek"; value: number };

export type Split = string | Record<string, number>;
export type SettingName = keyof CaptureSettings;
/** What a capture does: `CaptureSettings` and `CaptureOptions` of the kernel in one. */
export interface CaptureSettings {
  dataset?: string;
  split?: Split;
  class_name?: string;
  mode?: "hand" | "burst" | "interval" | "motion";
  rate?: number;
  every?: number;
  motion?: number;
  until?: number;
  countdown?: number;
  min_difference?: number;
  min_sharpness?: number;
  detections?: "off" | "predictions" | "labels";
  show_boxes?: boolean;
  confidence?: number;
}
export interface CaptureStatus {
  recording?: boolean;
  saving?: boolean;
  waiting?: number;
  saved?: number;
  undone?: number;
  similar?: number;
  blurred?: number;
  dropped?: number;
  damaged?: number;
  slow?: boolean;
  failure?: string;
  split?: string;
  by_split?: Record<string, number>;
  by_class?: Record<string, number>;
  in_dataset?: Record<string, number>;
}
export interface CameraTraits {
  feed: Feed;
  settings: CaptureSettings;
  status: CaptureStatus;
  datasets: string[];
  asks_dataset: boolean;
  classes: string[];
  model: string;
  notice: { text?: string; tone?: string };
  rate: number;
  window: number;
  quality: number;
}
export type CameraMessage =
  | { kind: "hello" }
  | { kind: "bye" }
  | { kind: "camera"; on: true; name: string }
  | { kind: "camera"; on: false; failed: boolean; why: string }
  | CameraFrames
  | { kind: "seen"; id: number }
  | { kind: "press"; held: boolean; shoot: boolean }
  | { kind: "release" }
  | { kind: "set"; name: SettingName; value: unknown }
  | { kind: "source"; source: string; place: string }
  | { kind: "start" }
  | { kind: "stop" }
  | PlayMessage
  | { kind: "undo" }
  | { kind: "redo" }
  | { kind: "remove"; id: number }
  | UploadPiece;
/** A picture of the strip; `buffer`: place of its thumbnail in the message. */
export interface StripItem {
  id: number;
  name: string;
  split: string;
  class_name: string;
  blurred: boolean;
  boxes: number;
  buffer: number | null;
}
export interface StripMessage {
  kind: "strip";
  ids: number[];
  items: StripItem[];
}
export type CameraReceived = To<
  | { kind: "ack"; seqs: number[] }
  | { kind: "owner" }
  | { kind: "preview"; id: number }
  | { kind: "boxes"; rows: DetectionRow[] }
  | { kind: "countdown"; seconds: number }
  | StripMessage
  | { kind: "saved"; count: number }
  | Uploaded
>;
export type CameraModel = Model<CameraTraits, From<CameraMessage>, CameraReceived>;

// -- The stage to try a model on, and the others of workbench/panels/models/widgets.py

export interface TrialTraits {
  feed: Feed;
  confidence: number;
  rate: number;
  window: number;
  quality: number;
}
export type TrialMessage =
  | { kind: "shown" }
  | { kind: "hidden" }
  | { kind: "camera"; on: true; name: string }
  | { kind: "camera"; on: false }
  | CameraFrames
  | { kind: "seen"; id: number }
  | { kind: "source"; source: string; place: string }
  | { kind: "stop" }
  | PlayMessage
  | UploadPiece;
export interface FoundMessage {
  kind: "boxes";
  rows: DetectionRow[];
  by: string;
}
export type TrialReceived = To<
  | { kind: "ack"; seq: number }
  | { kind: "owner" }
  | { kind: "halt" }
  | { kind: "preview"; id: number }
  | { kind: "still" }
  | FoundMessage
  | Uploaded
>;
export type TrialModel = Model<TrialTraits, From<TrialMessage>, TrialReceived>;

export interface ModelRow {
  name: string;
  is_active: boolean;
  problem: string;
  /** values by epoch */
  curve: number[];
  cells: string[];
}
export type ModelTableModel = Model<{
  heads: string[];
  texts: number[];
  spare: number[];
  rows: ModelRow[];
  chosen: string;
  empty: string;
}>;
export type DownloadModel = Model<
  { label: string; why_not: string },
  { kind: "want"; start: number },
  { kind: "piece"; start: number; total: number; name: string } | { kind: "failed" }
>;
export type FileUploadModel = Model<
  { label: string; accept: string },
  From<UploadPiece>,
  To<Uploaded | { kind: "refused" }>
>;

// -- Findings: workbench/panels/curate/finding_list.py and evaluate/finding_tiles.py

export interface Finding {
  kind: string;
  severity: "error" | "warning" | "info";
  title: string;
  why: string;
}
export type FindingListModel = Model<{ findings: Finding[]; chosen: string; empty: string }>;

/** A box as left, top, width and height in shares of the picture. */
export type Share = [number, number, number, number];
export interface Tile {
  number: number;
  title: string;
  name: string;
  words: string;
  problem: string;
  picture: DataView<ArrayBuffer> | null;
  shape: [number, number];
  label: Share | null;
  prediction: Share | null;
  class_id: number;
  label_class: number;
}
export type FindingTilesModel = Model<
  { tiles: Tile[]; colours: string[]; title: string; empty: string },
  { kind: "open"; number: number }
>;

// -- What panels share: workbench/panels/shared/widgets.py

export type StatusLineModel = Model<{ text: string; tone: string }>;
export type CopyButtonModel = Model<{ text: string; why: string }>;
export type PlotGridModel = Model<{ figures: string[]; script: string }>;

/** As much of plotly as the plots use. */
interface Plotly {
  react(element: HTMLElement, data: unknown, layout: object, config: object): void;
  purge(element: HTMLElement): void;
}

declare global {
  /** plotly, once its script has run; and the promise of that. */
  var workbenchPlotly: Plotly | undefined;
  var workbenchPlotlyComes: Promise<void> | undefined;

  // What some browsers have and TypeScript's own list lacks.
  var MediaStreamTrackProcessor:
    | {
        new (options: {
          track: MediaStreamTrack;
        }): { readonly readable: ReadableStream<VideoFrame> };
      }
    | undefined;
  interface VideoFrame {
    readonly rotation?: number;
    readonly flip?: boolean;
  }
  interface Uint8Array {
    toBase64?(): string;
  }
  interface HTMLElement {
    /** Numbers for tests and benchmarks, on a widget's outermost element. */
    captureStats?: object;
    galleryStats?: () => object;
  }
}
