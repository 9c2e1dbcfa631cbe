"""Sentences on contrast phases that are put together of parts: English, German, Norwegian, French."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

from ...case.messages import CONTRADICTED, CONTRADICTED_AND_TAKEN, DECIDED, NAMED_AGAINST, THE_CT

Texts = tuple[str, str, str, str]

_WHO: tuple[Texts, ...] = (
    (THE_CT, "Die CT", "CT-en", "Le scanner"),
    ("Phase {name}", "Phase {name}", "Fase {name}", "La phase {name}"),
)
_WHAT: tuple[Texts, ...] = (
    ("was named {phase}", "wurde {phase} genannt", "ble kalt {phase}", "porte l'indication {phase}"),
    ("is called {phase}", "heißt {phase}", "kalles {phase}", "s'appelle {phase}"),
    (
        "by its header was taken {s} s after the injection began ({phase})",
        "wurde laut Header {s} s nach Beginn der Injektion aufgenommen ({phase})",
        "ble ifølge headeren tatt {s} s etter at injeksjonen begynte ({phase})",
        "date, selon l'en-tête, de {s} s après le début de l'injection ({phase})",
    ),
    (
        "by its header was taken with contrast medium",
        "wurde laut Header mit Kontrastmittel aufgenommen",
        "ble ifølge headeren tatt med kontrastmiddel",
        "comporte, selon l'en-tête, un produit de contraste",
    ),
    (
        "by its header was taken without contrast medium",
        "wurde laut Header ohne Kontrastmittel aufgenommen",
        "ble ifølge headeren tatt uten kontrastmiddel",
        "ne comporte, selon l'en-tête, aucun produit de contraste",
    ),
)
_LOOKS: Texts = (
    CONTRADICTED.key,
    "{who} {what}, wirkt aber {phase_now} ({p}): bitte prüfen.",
    "{who} {what}, men ser {phase_now} ut ({p}): kontroller hvilken det er.",
    "{who} {what} mais paraît de phase {phase_now} ({p}) : vérifiez laquelle c'est.",
)
_TAKEN: Texts = (
    CONTRADICTED_AND_TAKEN.key,
    f"{_LOOKS[1]} Sie gilt hier als {{phase_taken}}.",
    f"{_LOOKS[2]} Den regnes her som {{phase_taken}}.",
    f"{_LOOKS[3]} Phase retenue : {{phase_taken}}.",
)
_UNSURE: Texts = (
    DECIDED.key,
    "{who} {what}; das Bild wirkt {phase_now} ({p}), nicht sicher, und sie gilt hier als {phase_taken}.",
    "{who} {what}; bildet ser {phase_now} ut ({p}), ikke sikkert, og den regnes som {phase_taken}.",
    "{who} {what} ; l'image paraît de phase {phase_now} ({p}), sans certitude ; phase retenue : "
    "{phase_taken}.",
)
_AGAINST: Texts = (
    NAMED_AGAINST.key,
    "{who} wurde {phase_now} genannt, doch sie {what}: bitte prüfen.",
    "{who} ble kalt {phase_now}, men den {what}: kontroller hvilken det er.",
    "{who} : phase indiquée {phase_now}, mais l'examen {what} : vérifiez laquelle c'est.",
)
_FORMS = (_LOOKS, _TAKEN, _UNSURE, _AGAINST)


def _composed() -> Mapping[str, tuple[str, str, str]]:
    """Who, what and form in every combination."""
    made = {}
    for who, what, form in product(_WHO, _WHAT, _FORMS):
        parts = zip(form, who, what, strict=True)
        english, *others = (text.replace("{who}", one).replace("{what}", said) for text, one, said in parts)
        made[english] = (others[0], others[1], others[2])
    return made


PHASE_SENTENCES: Mapping[str, tuple[str, str, str]] = {
    **_composed(),
    "The {phase} phase ({name}) could not be brought into line with the first and was not used. Is it of the "
    "same patient, and does it show the liver?": (
        "Die Phase {phase} ({name}) ließ sich nicht mit der ersten zur Deckung bringen und wurde nicht "
        "verwendet. Ist sie vom selben Patienten, und zeigt sie die Leber?",
        "Fasen {phase} ({name}) lot seg ikke bringe i samsvar med den første og ble ikke brukt. Er den av "
        "samme pasient, og viser den leveren?",
        "La phase {phase} ({name}) n'a pas pu être recalée sur la première et n'a pas été utilisée. Est-elle "
        "du même patient, et montre-t-elle le foie ?",
    ),
    "Phase {name}: {phase} as named, moved by {mm} mm on average to lie on the first; classes come from "
    "both.": (
        "Phase {name}: {phase} wie angegeben, im Mittel um {mm} mm auf die erste verschoben; die Klassen "
        "stammen aus beiden.",
        "Fase {name}: {phase} som oppgitt, i snitt flyttet {mm} mm til den første; klassene kommer fra "
        "begge.",
        "Phase {name} : {phase} comme indiqué, déplacée en moyenne de {mm} mm sur la première ; les "
        "classes proviennent des deux.",
    ),
    "Phase {name}: {phase} as named, moved by {mm} mm on average to lie on the first; classes come from "
    "all phases.": (
        "Phase {name}: {phase} wie angegeben, im Mittel um {mm} mm auf die erste verschoben; die Klassen "
        "stammen aus allen Phasen.",
        "Fase {name}: {phase} som oppgitt, i snitt flyttet {mm} mm til den første; klassene kommer fra "
        "alle faser.",
        "Phase {name} : {phase} comme indiqué, déplacée en moyenne de {mm} mm sur la première ; les "
        "classes proviennent de toutes les phases.",
    ),
    "Second phase {name}: {phase} ({p}), moved by {mm} mm on average to lie on the first; classes come "
    "from all phases.": (
        "Zweite Phase {name}: {phase} ({p}), im Mittel um {mm} mm auf die erste verschoben; die Klassen "
        "stammen aus allen Phasen.",
        "Andre fase {name}: {phase} ({p}), i snitt flyttet {mm} mm til den første; klassene kommer fra "
        "alle faser.",
        "Seconde phase {name} : {phase} ({p}), déplacée en moyenne de {mm} mm sur la première ; les "
        "classes proviennent de toutes les phases.",
    ),
    "The scan is {phase}: FNH and HCC cannot be told without an arterial phase.": (
        "Die Aufnahme ist {phase}: FNH und HCC sind ohne arterielle Phase nicht zu erkennen.",
        "Undersøkelsen er {phase}: FNH og HCC kan ikke skilles ut uten arteriell fase.",
        "L'examen est de phase {phase} : HNF et CHC ne peuvent être reconnus sans phase artérielle.",
    ),
    "The scan is {phase}; classes were learnt in the arterial phase and are less reliable here.": (
        "Die Aufnahme ist {phase}; die Klassen wurden in der arteriellen Phase gelernt und sind hier weniger "
        "verlässlich.",
        "Undersøkelsen er {phase}; klassene er lært i arteriell fase og er mindre pålitelige her.",
        "L'examen est de phase {phase} ; les classes ont été apprises à la phase artérielle et sont moins "
        "fiables ici.",
    ),
    "No liver was found in {name}. Check that it is a CT of the abdomen in Hounsfield units; nothing "
    "was marked.": (
        "In {name} wurde keine Leber gefunden. Bitte prüfen, ob es ein CT des Abdomens in "
        "Hounsfield-Einheiten ist; es wurde nichts markiert.",
        "Ingen lever ble funnet i {name}. Kontroller at det er en CT av abdomen i Hounsfield-enheter; "
        "ingenting ble merket.",
        "Aucun foie n'a été trouvé dans {name}. Vérifier qu'il s'agit d'un scanner de l'abdomen en unités "
        "Hounsfield ; rien n'a été marqué.",
    ),
}
