"""The parts of a class's reasons, which "; " joins, in the report's languages."""

from __future__ import annotations

from collections.abc import Mapping

# English as the analysis writes it: (German, Norwegian, French); fields as in `sentences`.
REASONS: Mapping[str, tuple[str, str, str]] = {
    "FNH or HCC cannot be told without an arterial phase": (
        "FNH oder HCC ohne arterielle Phase nicht zu erkennen",
        "FNH eller HCC kan ikke skilles ut uten arteriell fase",
        "HNF ou CHC non reconnaissables sans phase artérielle",
    ),
    "denser than water": ("dichter als Wasser", "tettere enn vann", "plus dense que l'eau"),
    "too small to characterise": (
        "zu klein zur Charakterisierung",
        "for liten til å karakteriseres",
        "trop petite pour être caractérisée",
    ),
    "not to be told without contrast": (
        "ohne Kontrastmittel nicht zu erkennen",
        "kan ikke avgjøres uten kontrast",
        "non reconnaissable sans injection",
    ),
    "no class stands out": ("keine Klasse überwiegt", "ingen klasse peker seg ut", "aucune classe ne domine"),
    "network and measurements disagree": (
        "Netz und Messung widersprechen sich",
        "nettverk og målinger er uenige",
        "réseau et mesures en désaccord",
    ),
    "{phase} {hu} HU (liver {liver}, vessels {vessels})": (
        "{phase} {hu} HU (Leber {liver}, Gefäße {vessels})",
        "{phase} {hu} HU (lever {liver}, kar {vessels})",
        "{phase} {hu} UH (foie {liver}, vaisseaux {vessels})",
    ),
    "{phase} {hu} HU (liver {liver})": (
        "{phase} {hu} HU (Leber {liver})",
        "{phase} {hu} HU (lever {liver})",
        "{phase} {hu} UH (foie {liver})",
    ),
    "{phase} {hu} HU": ("{phase} {hu} HU", "{phase} {hu} HU", "{phase} {hu} UH"),
    "edge {mm} mm (sharp)": ("Rand {mm} mm (scharf)", "kant {mm} mm (skarp)", "bord {mm} mm (net)"),
    "edge {mm} mm (soft)": ("Rand {mm} mm (unscharf)", "kant {mm} mm (uskarp)", "bord {mm} mm (flou)"),
    "edge {mm} mm (middling)": ("Rand {mm} mm (mäßig)", "kant {mm} mm (middels)", "bord {mm} mm (moyen)"),
    "rim +{hu} HU": ("Randsaum +{hu} HU", "randsone +{hu} HU", "couronne +{hu} UH"),
    "even": ("homogen", "homogen", "homogène"),
    "uneven": ("inhomogen", "inhomogen", "hétérogène"),
    "{mm} mm": ("{mm} mm", "{mm} mm", "{mm} mm"),
    "{n} lesions, {m} others alike": (
        "{n} Läsionen, {m} weitere ähnlich",
        "{n} lesjoner, {m} andre like",
        "{n} lésions, {m} autres semblables",
    ),
    "{n} lesions, {m} other alike": (
        "{n} Läsionen, {m} weitere ähnlich",
        "{n} lesjoner, {m} annen lik",
        "{n} lésions, {m} autre semblable",
    ),
    "APHE ({hu} HU against liver)": (
        "APHE ({hu} HU gegen Leber)",
        "APHE ({hu} HU mot lever)",
        "APHE ({hu} UH par rapport au foie)",
    ),
    "no APHE ({hu} HU against liver)": (
        "keine APHE ({hu} HU gegen Leber)",
        "ingen APHE ({hu} HU mot lever)",
        "pas d'APHE ({hu} UH par rapport au foie)",
    ),
    "rim-like arterial enhancement ({hu} HU against liver)": (
        "randständige arterielle Anreicherung ({hu} HU gegen Leber)",
        "randformet arteriell oppladning ({hu} HU mot lever)",
        "rehaussement artériel en couronne ({hu} UH par rapport au foie)",
    ),
    "washout ({phase} {hu} HU against liver)": (
        "Auswaschung ({phase} {hu} HU gegen Leber)",
        "utvasking ({phase} {hu} HU mot lever)",
        "lavage ({phase} {hu} UH par rapport au foie)",
    ),
    "no washout ({phase} {hu} HU against liver)": (
        "keine Auswaschung ({phase} {hu} HU gegen Leber)",
        "ingen utvasking ({phase} {hu} HU mot lever)",
        "pas de lavage ({phase} {hu} UH par rapport au foie)",
    ),
    "capsule": ("Kapsel", "kapsel", "capsule"),
    "no capsule": ("keine Kapsel", "ingen kapsel", "pas de capsule"),
    "treated? {hu} HU ({phase}) is lipiodol or calcification": (
        "behandelt? {hu} HU ({phase}) sind Lipiodol oder Verkalkung",
        "behandlet? {hu} HU ({phase}) er lipiodol eller forkalkning",
        "traitée ? {hu} UH ({phase}) : lipiodol ou calcification",
    ),
    "treated? {hu} HU, {change} HU of change over {n} phases, sharp edge: an ablated zone looks so": (
        "behandelt? {hu} HU, {change} HU Änderung über {n} Phasen, scharfer Rand: so sieht eine "
        "Ablationszone aus",
        "behandlet? {hu} HU, {change} HU endring over {n} faser, skarp kant: slik ser en ablasjonssone ut",
        "traitée ? {hu} UH, variation de {change} UH sur {n} phases, bord net : aspect d'une zone d'ablation",
    ),
    "its contrast changes by {hu} HU between phases": (
        "sein Kontrast ändert sich zwischen den Phasen um {hu} HU",
        "kontrasten endrer seg {hu} HU mellom fasene",
        "son contraste varie de {hu} UH entre les phases",
    ),
    "mosaic {share} of the liver's": (
        "Mosaik {share} der Leber",
        "mosaikk {share} av leverens",
        "mosaïque {share} de celle du foie",
    ),
    "centre {hu} HU against the rest of it": (
        "Zentrum {hu} HU gegen den Rest",
        "sentrum {hu} HU mot resten",
        "centre {hu} UH par rapport au reste",
    ),
    "a part darker by {hu} HU": (
        "ein um {hu} HU dunklerer Anteil",
        "en del som er {hu} HU mørkere",
        "une partie plus sombre de {hu} UH",
    ),
    "vessels in it {share} of the liver's": (
        "Gefäße darin {share} derer der Leber",
        "kar i den {share} av leverens",
        "vaisseaux à l'intérieur {share} de ceux du foie",
    ),
    "{share} of its diameter below the surface": (
        "{share} ihres Durchmessers unter der Oberfläche",
        "{share} av diameteren under overflaten",
        "à {share} de son diamètre sous la surface",
    ),
    "liver {hu} HU against the usual": (
        "Leber {hu} HU gegen das Übliche",
        "lever {hu} HU mot det vanlige",
        "foie {hu} UH par rapport à l'habitude",
    ),
    "{share} of the way from liver to aorta": (
        "{share} des Wegs von Leber zu Aorta",
        "{share} av veien fra lever til aorta",
        "{share} de l'écart entre foie et aorte",
    ),
    "brightest part {share} of the way from liver to aorta": (
        "hellster Teil bei {share} des Wegs von Leber zu Aorta",
        "lyseste del {share} av veien fra lever til aorta",
        "partie la plus dense à {share} du chemin du foie à l'aorte",
    ),
    "brightest part {share} of the way from liver to aorta in the portal venous phase": (
        "hellster Teil portalvenös bei {share} des Wegs von Leber zu Aorta",
        "lyseste del {share} av veien fra lever til aorta i portalvenøs fase",
        "partie la plus dense à {share} du chemin du foie à l'aorte à la phase portale",
    ),
    "darker than the liver": ("dunkler als die Leber", "mørkere enn leveren", "plus sombre que le foie"),
    "no lumps brighter than the liver": (
        "keine Knoten heller als die Leber",
        "ingen knuter lysere enn leveren",
        "aucun nodule plus dense que le foie",
    ),
    "no part brighter than the liver": (
        "kein Teil heller als die Leber",
        "ingen del lysere enn leveren",
        "aucune partie plus dense que le foie",
    ),
    "no part brighter than the liver in the portal venous phase": (
        "portalvenös kein Teil heller als die Leber",
        "ingen del lysere enn leveren i portalvenøs fase",
        "aucune partie plus dense que le foie à la phase portale",
    ),
    "densest part inside {n} HU": (
        "dichtester Teil im Inneren {n} HU",
        "tetteste del innvendig {n} HU",
        "partie interne la plus dense {n} UH",
    ),
    "lumps {share} of the way from liver to aorta": (
        "Knoten {share} des Wegs von Leber zu Aorta",
        "knuter {share} av veien fra lever til aorta",
        "nodules à {share} de l'écart entre foie et aorte",
    ),
    "falls by {hu} HU against liver": (
        "fällt um {hu} HU gegen Leber",
        "faller {hu} HU mot lever",
        "baisse de {hu} UH par rapport au foie",
    ),
    "rises by {hu} HU against liver after the portal venous phase": (
        "steigt nach der portalvenösen Phase um {hu} HU gegen Leber",
        "stiger {hu} HU mot lever etter portvenøs fase",
        "monte de {hu} UH par rapport au foie après la phase portale",
    ),
}
