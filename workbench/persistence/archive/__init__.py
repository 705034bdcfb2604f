"""Datasets as zip archives and foreign folders: written leanly, read strictly, of any shape.

format      records of the zip format
writer      entries -> archive
directory   an archive's central directory, and what is refused
reader      members, checked as they are read
folder      a folder read like an archive
split_lists data.yaml, obj.data, train.txt -> which image is in which split
layout      names -> where each member goes; no disk
data_yaml   class names out of other people's files
notes       what is reported
importer    archive or folder -> sink
sink        a folder as a sink
"""

from __future__ import annotations

from workbench.persistence.archive.data_yaml import parse_class_list, parse_data_yaml
from workbench.persistence.archive.importer import (
    ArchiveContents,
    Sink,
    import_archive,
    import_folder,
    unpack,
)
from workbench.persistence.archive.layout import Layout, plan_layout
from workbench.persistence.archive.reader import Archive, Member
from workbench.persistence.archive.sink import FolderSink
from workbench.persistence.archive.writer import (
    archive_path,
    empty_splits,
    require_free,
    write_zip,
)

__all__ = [
    "Archive",
    "ArchiveContents",
    "FolderSink",
    "Layout",
    "Member",
    "Sink",
    "archive_path",
    "empty_splits",
    "import_archive",
    "import_folder",
    "parse_class_list",
    "parse_data_yaml",
    "plan_layout",
    "require_free",
    "unpack",
    "write_zip",
]
