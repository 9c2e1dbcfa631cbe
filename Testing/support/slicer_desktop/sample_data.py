"""``SampleData``: the list that modules add to, one button an entry, and how scripts fetch an entry."""

from __future__ import annotations

import hashlib
import shutil
import sys
import types
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import slicer


@dataclass(frozen=True)
class SampleDataSource:
    sampleName: str
    uris: tuple[str, ...]
    fileNames: tuple[str, ...]
    nodeNames: tuple[str, ...]
    checksums: tuple[str, ...]
    thumbnailFileName: str
    customDownloader: Callable[[Any], Any] | None

    def click(self) -> None:
        """Its button in the module."""
        assert self.customDownloader is not None
        self.customDownloader(self)


class SampleDataLogic:
    """Nothing but what the application's class of this name does with one file an entry."""

    cache = ""

    @staticmethod
    def registerCustomSampleDataSource(
        category: str = "Custom",
        sampleName: str = "",
        uris: str = "",
        fileNames: str = "",
        nodeNames: str = "",
        customDownloader: Callable[[Any], Any] | None = None,
        thumbnailFileName: str = "",
        checksums: str = "",
    ) -> None:
        lists = ((one,) for one in (uris, fileNames, nodeNames, checksums))
        source = SampleDataSource(sampleName, *lists, thumbnailFileName, customDownloader)
        listed = vars(slicer.modules).setdefault("sampleDataSources", {}).setdefault(category, [])
        if source not in listed:
            listed.append(source)

    def downloadFile(self, source: SampleDataSource) -> Path:
        """Into the cache, checked; ValueError where it is another file."""
        path = Path(self.cache) / source.fileNames[0]
        with urllib.request.urlopen(source.uris[0]) as given, path.open("wb") as file:
            shutil.copyfileobj(given, file)
        algorithm, digest = source.checksums[0].split(":")
        if hashlib.new(algorithm.lower(), path.read_bytes()).hexdigest() != digest:
            raise ValueError(f"{path.name}: checksum")
        return path


def install() -> types.ModuleType:
    """Put it into ``sys.modules``."""
    made = types.ModuleType("SampleData")
    made.SampleDataLogic = SampleDataLogic  # type: ignore[attr-defined]
    sys.modules["SampleData"] = made
    return made
