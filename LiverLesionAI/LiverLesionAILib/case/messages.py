"""Messages of a case whose kind matters, and the kind of what is said.

Each is written from its entry here, known again by it, and translated by its key: there is no second place
that holds its words. A message that is in no table is plain.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..support.message import Kind, Message
from ..volume.reading_messages import ONE_OF_SEVERAL, phase_and_said

CHECK_SIDE = Message(
    "Check the side: the liver lies on the patient's left. The image was mirrored on its way here (an export "
    "or a converter), or the organs are (situs inversus). Compare stomach, spleen and aorta, and the letters "
    "on the original images.",
    Kind.LEADS,
)
TOO_LARGE = Message(
    "Check the size: {ml:.0f} mL is too large a liver for this body. The slice distance or pixel size of the "
    "file may be wrong, or another organ was taken for liver. Compare with the original series.",
    Kind.LEADS | Kind.DOUBTS_DENSITY,
)
TOO_SMALL = Message(
    "Check the size: {ml:.0f} mL is too small a liver for this body. After a resection it may be true; "
    "otherwise the voxel size of the file is wrong, or a part of the liver was missed.",
    Kind.LEADS,
)
TOO_SMALL_AND_CUT = Message(
    "Check the side and the size: only {ml:.0f} mL of liver were found, and the scan cuts it. It may be all "
    "that is shown; otherwise a part was missed, or another organ was taken for liver, such as the spleen of "
    "a mirrored image.",
    Kind.LEADS | Kind.DOUBTS_DENSITY,
)
TOO_DARK = Message(
    "Check the density: {hu:.0f} HU is hardly that of a liver. Only a very fatty one without contrast medium "
    "is so dark; otherwise the file's values are no Hounsfield units, or another organ was taken for liver. "
    "Lesions, their classes and all densities are in doubt.",
    Kind.LEADS | Kind.DOUBTS_DENSITY,
)
TOO_BRIGHT = Message(
    "Check the density: {hu:.0f} HU is hardly that of a liver. The file's values may be no Hounsfield units, "
    "it may show one energy of a spectral CT, or another organ was taken for liver. Lesions, their classes "
    "and all densities are in doubt.",
    Kind.LEADS | Kind.DOUBTS_DENSITY,
)

BETWEEN_PHASES = Message(
    "The scan lies between two phases: {phase} ({p}) and {phase_now} ({p_now}). Name its phase where "
    "you know it.",
    Kind.DOUBTS_DENSITY,
)
THE_CT = "The CT"
"""`who` of the messages below; further phases are named."""
CONTRADICTED = Message("{who} {what} but looks {phase_now} ({p}): check which it is.", Kind.DOUBTS_DENSITY)
CONTRADICTED_AND_TAKEN = Message(
    f"{CONTRADICTED.words} It is taken for {{phase_taken}}.", Kind.DOUBTS_DENSITY
)
DECIDED = Message(
    "{who} {what}; it looks {phase_now} ({p}), not surely, and is taken for {phase_taken}.",
    Kind.DOUBTS_DENSITY,
)
NAMED_AGAINST = Message("{who} was named {phase_now} but {what}: check which it is.", Kind.DOUBTS_DENSITY)
"""`what` of the CT's name or header speaks against the phase that the reader names."""

OF_A_SCAN = (CONTRADICTED, CONTRADICTED_AND_TAKEN, DECIDED, NAMED_AGAINST)
"""On the phase of the CT or of a further one; only on that of the CT they cast doubt on its densities."""

KINDS = (
    *(CHECK_SIDE, TOO_LARGE, TOO_SMALL, TOO_SMALL_AND_CUT, TOO_DARK, TOO_BRIGHT, ONE_OF_SEVERAL),
    *(BETWEEN_PHASES, *(message.about(THE_CT) for message in OF_A_SCAN)),
)
"""All that are not plain."""


def kind_of(said: str) -> Kind:
    """What a sentence of a case means for the rest; those that are in no table are plain.

    What leads of the CT leads of a further phase, too, as classes come from both; densities of the CT are
    not in doubt by it.
    """
    which, own = phase_and_said(said)
    message = message_of(own)
    kind = Kind.PLAIN if message is None else message.kind
    return kind & Kind.LEADS if which else kind


def message_of(said: str) -> Message | None:
    """The message in the table that a sentence was made of; None where it is plain."""
    return next((message for message in KINDS if message.is_said_by(said)), None)


def leads(said: str) -> bool:
    """Whether a sentence stands before all findings: they can hardly be true, or are of another scan."""
    return Kind.LEADS in kind_of(said)


def doubts_density(said: str) -> bool:
    """Whether densities, the phase that they are read in, or that they are the liver's is in doubt."""
    return Kind.DOUBTS_DENSITY in kind_of(said)


def leading_first(said: Iterable[str]) -> tuple[str, ...]:
    """Sentences in their order, those that lead before all others."""
    return tuple(sorted(said, key=lambda one: not leads(one)))
