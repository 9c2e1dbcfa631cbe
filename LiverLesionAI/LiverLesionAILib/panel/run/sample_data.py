"""The sample case in Slicer's own module *Sample Data*; scripts get it by `SampleData.downloadSample`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import slicer

from ...case.sample import CT_FILE, sample_folder
from ...support.errors import LiverLesionAIError
from ...support.files import sha256_of
from ..show.views import show_volume
from .sample_case import NAME as NODE_NAME
from .sample_case import load_sample_volume

CATEGORY = "Liver Lesion AI"
NAME = "LiverLesionAISample"
THUMBNAIL = "SampleData"


def register(icons: Path) -> None:
    """List the shipped CT in *Sample Data*; nothing is downloaded. Called again it changes nothing.

    Args:
        icons: folder of the module's icons.
    """
    import SampleData

    path = sample_folder() / CT_FILE
    if not path.is_file():
        return
    digest = sha256_of(path)
    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category=CATEGORY,
        sampleName=NAME,
        thumbnailFileName=str(icons / f"{THUMBNAIL}.png"),
        # Scripts "download" it from here into Slicer's cache, where a later version's file is another.
        uris=path.as_uri(),
        fileNames=f"LiverLesionAI_sample_{digest[:8]}.nrrd",
        checksums=f"SHA256:{digest}",
        nodeNames=NODE_NAME,
        customDownloader=load,
    )


def load(_source: Any = None) -> list[slicer.vtkMRMLScalarVolumeNode]:
    """Put the CT into the scene and into the slice views, as the panel's button *Sample* does.

    One that is there is taken again.
    """
    try:
        node = load_sample_volume(slicer.mrmlScene)
    except LiverLesionAIError as error:
        slicer.util.errorDisplay(str(error))
        return []
    show_volume(slicer.mrmlScene, node)
    return [node]
