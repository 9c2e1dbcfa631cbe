"""Sentences of the analysis in the report's languages; those that are not known are marked as English."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from ...case.classes import Phase
from ...case.messages import BETWEEN_PHASES, CHECK_SIDE, TOO_LARGE, TOO_SMALL
from ...case.wording import LIVER_CUT
from ...support.message import PHASES, pattern_of
from ...volume.reading_messages import phase_and_said
from .anatomy_texts import ANATOMY_SENTENCES, LANDMARKS
from .followup_texts import FOLLOW_UP_SENTENCES
from .header_texts import HEADER_SENTENCES
from .lesion_texts import LESION_SENTENCES
from .phase_texts import PHASE_SENTENCES
from .reason_texts import REASONS
from .scan_texts import SCAN_SENTENCES
from .strings import LANGUAGES, Language

# English as the analysis writes it, with fields: (German, Norwegian, French). A field `phase` is a word of
# its own, any other a number or a name.
SENTENCES: Mapping[str, tuple[str, str, str]] = {
    "Lesion classes come from measured densities and a network that was trained on simulated contrast "
    "enhancement; they have not been validated on patients.": (
        "Die Klassen der Läsionen stammen aus gemessenen Dichten und einem Netz, das an simulierter "
        "Kontrastmittelaufnahme trainiert wurde; sie wurden nicht an Patienten validiert.",
        "Lesjonenes klasser kommer fra målte tettheter og et nettverk som er trent på simulert "
        "kontrastoppladning; de er ikke validert på pasienter.",
        "Les classes des lésions proviennent des densités mesurées et d'un réseau entraîné sur un "
        "rehaussement simulé ; elles n'ont pas été validées chez des patients.",
    ),
    "Lesion classes come from a network that was trained on simulated contrast enhancement; it has not been "
    "validated on patients.": (
        "Die Klassen der Läsionen stammen aus einem Netz, das an simulierter "
        "Kontrastmittelaufnahme trainiert "
        "wurde; es wurde nicht an Patienten validiert.",
        "Lesjonenes klasser kommer fra et nettverk som er trent på simulert kontrastoppladning; det er ikke "
        "validert på pasienter.",
        "Les classes des lésions proviennent d'un réseau entraîné sur un "
        "rehaussement simulé ; il n'a pas été "
        "validé chez des patients.",
    ),
    "The scan looks {phase}: FNH and HCC cannot be told without an arterial phase.": (
        "Die Aufnahme wirkt {phase}: FNH und HCC sind ohne arterielle Phase nicht zu erkennen.",
        "Undersøkelsen ser {phase} ut: FNH og HCC kan ikke skilles ut uten arteriell fase.",
        "L'examen paraît de phase {phase} : HNF et CHC ne peuvent être reconnus sans phase artérielle.",
    ),
    "The scan looks {phase}; classes were learnt in the arterial phase and are less reliable here.": (
        "Die Aufnahme wirkt {phase}; die Klassen wurden in der arteriellen "
        "Phase gelernt und sind hier weniger "
        "verlässlich.",
        "Undersøkelsen ser {phase} ut; klassene er lært i arteriell fase og er mindre pålitelige her.",
        "L'examen paraît de phase {phase} ; les classes ont été apprises à la phase artérielle et sont moins "
        "fiables ici.",
    ),
    "The contrast phase is uncertain; classes were learnt in the arterial phase.": (
        "Die Kontrastmittelphase ist unsicher; die Klassen wurden in der arteriellen Phase gelernt.",
        "Kontrastfasen er usikker; klassene er lært i arteriell fase.",
        "La phase de contraste est incertaine ; les classes ont été apprises à la phase artérielle.",
    ),
    BETWEEN_PHASES.key: (
        "Die Aufnahme liegt zwischen zwei Phasen: {phase} ({p}) und {phase_now} ({p_now}). Nennen Sie die "
        "Phase, wenn Sie sie kennen.",
        "Undersøkelsen ligger mellom to faser: {phase} ({p}) og {phase_now} ({p_now}). Oppgi fasen hvis du "
        "kjenner den.",
        "L'examen se situe entre deux phases : {phase} ({p}) et {phase_now} ({p_now}). Indiquez sa phase si "
        "vous la connaissez.",
    ),
    "The second phase ({name}) could not be brought into line with the first and was not used. Is it of the "
    "same patient, and does it show the liver?": (
        "Die zweite Phase ({name}) ließ sich nicht mit der ersten zur Deckung bringen und wurde nicht "
        "verwendet. Ist sie vom selben Patienten, und zeigt sie die Leber?",
        "Den andre fasen ({name}) lot seg ikke bringe i samsvar med den første og ble ikke brukt. Er den av "
        "samme pasient, og viser den leveren?",
        "La seconde phase ({name}) n'a pas pu être recalée sur la première et n'a pas été utilisée. Est-elle "
        "du même patient, et montre-t-elle le foie ?",
    ),
    "Second phase {name}: {phase} ({p}), moved by {mm} mm on average to lie on the first; classes come from "
    "both.": (
        "Zweite Phase {name}: {phase} ({p}), im Mittel um {mm} mm auf die erste verschoben; die Klassen "
        "stammen aus beiden.",
        "Andre fase {name}: {phase} ({p}), i snitt flyttet {mm} mm til den "
        "første; klassene kommer fra begge.",
        "Seconde phase {name} : {phase} ({p}), déplacée en moyenne de {mm} mm sur la première ; les classes "
        "proviennent des deux.",
    ),
    LIVER_CUT: (
        "Die Leber reicht bis an die erste oder letzte Schicht: Teile können außerhalb der Aufnahme liegen, "
        "und das Volumen ist das des gezeigten Teils.",
        "Leveren når første eller siste snitt: deler kan ligge utenfor opptaket, og volumet er av den viste "
        "delen.",
        "Le foie atteint la première ou la dernière coupe : des parties peuvent se trouver hors de l'examen, "
        "et le volume est celui de la partie visible.",
    ),
    "{ml} mL that hung on the liver by a narrow neck were taken for another organ, such as the stomach, and "
    "left out. Look whether a part of the liver is missing.": (
        "{ml} ml, die nur schmal mit der Leber zusammenhingen, wurden für ein "
        "anderes Organ gehalten, etwa den "
        "Magen, und weggelassen. Bitte prüfen, ob ein Teil der Leber fehlt.",
        "{ml} ml som hang på leveren med en smal hals, ble tatt for et annet organ, for eksempel magesekken, "
        "og utelatt. Se etter om en del av leveren mangler.",
        "{ml} ml reliés au foie par un col étroit ont été pris pour un autre organe, comme l'estomac, et "
        "écartés. Vérifier qu'aucune partie du foie ne manque.",
    ),
    "{ml} mL beside the liver look like a lesion, but little around them is liver: stomach, bowel, another "
    "organ, or a lesion that grows out of the liver. They are not listed and not counted as liver, but are "
    "among the places to look at.": (
        "{ml} ml neben der Leber sehen wie eine Läsion aus, sind aber kaum von Leber umgeben: Magen, Darm, "
        "ein anderes Organ oder eine Läsion, die aus der Leber herauswächst. Sie sind nicht aufgeführt und "
        "zählen nicht zur Leber, gehören aber zu den Stellen, die man ansehen sollte.",
        "{ml} ml ved siden av leveren ser ut som en lesjon, men har lite lever rundt seg: magesekk, tarm, et "
        "annet organ eller en lesjon som vokser ut av leveren. De er ikke oppført og ikke regnet som lever, "
        "men er blant stedene å se på.",
        "{ml} ml à côté du foie ressemblent à une lésion, mais peu de foie les entoure : estomac, intestin, "
        "autre organe, ou lésion qui sort du foie. Ils ne sont ni listés ni comptés comme foie, mais "
        "figurent parmi les endroits à regarder.",
    ),
    "No liver was found. Does the scan cover the upper abdomen, and is it a CT?": (
        "Keine Leber gefunden. Zeigt die Aufnahme den Oberbauch, und ist sie ein CT?",
        "Ingen lever funnet. Dekker opptaket øvre abdomen, og er det en CT?",
        "Aucun foie trouvé. L'examen couvre-t-il l'abdomen supérieur, et est-ce un scanner ?",
    ),
    CHECK_SIDE.key: (
        "Seite prüfen: Die Leber liegt links im Patienten. Das Bild wurde unterwegs gespiegelt (Export oder "
        "Konverter), oder die Organe sind es (Situs inversus). Magen, Milz und Aorta und die "
        "Seitenbezeichnung der Originalbilder vergleichen.",
        "Kontroller siden: leveren ligger på pasientens venstre side. Bildet "
        "er speilvendt underveis (eksport "
        "eller konvertering), eller organene er det (situs inversus). Sammenlign magesekk, milt og aorta, og "
        "bokstavene på originalbildene.",
        "Vérifier le côté : le foie est à gauche du patient. L'image a été inversée en chemin (export ou "
        "conversion), ou les organes le sont (situs inversus). Comparer "
        "l'estomac, la rate et l'aorte, et les "
        "lettres des images d'origine.",
    ),
    TOO_LARGE.key: (
        "Größe prüfen: {ml} ml sind für diesen Körper eine zu große Leber. "
        "Schichtabstand oder Pixelgröße der "
        "Datei können falsch sein, oder ein anderes Organ wurde für Leber gehalten. Mit der Originalserie "
        "vergleichen.",
        "Kontroller størrelsen: {ml} ml er for stor lever for denne kroppen. "
        "Snittavstand eller pikselstørrelse "
        "i filen kan være feil, eller et annet organ ble tatt for lever. Sammenlign med originalserien.",
        "Vérifier la taille : {ml} ml, foie trop grand pour ce corps. "
        "L'espacement des coupes ou la taille des "
        "pixels du fichier est peut-être faux, ou un autre organe a été pris "
        "pour le foie. Comparer à la série "
        "d'origine.",
    ),
    TOO_SMALL.key: (
        "Größe prüfen: {ml} ml sind für diesen Körper eine zu kleine Leber. Nach einer Resektion kann das "
        "stimmen; sonst ist die Voxelgröße der Datei falsch, oder ein Teil der Leber fehlt.",
        "Kontroller størrelsen: {ml} ml er for liten lever for denne kroppen. "
        "Etter reseksjon kan det stemme; "
        "ellers er vokselstørrelsen i filen feil, eller en del av leveren mangler.",
        "Vérifier la taille : {ml} ml, foie trop petit pour ce corps. Après une résection, c'est possible ; "
        "sinon la taille des voxels du fichier est fausse, ou une partie du foie a été manquée.",
    ),
    "The scan was made at {kv} kV: contrast medium is brighter than usual. Thresholds in HU (contrast phase, "
    "cysts, fat) hold at about 120 kV.": (
        "Aufnahme mit {kv} kV: Kontrastmittel ist heller als üblich. Schwellen in HU (Phase, Zysten, Fett) "
        "gelten für etwa 120 kV.",
        "Opptak ved {kv} kV: kontrastmiddel er lysere enn vanlig. Terskler i HU (fase, cyster, fett) gjelder "
        "ved ca. 120 kV.",
        "Examen à {kv} kV : le produit de contraste est plus dense que d'habitude. Les seuils en UH (phase, "
        "kystes, graisse) valent pour environ 120 kV.",
    ),
    "The scan was made at {kv} kV: contrast medium is darker than usual. Thresholds in HU (contrast phase, "
    "cysts, fat) hold at about 120 kV.": (
        "Aufnahme mit {kv} kV: Kontrastmittel ist dunkler als üblich. Schwellen in HU (Phase, Zysten, Fett) "
        "gelten für etwa 120 kV.",
        "Opptak ved {kv} kV: kontrastmiddel er mørkere enn vanlig. Terskler i "
        "HU (fase, cyster, fett) gjelder "
        "ved ca. 120 kV.",
        "Examen à {kv} kV : le produit de contraste est moins dense que d'habitude. Les seuils en UH (phase, "
        "kystes, graisse) valent pour environ 120 kV.",
    ),
    "Imported from a DICOM segmentation of {name}; the networks were not asked.": (
        "Aus einer DICOM-Segmentierung von {name} eingelesen; die Netze wurden nicht befragt.",
        "Importert fra en DICOM-segmentering av {name}; nettverkene ble ikke brukt.",
        "Importé d'une segmentation DICOM de {name} ; les réseaux n'ont pas été consultés.",
    ),
    "Rejected by the reader and left out: {names}.": (
        "Vom Befunder verworfen und weggelassen: {names}.",
        "Avvist av radiolog og utelatt: {names}.",
        "Rejeté par le lecteur et écarté : {names}.",
    ),
    "Not liver, as the reader says, and taken out of it: {names}.": (
        "Nach Angabe des Befunders nicht Leber und aus ihr entfernt: {names}.",
        "Ikke lever ifølge radiolog, tatt ut av den: {names}.",
        "Hors du foie selon le lecteur et retiré : {names}.",
    ),
    "Left out as neither liver nor a lesion of it: {names}.": (
        "Weggelassen, da weder Leber noch Läsion der Leber: {names}.",
        "Utelatt, verken lever eller lesjon i den: {names}.",
        "Écartés, ni foie ni lésion du foie : {names}.",
    ),
    "The segmentation has no liver: volumes relative to it are not known.": (
        "Die Segmentierung enthält keine Leber: Anteile an ihr sind nicht bekannt.",
        "Segmenteringen har ingen lever: andeler av den er ikke kjent.",
        "La segmentation ne contient pas de foie : les proportions ne sont pas connues.",
    ),
    "Parts of {names} lie outside of the CT and were cut off.": (
        "Teile von {names} liegen außerhalb des CT und wurden abgeschnitten.",
        "Deler av {names} ligger utenfor CT og ble kuttet.",
        "Des parties de {names} se trouvent hors du scanner et ont été coupées.",
    ),
    **FOLLOW_UP_SENTENCES,
    **HEADER_SENTENCES,
    **ANATOMY_SENTENCES,
    **LESION_SENTENCES,
    **PHASE_SENTENCES,
    **SCAN_SENTENCES,
}

_WORDS = ("response", "non_target")
"""Fields that are looked up in the table of words."""


def sentence(said: str, words: Language) -> str:
    """A sentence of the analysis in the report's language.

    One that the table lacks, such as a rare remark on a file, stays English and is marked so.
    """
    if words.code == "en":
        return said
    known = _in_words(said, "sentences", words)
    if known is None:
        which, own = phase_and_said(said)
        known = _in_words(own, "sentences", words) if which else None
        known = None if known is None else f"{_phase(which, words)}: {known}"
    return words("in_english", s=said) if known is None else known


def _phase(which: str, words: Language) -> str:
    """Of which further phase something is said on reading it."""
    named = which.removeprefix("Phase ")
    return words(f"of_phase.{which}") if named == which else words("of_phase", name=words(f"phase.{named}"))


def reasons(said: str, words: Language) -> str:
    """A class's reasons, part by part; parts that the table lacks stay as they are."""
    if words.code == "en":
        return said
    parts = said.split("; ")
    return "; ".join(known if (known := _in_words(p, "reasons", words)) is not None else p for p in parts)


def _in_words(said: str, table: str, words: Language) -> str | None:
    for pattern, texts in _patterns(table):
        found = pattern.fullmatch(said)
        if found is not None:
            values = {name: _value(name, text, words) for name, text in found.groupdict().items()}
            return texts[LANGUAGES.index(words.code) - 1].format(**values)
    return None


@cache
def _patterns(table: str) -> tuple[tuple[re.Pattern[str], tuple[str, str, str]], ...]:
    entries = SENTENCES if table == "sentences" else REASONS
    return tuple((pattern_of(english), texts) for english, texts in entries.items())


def _value(name: str, text: str, words: Language) -> str:
    if name == "landmarks":
        text = _landmarks(text, words)
    if name == "gaps":
        text = _gaps(text, words)
    if name in _WORDS:
        return words(f"{name}.{text}")
    if name in PHASES:
        phase = Phase.of(text)
        return text if phase is None else words(f"phase.{phase.value}")
    return text.replace(".", ",") if re.fullmatch(r"[<>+-]?\d+\.\d+", text) else text


_GAPS: Mapping[str, tuple[str, str, str]] = {
    " between ": (" zwischen ", " mellom ", " entre "),
    " and ": (" und ", " og ", " et "),
    " more": (" weitere", " til", " de plus"),
}
"""What joins the places where slices are missing."""


def _gaps(text: str, words: Language) -> str:
    for english, others in _GAPS.items():
        text = text.replace(english, others[LANGUAGES.index(words.code) - 1])
    return re.sub(r"(?<=\d)\.(?=\d)", ",", text)


def _landmarks(text: str, words: Language) -> str:
    """A list of landmarks, whose names may hold commas themselves."""
    for name, others in LANDMARKS.items():
        text = text.replace(name, others[LANGUAGES.index(words.code) - 1])
    return text
