"""The data of a run, just before Ultralytics reads them: a run's folder may come from anywhere.

Ultralytics runs what ``download:`` in a ``data.yaml`` says, goes wherever its splits lead, and
unpickles the ``*.cache`` files beside the labels, which runs what is in them. A frozen view that
we wrote has none of these to begin with, but somebody may hand on a run's folder to be resumed.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from workbench.errors import TrainingError, plain_words
from workbench.persistence.models import SPLITS
from workbench.persistence.own_files import read_own_file
from workbench.persistence.plain_files import files_below
from workbench.persistence.run_folder import RunFolder
from workbench.persistence.yaml_bounds import MAX_BYTES, Loader
from workbench.persistence.yolo.data_yaml import DANGEROUS, parse
from workbench.training.node_data import data_of

_START_ANEW = "start a new run from the dataset instead"
_LEADS_AWAY = DANGEROUS | {"path"}


def make_ready(folder: RunFolder, data_yaml: str) -> None:
    """See that a run's data are data and no more, and remove what Ultralytics would unpickle.

    On a node of a cluster these are what it has of them on its own disk.

    Parameters
    ----------
    folder : RunFolder
    data_yaml : str
        Relative to the folder, as the job says it.

    Raises
    ------
    TrainingError
        If training would leave the run's folder, or run or fetch something.
    """
    path = folder.path / data_yaml
    if path.parent != folder.data_dir or ".." in Path(data_yaml).parts:
        raise TrainingError(
            f"{folder.job_path}: expected data in {folder.data_dir}, found {data_yaml!r}; "
            f"{_START_ANEW}"
        )
    _refuse_links(folder.data_dir)
    data_dir = data_of(folder)
    path = data_dir / path.name
    try:
        data = read_own_file(path, MAX_BYTES)
        parse(data, str(path))  # which sees that it is moderate, and that the splits lie in it
    except OSError as error:
        raise TrainingError(
            f"{path}: it cannot be read ({plain_words(error)}); {_START_ANEW}"
        ) from error
    content = yaml.load(data, Loader=Loader)  # a safe loader: it builds plain types only
    for key in sorted(_LEADS_AWAY & content.keys()):
        raise TrainingError(
            f"{path}: expected data that lie beside it, found {key!r}, which training would run, "
            f"fetch or follow; take the line out if it is yours, or {_START_ANEW}"
        )
    _refuse_links(data_dir)
    _remove_caches(data_dir)


def _refuse_links(data: Path) -> None:
    """Training writes beside the labels, wherever a link leads."""
    for kind in ("images", "labels"):
        for path in (data, data / kind, *(data / kind / split for split in SPLITS)):
            if path.is_symlink():
                raise TrainingError(f"{path}: expected a folder, found a link; {_START_ANEW}")


def _remove_caches(data: Path) -> None:
    for path in files_below(data):
        if path.name.endswith(".cache"):
            path.unlink()
