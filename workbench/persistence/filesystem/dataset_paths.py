"""Where the parts of a dataset lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from workbench.persistence.models import SPLITS
from workbench.persistence.yolo.names import HIDDEN, check_name, stem


@dataclass(frozen=True, slots=True)
class DatasetPaths:
    """Where the parts of one dataset lie. Strings, because hot loops build thousands of them."""

    root: str

    def below(self, path: str) -> str:
        """Return the name below the root of a path there, as `inside` takes it."""
        return path[len(self.root) + 1 :]

    def at(self, key: str) -> str:
        """Return the path of a key."""
        return f"{self.root}/{key}"

    @property
    def data_yaml(self) -> str:
        """The file that makes the folder a dataset."""
        return f"{self.root}/data.yaml"

    @property
    def hidden(self) -> str:
        """The folder for what YOLO has no place for."""
        return f"{self.root}/{HIDDEN}"

    @property
    def facts(self) -> str:
        """When the dataset was made."""
        return f"{self.hidden}/dataset.json"

    @property
    def prompts(self) -> str:
        """Text prompts by class id."""
        return f"{self.hidden}/prompts.json"

    @property
    def tags(self) -> str:
        """File names by tag."""
        return f"{self.hidden}/tags.json"

    @property
    def suggestions(self) -> str:
        """Boxes that wait for review, one file for each source."""
        return f"{self.hidden}/suggestions"

    @property
    def rewrites(self) -> str:
        """What label files held before classes got other ids."""
        return f"{self.hidden}/rewrites"

    @property
    def versions(self) -> str:
        """One file for each frozen version, and ``objects`` with their images."""
        return f"{self.hidden}/versions"

    @property
    def cache(self) -> str:
        """What can be derived again."""
        return f"{self.hidden}/cache"

    @property
    def trash(self) -> str:
        """One folder for each deleted image or label file."""
        return f"{self.hidden}/trash"

    def images(self, split: str) -> str:
        """Return the folder of a split's images."""
        return f"{self.root}/images/{split}"

    def labels(self, split: str) -> str:
        """Return the folder of a split's label files."""
        return f"{self.root}/labels/{split}"

    def image(self, split: str, filename: str) -> str:
        """Return the path of an image."""
        return f"{self.root}/images/{split}/{filename}"

    def label(self, split: str, filename: str) -> str:
        """Return the path of an image's label file."""
        return f"{self.root}/labels/{split}/{stem(filename)}.txt"

    def split_folders(self) -> list[str]:
        """Return every folder that a complete dataset has."""
        return [f"{self.root}/{kind}/{split}" for kind in ("images", "labels") for split in SPLITS]


def dataset_paths(data_dir: Path, name: str) -> DatasetPaths:
    """Return the paths of the dataset `name`, which need not exist.

    Raises
    ------
    InvalidNameError
        If `name` cannot be a folder name.
    """
    return DatasetPaths(f"{data_dir}/{check_name(name, 'dataset name')}")
