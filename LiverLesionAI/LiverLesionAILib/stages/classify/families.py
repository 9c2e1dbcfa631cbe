"""The family of networks that give lesions a class, slice by slice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from ...models.weights import ModelEntry
from ...support.progress import Progress, silent
from ..faces import Runtime
from .lesions import ClassAnswer, ClassifySettings, classify_lesions
from .liver_box import LiverCrop


@dataclass(frozen=True, eq=False)
class SliceClassifier:
    """A network that answers for a whole slice of liver, as DADRN.

    Attributes:
        entry, network: network in inference form, with `config.classes`.
        batch: slices at once.
        explain: whether Grad-CAM maps are wanted.
    """

    entry: ModelEntry
    network: nn.Module
    batch: int = 16
    explain: bool = True

    @classmethod
    def opened(cls, entry: ModelEntry, runtime: Runtime) -> SliceClassifier:
        """See :meth:`~..faces.Runtime.open`."""
        return cls(entry, runtime.network(entry), 2 * runtime.device.batch, runtime.explain)

    def classes(
        self,
        crop: LiverCrop,
        settings: ClassifySettings,
        progress: Progress = silent,
        *,
        phase: Sequence[float] | None = None,
        only: Sequence[str] = (),
    ) -> dict[int, ClassAnswer]:
        """See :class:`~..faces.Classifier`."""
        return classify_lesions(
            self.network,
            self.entry.input,
            crop,
            settings,
            phase=phase,
            only=only,
            maps=self.explain,
            batch=self.batch,
            progress=progress,
        )
