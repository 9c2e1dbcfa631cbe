"""The choice of networks: what the manifest of the bundled weights offers."""

from __future__ import annotations

from typing import Any

from ...models.weights import Manifest, ModelEntry
from ...support.errors import ModelError
from ..parameters import PanelParameters

PYRAMID = (0.5, 1.0, 1.5)


class ModelPanel:
    """Fills the lists of networks; boxes and classes are offered only where the manifest has such models."""

    def __init__(self, ui: Any, manifest: Manifest | None = None) -> None:
        self._ui = ui
        self._parameters: PanelParameters | None = None
        self.problem = ""
        """Why there are no models, "" when there are."""
        try:
            entries = (manifest or Manifest.read()).entries
        except ModelError as error:
            entries, self.problem = (), str(error)
        self._entries = {
            task: tuple(entry for entry in entries if entry.task == task)
            for task in ("segment", "detect", "classify")
        }
        self._lists = (
            ("segment", "segmenter", ui.segmenterSelector),
            ("detect", "detector", ui.detectorSelector),
            ("classify", "classifier", ui.classifierSelector),
        )
        for task, parameter, box in self._lists:
            for entry in self._entries[task]:
                box.addItem(short_title(entry), entry.name)
            box.connect("currentIndexChanged(int)", lambda index, name=parameter: self._chosen(name, index))
        # A section that opens shows all that is in it, also what was hidden while it was closed.
        ui.advancedSection.connect("contentsCollapsed(bool)", lambda collapsed: self._offer())
        self._offer()

    def _offer(self) -> None:
        ui = self._ui
        for task, widgets in (
            ("detect", (ui.findBoxesBox, ui.detectorSelector)),
            (
                "classify",
                (ui.findClassesBox, ui.classifierSelector, ui.secondLabel, ui.secondSelector),
            ),
        ):
            for widget in widgets:
                widget.setVisible(bool(self._entries[task]) and not ui.advancedSection.collapsed)

    def bind(self, parameters: PanelParameters | None) -> None:
        """The parameters that hold the choice; None between scenes."""
        self._parameters = parameters

    def show(self) -> None:
        """Show what the parameters say."""
        parameters = self._parameters
        if parameters is None:
            return
        for task, _, box in self._lists:
            was = box.blockSignals(True)
            box.setCurrentIndex(max(0, box.findData(self.chosen(task))) if self._entries[task] else -1)
            box.setToolTip(self._tip(task) or box.toolTip)
            box.blockSignals(was)
        self._ui.detectorSelector.setEnabled(parameters.findBoxes)
        self._ui.classifierSelector.setEnabled(parameters.findClasses)
        self._ui.secondSelector.setEnabled(parameters.findClasses)

    def chosen(self, task: str) -> str:
        """Name of the model for a task ("segment", "detect", "classify"); "" where there is none."""
        names = [entry.name for entry in self._entries[task]]
        parameter = {"segment": "segmenter", "detect": "detector", "classify": "classifier"}[task]
        wanted = getattr(self._parameters, parameter) if self._parameters is not None else ""
        return wanted if wanted in names else (names[0] if names else "")

    def settings(self) -> dict[str, Any]:
        """The pipeline's settings of this panel; those of tasks without a model are left out."""
        parameters = self._parameters
        assert parameters is not None
        settings: dict[str, Any] = {
            "segmenter": self.chosen("segment"),
            "device": parameters.device.setting,
            "precision": parameters.precision.setting,
            "margin_mm": parameters.marginMm,
            "smallest_mm": parameters.smallestMm,
        }
        if parameters.pyramid:
            settings["pyramid"] = list(PYRAMID)
        if self._entries["detect"]:
            settings["detector"] = self.chosen("detect") if parameters.findBoxes else None
        if self._entries["classify"]:
            settings["classifier"] = self.chosen("classify") if parameters.findClasses else None
        return settings

    def _tip(self, task: str) -> str:
        name = self.chosen(task)
        return next((entry.title for entry in self._entries[task] if entry.name == name), "")

    def _chosen(self, parameter: str, index: int) -> None:
        box = next(box for _, name, box in self._lists if name == parameter)
        if self._parameters is not None and index >= 0:
            setattr(self._parameters, parameter, box.itemData(index) or "")


def short_title(entry: ModelEntry) -> str:
    """What a list shows: "SFAN" of "SFAN: liver and tumours"."""
    return entry.title.split(":")[0].strip() or entry.name
