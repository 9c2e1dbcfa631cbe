"""From a CT to findings: the row of stages, with progress, cancel and the device's policy."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from .. import __version__
from ..case.findings import CaseResult
from ..case.messages import leading_first
from ..case.phases import NamedPhases
from ..support.progress import Progress, part, silent
from ..volume.checking import check_ct
from ..volume.ct import CtVolume
from .choice import Choice, Models
from .draft import Draft
from .like import manifest_of
from .row import ROW
from .rules import Rules, rules_of
from .settings import Settings

if TYPE_CHECKING:
    from ..models.device import Device
    from ..models.weights import ModelStore


def analyze(
    volume: CtVolume,
    settings: Settings,
    models: ModelStore,
    progress: Progress = silent,
    second_phase: CtVolume | None = None,
    rules: Rules | None = None,
    phases: NamedPhases | None = None,
) -> CaseResult:
    """Find the liver and its lesions in a checked CT.

    Args:
        volume: any orientation; checked by :func:`~LiverLesionAILib.volume.checking.check_ct`, whether it
            came from a file or from a Slicer node.
        settings: the user's choices.
        models: networks, kept warm between calls.
        progress: told the stage and the fraction done; raises Cancelled to stop.
        second_phase: another contrast phase of the same patient, used for the lesions' classes.
        rules: those of another case; None takes the page's, as models and settings change it.
        phases: named phases of the same patient, and that of `volume`, used for the lesions' classes.

    Returns:
        The findings on the CT's own grid. Where no liver or no lesion is seen, `messages` say so and why.

    Raises:
        InputError: this is no CT that can be analysed.
        LiverLesionAIError: with a text for the reader.
        Cancelled: from `progress`.
    """
    from ..models.device import choose_device, with_fallback

    draft = Draft.of(check_ct(volume), None if second_phase is None else check_ct(second_phase))
    draft = replace(draft, faint_aside=settings.faint_aside)
    if phases is not None:
        checked = tuple((phase, check_ct(other)) for phase, other in phases.others)
        draft = replace(draft, phases=replace(phases, others=checked))
    device = choose_device(settings.device, settings.precision)
    choice = Choice.of(models.manifest, settings)
    rules = rules_of(choice) if rules is None else rules
    notes: list[str] = []
    seconds: dict[str, float] = {}
    progress("loading models", 0.0)
    with _clock(seconds, "load"):
        choice.open(models, device)

    def compute(current: Device) -> Draft:
        return run_row(draft, rules, choice.open(models, current), progress, seconds)

    done, used = with_fallback(compute, device, notes.append, models.release)
    run = manifest_of(choice, rules, draft, used.description, seconds)
    progress("done", 1.0)
    return replace(
        done.result(),
        messages=leading_first((*draft.messages, *notes, *done.messages[len(draft.messages) :])),
        device=used.description,
        timings_s=seconds,
        models={entry.name: entry.sha256[:12] for entry in choice.computing},
        version=__version__,
        run=run,
    )


def run_row(
    draft: Draft,
    rules: Rules,
    models: Models,
    progress: Progress = silent,
    seconds: dict[str, float] | None = None,
) -> Draft:
    """All stages, one after the other; nothing is looked for where there is no liver.

    Args:
        seconds: stage -> seconds, added to.
    """
    seconds = {} if seconds is None else seconds
    for stage in ROW:
        with _clock(seconds, stage.name):
            draft = stage.run(draft, rules, models, part(progress, *stage.share))
        if draft.where is None:
            break
    return draft


@contextmanager
def _clock(seconds: dict[str, float], name: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - started
