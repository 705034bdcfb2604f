"""Every error that Workbench raises on purpose, in one tree.

Each class also derives from the builtin that a caller would expect, so that
``except ValueError`` and ``except FileNotFoundError`` work without knowing this
module::

    WorkbenchError
    ├── InvalidNameError        (ValueError)  a name that cannot be a file name everywhere
    ├── AlreadyExistsError      (ValueError)  a dataset, image or model of that name is there
    ├── InvalidFrameError       (ValueError)  pixels that cannot be stored as an image
    ├── InvalidBoxError         (ValueError)  a box that no label file may hold
    ├── InvalidDatasetError     (ValueError)  a data.yaml or a folder that is no YOLO dataset
    ├── ClassesInUseError       (ValueError)  class ids that labels use would lose their class
    ├── LabelFormatError        (ValueError)  a label file that cannot be read; names file and line
    ├── LossySaveError          (ValueError)  saving would destroy rows that are not boxes
    ├── ArchiveError            (ValueError)  a zip that is not imported, and why
    ├── ImportFormatError       (ValueError)  files of another tool that cannot be read
    ├── ExportError             (ValueError)  an export that asks for what cannot be written
    ├── InvalidModelError       (ValueError)  a weights file that is damaged, or no detection model
    ├── NotFoundError           (FileNotFoundError)  what was asked for is not there
    ├── ReadOnlyError           (PermissionError)  a folder that this user may not write to
    ├── StorageError            (OSError)  the disk is full, broken, or something odd lies on it
    │   └── UnreachableError    (ConnectionError)  no answer came from where the data are
    ├── FetchError              (OSError)  a file from the network that did not come, or is another
    ├── BusyError               (TimeoutError)  another process does not come to an end
    ├── ConflictError           (RuntimeError)  somebody else changed it in the meantime
    ├── NotStartedError         (RuntimeError)  the stores were asked for before start-up
    ├── SetupError              (RuntimeError)  this machine's installation is broken
    └── TrainingError           (RuntimeError)  a training run that could not start or failed
        └── InvalidConfigError  (ValueError)  a training setting that cannot be

Messages say what was expected, what was found and what to do.
"""

from __future__ import annotations

from pathlib import Path


def plain_words(error: OSError) -> str:
    """Return what the system says, without its number, which means nothing to people."""
    return error.strerror or str(error) or type(error).__name__


class WorkbenchError(Exception):
    """Base of all errors that Workbench raises on purpose."""


class InvalidNameError(WorkbenchError, ValueError):
    """A name that cannot be used as a file or folder name on every system."""


class AlreadyExistsError(WorkbenchError, ValueError):
    """Something of that name exists, and the call must not replace it."""


class InvalidFrameError(WorkbenchError, ValueError):
    """Pixels that cannot be stored: wrong type, shape or size, or bytes that are no image."""


class InvalidBoxError(WorkbenchError, ValueError):
    """A box that no label file may hold: NaN, empty inside the image, or of an unknown class."""


class InvalidDatasetError(WorkbenchError, ValueError):
    """A ``data.yaml``, class list or folder layout that is no YOLO dataset."""


class ClassesInUseError(WorkbenchError, ValueError):
    """A change of classes would leave boxes without a class."""


class LabelFormatError(WorkbenchError, ValueError):
    """A label file that cannot be read.

    Parameters
    ----------
    path : Path or str
        The file.
    line : int
        Number of the offending line, counted from 1; 0 if the whole file is meant.
    problem : str
        What was expected, what was found and what to do.
    """

    def __init__(self, path: Path | str, line: int, problem: str) -> None:
        self.path = path
        self.line = line
        self.problem = problem
        super().__init__(path, line, problem)

    def __str__(self) -> str:
        where = f"{self.path}, line {self.line}" if self.line else str(self.path)
        return f"{where}: {self.problem}"


class LossySaveError(WorkbenchError, ValueError):
    """Saving would destroy rows (polygons, keypoints, confidences) that are not plain boxes."""


class ArchiveError(WorkbenchError, ValueError):
    """A zip archive that is refused; nothing of it was kept."""


class ImportFormatError(WorkbenchError, ValueError):
    """Files of another tool that cannot be read as what they claim to be."""


class ExportError(WorkbenchError, ValueError):
    """An export that asks for a format, a class or a split that there is not."""


class InvalidModelError(WorkbenchError, ValueError):
    """A weights file that is damaged, holds code, or is no detection model."""


class NotFoundError(WorkbenchError, FileNotFoundError):
    """A dataset, image, model or trash entry that is not there."""


class ReadOnlyError(WorkbenchError, PermissionError):
    """A dataset or a data folder that this user may read, and not change."""


class StorageError(WorkbenchError, OSError):
    """The disk did not do what it was asked to: full, faulty, or something odd lies there.

    ``errno`` says what the system said.
    """


class UnreachableError(StorageError, ConnectionError):
    """No answer came from where the data are, so that nobody knows whether a change was made."""


class FetchError(WorkbenchError, OSError):
    """A file that could not be fetched from the network, or is another than it should be."""


class BusyError(WorkbenchError, TimeoutError):
    """Another process has been changing the same data for longer than we wait for it."""


PASSING = (UnreachableError, BusyError)
"""What ends by itself, so that the same may be tried again."""


class ConflictError(WorkbenchError, RuntimeError):
    """The thing was changed by somebody else since the caller last saw it."""


class NotStartedError(WorkbenchError, RuntimeError):
    """The stores were asked for before :func:`workbench.set_stores` or ``Workbench(...)``."""


class SetupError(WorkbenchError, RuntimeError):
    """The installation on this machine is broken; the message holds the remedy."""


class TrainingError(WorkbenchError, RuntimeError):
    """A training run that could not be started, or that failed."""


class InvalidConfigError(TrainingError, ValueError):
    """A training setting with an unknown name or an impossible value."""
