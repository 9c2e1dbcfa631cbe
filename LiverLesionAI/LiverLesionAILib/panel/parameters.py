"""What the panel remembers in the scene: typed, bound to widgets by name, saved and loaded with it."""

from __future__ import annotations

from typing import Annotated

from slicer import vtkMRMLScalarVolumeNode
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper

from ..analysis.rules import Rules
from .choices import ClassSetting, CtPhase, Device, MapColours, MaskStyle, Precision, SizeFilter, StatusFilter


@parameterNodeWrapper
class PanelParameters:
    """Names are those of the `SlicerParameterName` properties in the .ui file.

    Attributes:
        secondVolume: another contrast phase of the same patient, or none.
        priorVolume: an earlier CT of the patient to compare with, or none.
        unenhancedVolume, arterialVolume, portalVolume, delayedVolume: contrast phases of the same patient.
        ctPhase: phase of the CT itself, as the reader names it.
        classSetting: whose lesions these are; how often each class is met follows from it.
        segmenter, detector, classifier: names of models of the manifest, "" for its first one.
        findBoxes, findClasses: whether detector and classifier run, where there are any.
        threshold: probability a lesion must reach to be listed.
        thresholdSet: it is the reader's or the model's; before the first analysis it means nothing.
        classFilter: a class's name, "" for all.
        showDoubtful: question marks stand at places that look somewhat like a lesion and are not listed.
        showAnatomy: vessels and Couinaud segments are shown, showLandmarks: with their landmarks.
        mapName: name, or family, of the map that is chosen, "" for none.
        selectedSegment: row ID of the lesion that is selected, "" for none.
        allHidden: every overlay is hidden by the one switch.
    """

    inputVolume: vtkMRMLScalarVolumeNode
    secondVolume: vtkMRMLScalarVolumeNode
    priorVolume: vtkMRMLScalarVolumeNode
    unenhancedVolume: vtkMRMLScalarVolumeNode
    arterialVolume: vtkMRMLScalarVolumeNode
    portalVolume: vtkMRMLScalarVolumeNode
    delayedVolume: vtkMRMLScalarVolumeNode
    ctPhase: CtPhase = CtPhase.ESTIMATED
    classSetting: ClassSetting = ClassSetting.STAGING
    segmenter: str = ""
    detector: str = ""
    classifier: str = ""
    findBoxes: bool = True
    findClasses: bool = True
    device: Device = Device.AUTO
    precision: Precision = Precision.AUTO
    marginMm: Annotated[float, WithinRange(0.0, 60.0)] = Rules().margin_mm
    smallestMm: Annotated[float, WithinRange(0.0, 20.0)] = Rules().smallest_mm
    pyramid: bool = False
    threshold: Annotated[float, WithinRange(0.02, 0.98)] = 0.5
    thresholdSet: bool = False
    classFilter: str = ""
    sizeFilter: SizeFilter = SizeFilter.ALL
    statusFilter: StatusFilter = StatusFilter.ALL
    showMasks: bool = True
    maskStyle: MaskStyle = MaskStyle.BOTH
    showBoxes: bool = False
    showAxes: bool = True
    showNumbers: bool = True
    showDoubtful: bool = True
    show3d: bool = True
    showMap: bool = False
    mapName: str = ""
    mapOpacity: Annotated[float, WithinRange(0.0, 1.0)] = 0.5
    mapThreshold: Annotated[float, WithinRange(0.0, 1.0)] = 0.25
    mapColours: MapColours = MapColours.IRON
    showLegend: bool = True
    showAnatomy: bool = False
    showLandmarks: bool = True
    selectedSegment: str = ""
    allHidden: bool = False
