"""Datasets as zip archives: written leanly, read strictly, understood in many shapes.

format      records of the zip format
writer      entries -> archive
directory   an archive's central directory, and what is refused
reader      members, checked as they are read
layout      names -> where each member goes; no disk
data_yaml   class names out of other people's files
importer    archive -> sink
sink        a folder as a sink
"""

from __future__ import annotations

from workbench.persistence.archive.data_yaml import parse_class_list, parse_data_yaml
from workbench.persistence.archive.importer import ArchiveContents, Sink, import_archive
from workbench.persistence.archive.layout import Layout, plan_layout
from workbench.persistence.archive.reader import Archive, Member
from workbench.persistence.archive.sink import FolderSink
from workbench.persistence.archive.writer import write_zip

__all__ = [
    "Archive",
    "ArchiveContents",
    "FolderSink",
    "Layout",
    "Member",
    "Sink",
    "import_archive",
    "parse_class_list",
    "parse_data_yaml",
    "plan_layout",
    "write_zip",
]
