"""LiverLesionAI: liver lesions in CT, found by published attention networks, as a module of 3D Slicer.

Everything clinical and numerical is in LiverLesionAILib; the panel's parts are in LiverLesionAILib.panel.
This file alone also runs under Python 3.9, to say that Slicer is too old.
"""

from __future__ import annotations

import sys

import slicer
from LiverLesionAILib import __version__
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)

try:
    from slicer.i18n import tr as _
except ImportError:  # Slicer before 5.4

    def _(text):
        return text


OLDEST_PYTHON = (3, 10)
TOO_OLD = (
    ""
    if sys.version_info >= OLDEST_PYTHON
    else "LiverLesionAI needs Slicer 5.10 or newer: this Slicer brings Python "
    f"{sys.version_info[0]}.{sys.version_info[1]}, which is too old. "
    "Install the current Slicer from download.slicer.org, and this extension in it."
)
"""Why nothing works here, for the reader, or "". Slicer up to 5.8 brings Python 3.9, from 5.10 on 3.12."""

HOMEPAGE = "https://github.com/LiverLesionAI/LiverLesionAI"


class LiverLesionAI(ScriptedLoadableModule):
    """What the application shows about the module before it is opened."""

    def __init__(self, parent) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("Liver Lesion AI")
        parent.categories = ["Segmentation"]
        parent.dependencies = []
        parent.contributors = [_("The LiverLesionAI contributors")]
        parent.helpText = _(
            "<p>Finds the liver and its lesions in an abdominal CT: segments, boxes, measurements "
            "and attention maps that you look at, correct and report. In five clicks: <b>Sample</b> "
            "(or choose your CT), <b>Analyze</b>, a row of the table, <b>Accept</b> or <b>Reject</b>, "
            "File / Save.</p>"
            f'<p><a href="{HOMEPAGE}/blob/main/Resources/TUTORIAL.md">Tutorial</a>, '
            f'<a href="{HOMEPAGE}">README</a> with models, accuracy and messages.</p>'
            "<p>For research; not a medical device. Everything is computed on this computer. "
            "Slicer 5.10 or newer.</p>"
            f"<p>Version {__version__}</p>"
        )
        parent.acknowledgementText = _(
            "<p>The networks follow published papers. <b>Please cite those of the models you use</b>:</p><ul>"
            "<li>coarse_unet, unet of the gallbladder: O. Ronneberger et al., U-Net: Convolutional Networks "
            "for Biomedical Image Segmentation, MICCAI 2015</li>"
            "<li>tree_unet: &Ouml;. &Ccedil;i&ccedil;ek et al., 3D U-Net: Learning Dense Volumetric "
            "Segmentation from Sparse Annotation (2016)</li>"
            "<li>click_unet: N. Xu et al., Deep Interactive Object Selection, CVPR 2016; K. Sofiiuk et al., "
            "Reviving Iterative Training with Mask Guidance for Interactive Segmentation, ICIP 2022</li>"
            "<li>sfan: Y. Zhang et al., Semantic Feature Attention Network for Liver Tumor Segmentation in "
            "Large-scale CT database</li>"
            "<li>mscd: S. Pang et al., Correlation Matters: Multi-scale Fine-grained Contextual Information "
            "Extraction for Hepatic Tumor Segmentation, PAKDD 2020</li>"
            "<li>va_mask_rcnn, va_faster_rcnn: X. Wang et al., Volumetric Attention for 3D Medical Image "
            "Segmentation and Detection, MICCAI 2019</li>"
            "<li>cs_att: Q. Tao et al., Improving Deep Lesion Detection Using 3D Contextual and Spatial "
            "Attention, MICCAI 2019</li>"
            "<li>dadrn: X. Chen et al., A Dual Attention Dilated Residual Network for Liver Lesion "
            "Classification and Localization on CT Images, ICIP 2019</li></ul>"
            f"<p>and this extension: LiverLesionAI {__version__}, {HOMEPAGE}. The README lists the papers of "
            "every model.</p>"
            "<p>Trained on public CT data: LiTS (CC BY-SA 4.0) and TCIA collections (CC BY 3.0).</p>"
        )
        if not TOO_OLD:
            slicer.app.connect("startupCompleted()", self._register_sample)

    def _register_sample(self) -> None:
        """Once all modules are there: the sample case in Slicer's own *Sample Data*."""
        from pathlib import Path

        from LiverLesionAILib.panel.run.sample_data import register

        register(Path(__file__).parent / "Resources" / "Icons")


class LiverLesionAIWidget(ScriptedLoadableModuleWidget):
    """The module's panel; its parts are in LiverLesionAILib.panel."""

    # What to run as worker; a test puts its own command here.
    workerCommand = None

    def __init__(self, parent=None) -> None:
        self.panel = None
        self.logic = None
        ScriptedLoadableModuleWidget.__init__(self, parent)

    def setup(self) -> None:
        ScriptedLoadableModuleWidget.setup(self)
        if TOO_OLD:
            self._say_too_old()
            return
        from LiverLesionAILib.panel.panel import Panel

        self.uiWidget = slicer.util.loadUI(self.resourcePath("UI/LiverLesionAI.ui"))
        self.layout.addWidget(self.uiWidget)
        self.ui = slicer.util.childWidgetVariables(self.uiWidget)
        self.uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = LiverLesionAILogic()
        self.panel = Panel(self.uiWidget, self.ui, self.logic, self.resourcePath, self.workerCommand)
        if getattr(self.parent, "isEntered", False) is True:
            # Reloaded while it is open: the application does not say so again.
            self.panel.enter()

    def _say_too_old(self) -> None:
        import qt

        label = qt.QLabel(TOO_OLD)
        label.setWordWrap(True)
        self.layout.addWidget(label)
        self.layout.addStretch(1)

    def enter(self) -> None:
        if self.panel is not None:
            self.panel.enter()

    def exit(self) -> None:
        if self.panel is not None:
            self.panel.exit()

    def onReload(self) -> None:
        """For developers: the library is read anew too."""
        for name in [name for name in sys.modules if name.split(".")[0] == "LiverLesionAILib"]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)

    def cleanup(self) -> None:
        if self.panel is not None:
            self.panel.cleanup()
            self.panel = None


class LiverLesionAILogic(ScriptedLoadableModuleLogic):
    """What other modules and scripts may call."""

    def __init__(self) -> None:
        """Raises RuntimeError where Slicer is too old."""
        if TOO_OLD:
            raise RuntimeError(TOO_OLD)
        ScriptedLoadableModuleLogic.__init__(self)
        self.lastOutcome = None

    def loadSampleCase(self):
        """Add the sample case's CT to the scene; its volume node.

        The one that is there already is taken again.
        """
        from LiverLesionAILib.panel.run.sample_case import load_sample_volume

        return load_sample_volume(slicer.mrmlScene)

    def applySteps(self, volumeNode, resultFolder, threshold=None):
        """Put a result from the worker into the scene, in steps (a generator; yields what each does).

        threshold: lesions of a lower score (0 to 1) are kept aside for the threshold slider; None takes
        the rules' (`liverlesionai rules`).
        """
        from LiverLesionAILib.analysis.rules import Rules
        from LiverLesionAILib.review.result_steps import result_steps

        if threshold is None:
            threshold = Rules().score_threshold
        for step in result_steps(slicer.mrmlScene, volumeNode, resultFolder, threshold):
            if isinstance(step, str):
                yield step
            else:
                self.lastOutcome = step

    def writeReport(self, volumeNode, folder):
        """Write the findings as they now stand in the scene, with the reader's classes and edits.

        findings.csv and findings.json in a folder; their paths. Raises LiverLesionAIError with a text for the
        reader.
        """
        from LiverLesionAILib.review.reader_result import reader_result
        from LiverLesionAILib.writing.tables import write_tables

        return write_tables(reader_result(slicer.mrmlScene, volumeNode), folder)

    def analyze(self, volumeNode, settings=None):
        """Analyse a volume here and now, for scripts without the panel.

        Blocks, and needs torch in this process.

        settings: LiverLesionAILib.analysis.settings.Settings or None. Returns the nodes
        (LiverLesionAILib.scene.show.SceneNodes);
        raises LiverLesionAIError with a text for the reader.
        """
        from LiverLesionAILib.review.direct import analyze_volume

        return analyze_volume(slicer.mrmlScene, volumeNode, settings)


class LiverLesionAITest(ScriptedLoadableModuleTest):
    """Clicks through the panel.

    In Slicer by "Reload and Test", and without it in the repository's stand-in.
    """

    def setUp(self) -> None:
        if TOO_OLD:
            self.skipTest(TOO_OLD)
        slicer.mrmlScene.Clear(0)

    def runTest(self) -> None:
        from LiverLesionAILib.panel.self_test import run_all

        run_all(self)

    def test_1_anEmptySceneSaysWhatToDo(self) -> None:
        from LiverLesionAILib.panel.self_test import opens_empty

        opens_empty(self)

    def test_2_theSampleCaseIsFoundAndMatchesItsTruth(self) -> None:
        from LiverLesionAILib.panel.self_test import five_clicks

        five_clicks(self)

    def test_3_theFollowUpOfTheSampleIsComparedCorrectedAndKept(self) -> None:
        from LiverLesionAILib.panel.self_test import follow_up_story

        follow_up_story(self)
