"""The parts of a class's reasons, which "; " joins, in the report's languages."""

from __future__ import annotations

from collections.abc import Mapping

# English as the analysis writes it: (German, Norwegian, French); fields as in `sentences`. Cases of older
# versions hold a diameter alone, and densities without the word "core".
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
    "{phase}: core {hu} HU (liver {liver}, vessels {vessels})": (
        "{phase}: Kern {hu} HU (Leber {liver}, Gefäße {vessels})",
        "{phase}: kjerne {hu} HU (lever {liver}, kar {vessels})",
        "{phase} : centre {hu} UH (foie {liver}, vaisseaux {vessels})",
    ),
    "{phase}: core {hu} HU (liver {liver})": (
        "{phase}: Kern {hu} HU (Leber {liver})",
        "{phase}: kjerne {hu} HU (lever {liver})",
        "{phase} : centre {hu} UH (foie {liver})",
    ),
    "{phase}: core {hu} HU": (
        "{phase}: Kern {hu} HU",
        "{phase}: kjerne {hu} HU",
        "{phase} : centre {hu} UH",
    ),
    "border sharp ({mm} mm)": ("Rand scharf ({mm} mm)", "kant skarp ({mm} mm)", "bord net ({mm} mm)"),
    "border ill-defined ({mm} mm)": (
        "Rand unscharf ({mm} mm)",
        "kant uskarp ({mm} mm)",
        "bord flou ({mm} mm)",
    ),
    "border moderately sharp ({mm} mm)": (
        "Rand mäßig scharf ({mm} mm)",
        "kant middels skarp ({mm} mm)",
        "bord assez net ({mm} mm)",
    ),
    "rim {hu} HU brighter than lesion and liver": (
        "Randsaum {hu} HU heller als Läsion und Leber",
        "randsone {hu} HU lysere enn lesjon og lever",
        "couronne plus dense de {hu} UH que la lésion et le foie",
    ),
    "core homogeneous": ("Kern homogen", "kjerne homogen", "centre homogène"),
    "core heterogeneous": ("Kern inhomogen", "kjerne inhomogen", "centre hétérogène"),
    # Of cases of earlier versions.
    "homogeneous": ("homogen", "homogen", "homogène"),
    "heterogeneous": ("inhomogen", "inhomogen", "hétérogène"),
    "{mm} mm": ("{mm} mm", "{mm} mm", "{mm} mm"),
    "{n} other lesions (score from {score}), none of them alike": (
        "{n} weitere Läsionen (Score ab {score}), keine davon ähnlich",
        "{n} andre lesjoner (score fra {score}), ingen av dem like",
        "{n} autres lésions (score à partir de {score}), aucune semblable",
    ),
    "{n} other lesions (score from {score}), {m} of them alike": (
        "{n} weitere Läsionen (Score ab {score}), {m} davon ähnlich",
        "{n} andre lesjoner (score fra {score}), {m} av dem like",
        "{n} autres lésions (score à partir de {score}), dont {m} semblables",
    ),
    "one other lesion (score from {score}), alike": (
        "eine weitere Läsion (Score ab {score}), ähnlich",
        "én annen lesjon (score fra {score}), lik",
        "une autre lésion (score à partir de {score}), semblable",
    ),
    "one other lesion (score from {score}), not alike": (
        "eine weitere Läsion (Score ab {score}), nicht ähnlich",
        "én annen lesjon (score fra {score}), ikke lik",
        "une autre lésion (score à partir de {score}), non semblable",
    ),
    # Of cases of earlier versions.
    "{n} lesions, {m} others alike": (
        "{n} Läsionen, {m} weitere ähnlich",
        "{n} lesjoner, {m} andre like",
        "{n} lésions, {m} autres semblables",
    ),
    "{n} lesions, no other alike": (
        "{n} Läsionen, keine weitere ähnlich",
        "{n} lesjoner, ingen annen lik",
        "{n} lésions, aucune autre semblable",
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
    "rim-like arterial enhancement (rim {rim} HU, core {hu} HU against liver)": (
        "randständige arterielle Anreicherung (Saum {rim} HU, Kern {hu} HU gegen Leber)",
        "randformet arteriell oppladning (rand {rim} HU, kjerne {hu} HU mot lever)",
        "rehaussement artériel en couronne (couronne {rim} UH, centre {hu} UH par rapport au foie)",
    ),
    "washout not judged where a rim enhances ({phase} {hu} HU against liver)": (
        "Auswaschung bei anreicherndem Randsaum nicht beurteilt ({phase} {hu} HU gegen Leber)",
        "utvasking vurderes ikke ved oppladende rand ({phase} {hu} HU mot lever)",
        "lavage non évalué en cas de couronne rehaussée ({phase} {hu} UH par rapport au foie)",
    ),
    "no washout, as it was dark from the start ({phase} {hu} HU against liver)": (
        "keine Auswaschung, da von Anfang an dunkel ({phase} {hu} HU gegen Leber)",
        "ingen utvasking, mørk fra starten ({phase} {hu} HU mot lever)",
        "pas de lavage, car hypodense dès le début ({phase} {hu} UH par rapport au foie)",
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
    "enhancing capsule": ("anreichernde Kapsel", "oppladende kapsel", "capsule rehaussée"),
    "no enhancing capsule": (
        "keine anreichernde Kapsel",
        "ingen oppladende kapsel",
        "pas de capsule rehaussée",
    ),
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
    "contrast to the liver the same in all phases (change {hu} HU)": (
        "Kontrast zur Leber in allen Phasen gleich (Änderung {hu} HU)",
        "kontrast til leveren lik i alle faser (endring {hu} HU)",
        "contraste avec le foie identique à toutes les phases (variation de {hu} UH)",
    ),
    "contrast to the liver changes by {hu} HU between phases": (
        "Kontrast zur Leber ändert sich zwischen den Phasen um {hu} HU",
        "kontrasten til leveren endrer seg {hu} HU mellom fasene",
        "le contraste avec le foie varie de {hu} UH entre les phases",
    ),
    "homogeneous inside (coarse variation {n} times the liver's)": (
        "innen homogen (grobe Schwankung {n}-mal die der Leber)",
        "homogen innvendig (grov variasjon {n} ganger leverens)",
        "intérieur homogène (variation grossière {n} fois celle du foie)",
    ),
    "patchy inside (coarse variation {n} times the liver's)": (
        "innen fleckig (grobe Schwankung {n}-mal die der Leber)",
        "flekket innvendig (grov variasjon {n} ganger leverens)",
        "intérieur en plages (variation grossière {n} fois celle du foie)",
    ),
    "dark centre ({hu} HU against the rest of it)": (
        "dunkles Zentrum ({hu} HU gegen den Rest)",
        "mørkt sentrum ({hu} HU mot resten)",
        "centre hypodense ({hu} UH par rapport au reste)",
    ),
    "no dark centre ({hu} HU against the rest of it)": (
        "kein dunkles Zentrum ({hu} HU gegen den Rest)",
        "ikke mørkt sentrum ({hu} HU mot resten)",
        "pas de centre hypodense ({hu} UH par rapport au reste)",
    ),
    "no part much darker than its core (at most {hu} HU)": (
        "kein Anteil viel dunkler als der Kern (höchstens {hu} HU)",
        "ingen del mye mørkere enn kjernen (høyst {hu} HU)",
        "aucune partie nettement moins dense que le centre (au plus {hu} UH)",
    ),
    "a part {hu} HU darker than its core": (
        "ein Anteil {hu} HU dunkler als der Kern",
        "en del {hu} HU mørkere enn kjernen",
        "une partie moins dense de {hu} UH que le centre",
    ),
    "dark part inside ({hu} HU against the rest: scar or dead tissue)": (
        "dunkler Anteil innen ({hu} HU gegen den Rest: Narbe oder Nekrose)",
        "mørk del innvendig ({hu} HU mot resten: arr eller nekrose)",
        "partie interne hypodense ({hu} UH par rapport au reste : cicatrice ou nécrose)",
    ),
    "no scar or dead tissue inside (darkest part {hu} HU against the rest)": (
        "keine Narbe oder Nekrose innen (dunkelster Anteil {hu} HU gegen den Rest)",
        "verken arr eller nekrose innvendig (mørkeste del {hu} HU mot resten)",
        "ni cicatrice ni nécrose à l'intérieur (partie la moins dense {hu} UH par rapport au reste)",
    ),
    "its dark part stays dark in the delayed phase": (
        "ihr dunkler Anteil bleibt in der Spätphase dunkel",
        "den mørke delen forblir mørk i sen fase",
        "sa partie hypodense le reste à la phase tardive",
    ),
    "its dark part stays dark in the delayed phase ({n} % of it gone)": (
        "ihr dunkler Anteil bleibt in der Spätphase dunkel ({n} % davon verschwunden)",
        "den mørke delen forblir mørk i sen fase ({n} % av den borte)",
        "sa partie hypodense le reste à la phase tardive ({n} % disparus)",
    ),
    "its dark part fills late ({n} % of it gone in the delayed phase)": (
        "ihr dunkler Anteil füllt sich spät ({n} % davon in der Spätphase verschwunden)",
        "den mørke delen fylles sent ({n} % av den borte i sen fase)",
        "sa partie hypodense se remplit tardivement ({n} % disparus à la phase tardive)",
    ),
    "no vessels run through it": (
        "keine Gefäße ziehen hindurch",
        "ingen kar går gjennom den",
        "aucun vaisseau ne la traverse",
    ),
    "no vessels run through it (contrast inside {n} % of the vessels' in the liver)": (
        "keine Gefäße ziehen hindurch (Kontrast innen {n} % dessen der Lebergefäße)",
        "ingen kar går gjennom den (kontrast innvendig {n} % av leverkarenes)",
        "aucun vaisseau ne la traverse (contraste interne {n} % de celui des vaisseaux du foie)",
    ),
    "vessels run through it (contrast inside {n} % of the vessels' in the liver)": (
        "Gefäße ziehen hindurch (Kontrast innen {n} % dessen der Lebergefäße)",
        "kar går gjennom den (kontrast innvendig {n} % av leverkarenes)",
        "des vaisseaux la traversent (contraste interne {n} % de celui des vaisseaux du foie)",
    ),
    "close under the liver's surface (middle {mm} mm deep)": (
        "dicht unter der Leberoberfläche (Mitte {mm} mm tief)",
        "rett under leveroverflaten (midten {mm} mm dyp)",
        "proche de la surface du foie (milieu à {mm} mm de profondeur)",
    ),
    "its middle deep in the liver ({mm} mm below the surface or more)": (
        "Mitte tief in der Leber (mindestens {mm} mm unter der Oberfläche)",
        "midten dypt i leveren (minst {mm} mm under overflaten)",
        "milieu profond dans le foie (à {mm} mm au moins sous la surface)",
    ),
    # Of cases that version 0.1 kept.
    "away from the liver's surface (middle {mm} mm deep or more)": (
        "Mitte mindestens {mm} mm unter der Leberoberfläche",
        "midten minst {mm} mm under leveroverflaten",
        "milieu à {mm} mm au moins sous la surface du foie",
    ),
    "pale liver, fatty? ({hu} HU against the usual)": (
        "blasse Leber, verfettet? ({hu} HU gegen das Übliche)",
        "blek lever, fettlever? ({hu} HU mot det vanlige)",
        "foie hypodense, stéatose ? ({hu} UH par rapport à l'habitude)",
    ),
    "liver not pale ({hu} HU against the usual)": (
        "Leber nicht blass ({hu} HU gegen das Übliche)",
        "leveren ikke blek ({hu} HU mot det vanlige)",
        "foie non hypodense ({hu} UH par rapport à l'habitude)",
    ),
    "core darker than the liver in the arterial phase": (
        "Kern arteriell dunkler als die Leber",
        "kjernen mørkere enn leveren i arteriell fase",
        "centre moins dense que le foie à la phase artérielle",
    ),
    "core about as bright as the liver in the arterial phase": (
        "Kern arteriell etwa so hell wie die Leber",
        "kjernen omtrent så lys som leveren i arteriell fase",
        "centre à peu près aussi dense que le foie à la phase artérielle",
    ),
    "core at {n} % of the way from liver to aorta in the arterial phase": (
        "Kern arteriell bei {n} % des Wegs von Leber zu Aorta",
        "kjernen {n} % av veien fra lever til aorta i arteriell fase",
        "centre à {n} % de l'écart entre foie et aorte à la phase artérielle",
    ),
    "no bright lumps inside": (
        "keine hellen Knoten darin",
        "ingen lyse knuter innvendig",
        "aucun nodule dense à l'intérieur",
    ),
    "no lumps as bright as blood (brightest part at {n} % of the way from liver to aorta)": (
        "keine bluthellen Knoten (hellster Teil bei {n} % des Wegs von Leber zu Aorta)",
        "ingen knuter så lyse som blod (lyseste del {n} % av veien fra lever til aorta)",
        "aucun nodule aussi dense que le sang (partie la plus dense à {n} % de l'écart entre foie et aorte)",
    ),
    "bright lumps at {n} % of the way from liver to aorta": (
        "helle Knoten bei {n} % des Wegs von Leber zu Aorta",
        "lyse knuter {n} % av veien fra lever til aorta",
        "nodules denses à {n} % de l'écart entre foie et aorte",
    ),
    "no part brighter than the liver in the arterial phase": (
        "arteriell kein Teil heller als die Leber",
        "ingen del lysere enn leveren i arteriell fase",
        "aucune partie plus dense que le foie à la phase artérielle",
    ),
    "no part clearly brighter than the liver in the arterial phase": (
        "arteriell kein Teil deutlich heller als die Leber",
        "ingen del tydelig lysere enn leveren i arteriell fase",
        "aucune partie nettement plus dense que le foie à la phase artérielle",
    ),
    "brightest part at {n} % of the way from liver to aorta in the arterial phase": (
        "hellster Teil arteriell bei {n} % des Wegs von Leber zu Aorta",
        "lyseste del {n} % av veien fra lever til aorta i arteriell fase",
        "partie la plus dense à {n} % de l'écart entre foie et aorte à la phase artérielle",
    ),
    "no part brighter than the liver in the portal venous phase": (
        "portalvenös kein Teil heller als die Leber",
        "ingen del lysere enn leveren i portovenøs fase",
        "aucune partie plus dense que le foie à la phase portale",
    ),
    "no part clearly brighter than the liver in the portal venous phase": (
        "portalvenös kein Teil deutlich heller als die Leber",
        "ingen del tydelig lysere enn leveren i portovenøs fase",
        "aucune partie nettement plus dense que le foie à la phase portale",
    ),
    "brightest part at {n} % of the way from liver to aorta in the portal venous phase": (
        "hellster Teil portalvenös bei {n} % des Wegs von Leber zu Aorta",
        "lyseste del {n} % av veien fra lever til aorta i portovenøs fase",
        "partie la plus dense à {n} % de l'écart entre foie et aorte à la phase portale",
    ),
    "nothing inside denser than {n} HU": (
        "im Inneren nichts dichter als {n} HU",
        "ingenting innvendig tettere enn {n} HU",
        "rien à l'intérieur de plus dense que {n} UH",
    ),
    "densest part inside {n} HU": (
        "dichtester Teil im Inneren {n} HU",
        "tetteste del innvendig {n} HU",
        "partie interne la plus dense {n} UH",
    ),
    "no fall against the liver after the arterial phase ({hu} HU)": (
        "kein Abfall gegen die Leber nach der arteriellen Phase ({hu} HU)",
        "ikke noe fall mot leveren etter arteriell fase ({hu} HU)",
        "pas de baisse par rapport au foie après la phase artérielle ({hu} UH)",
    ),
    "falls by {hu} HU against the liver after the arterial phase": (
        "fällt nach der arteriellen Phase um {hu} HU gegen die Leber",
        "faller {hu} HU mot leveren etter arteriell fase",
        "baisse de {hu} UH par rapport au foie après la phase artérielle",
    ),
    "does not fill in after the portal venous phase ({hu} HU against the liver)": (
        "füllt sich nach der portalvenösen Phase nicht ({hu} HU gegen die Leber)",
        "fylles ikke etter portovenøs fase ({hu} HU mot leveren)",
        "ne se remplit pas après la phase portale ({hu} UH par rapport au foie)",
    ),
    "fills in by {hu} HU against the liver after the portal venous phase": (
        "füllt sich nach der portalvenösen Phase um {hu} HU gegen die Leber",
        "fylles {hu} HU mot leveren etter portovenøs fase",
        "se remplit de {hu} UH par rapport au foie après la phase portale",
    ),
    "a dense part that does not follow the blood, calcium? ({hu} HU above its core)": (
        "ein dichter Anteil, der dem Blut nicht folgt, Kalk? ({hu} HU über dem Kern)",
        "en tett del som ikke følger blodet, kalk? ({hu} HU over kjernen)",
        "une partie dense qui ne suit pas le sang, calcium ? ({hu} UH de plus que le centre)",
    ),
}
