"""Sentences on what a scan is like, and what the networks miss in it: English, German, Norwegian, French."""

from __future__ import annotations

from collections.abc import Mapping

from ...case.messages import TOO_BRIGHT, TOO_DARK, TOO_SMALL_AND_CUT
from ...volume.reading_messages import ONE_OF_SEVERAL

SCAN_SENTENCES: Mapping[str, tuple[str, str, str]] = {
    "This scan is arterial: more than half of the lesions that are brighter than the liver were missed in "
    "synthetic scans, and none of a patient was tried. Look for them yourself, and analyse the portal venous "
    "scan, too.": (
        "Diese Aufnahme ist arteriell: Mehr als die Hälfte der Läsionen, die heller als die Leber sind, "
        "wurde in synthetischen Aufnahmen übersehen, an Patienten wurde keine erprobt. Bitte selbst danach "
        "suchen und auch die portalvenöse Aufnahme auswerten.",
        "Dette opptaket er arterielt: over halvparten av lesjonene som er lysere enn leveren, ble "
        "oversett i syntetiske opptak, og ingen hos pasienter er prøvd. Se etter dem selv, og analyser "
        "også det portovenøse opptaket.",
        "Cet examen est artériel : plus de la moitié des lésions plus denses que le foie ont été "
        "manquées dans des examens synthétiques, et aucune n'a été essayée chez un patient. Les chercher "
        "soi-même, et analyser aussi l'examen portal.",
    ),
    "Slices are missing: {gaps}, where most are {step} mm apart. They were put onto an even grid of "
    "{grid} mm by their real positions; what lies between is interpolated and may hide or blur lesions.": (
        "Schichten fehlen: {gaps}, sonst meist {step} mm. Sie wurden nach ihrer wirklichen Lage auf ein "
        "gleichmäßiges Gitter von {grid} mm gebracht; was dazwischen liegt, ist interpoliert und kann "
        "Läsionen verbergen oder verwischen.",
        "Snitt mangler: {gaps}, ellers stort sett {step} mm. De ble lagt på et jevnt rutenett på {grid} "
        "mm etter sine virkelige posisjoner; det som ligger imellom, er interpolert og kan skjule eller "
        "viske ut lesjoner.",
        "Des coupes manquent : {gaps}, sinon {step} mm le plus souvent. Elles ont été placées sur une "
        "grille régulière de {grid} mm selon leur position réelle ; ce qui est entre elles est interpolé"
        " et peut cacher ou estomper des lésions.",
    ),
    "The slices are unevenly spaced ({gap} to {wide} mm apart). They were put onto an even grid of "
    "{grid} mm by their real positions; what lies between is interpolated and may hide or blur lesions.": (
        "Die Schichten liegen ungleichmäßig ({gap} bis {wide} mm auseinander). Sie wurden nach ihrer "
        "wirklichen Lage auf ein gleichmäßiges Gitter von {grid} mm gebracht; was dazwischen liegt, ist "
        "interpoliert und kann Läsionen verbergen oder verwischen.",
        "Snittene ligger ujevnt ({gap} til {wide} mm fra hverandre). De ble lagt på et jevnt rutenett på"
        " {grid} mm etter sine virkelige posisjoner; det som ligger imellom, er interpolert og kan "
        "skjule eller viske ut lesjoner.",
        "Les coupes sont espacées irrégulièrement (de {gap} à {wide} mm). Elles ont été placées sur une "
        "grille régulière de {grid} mm selon leur position réelle ; ce qui est entre elles est interpolé"
        " et peut cacher ou estomper des lésions.",
    ),
    "The slices are {step} mm apart; lesions smaller than that may be missed.": (
        "Die Schichten liegen {step} mm auseinander; kleinere Läsionen werden leicht übersehen.",
        "Snittene ligger {step} mm fra hverandre; mindre lesjoner kan bli oversett.",
        "Les coupes sont espacées de {step} mm ; des lésions plus petites peuvent être manquées.",
    ),
    "This scan is noisy: {hu} HU in the liver. In such scans small lesions are missed more often, and at a "
    "low threshold many more false ones are listed. Doubt small findings.": (
        "Diese Aufnahme ist verrauscht: {hu} HU in der Leber. In solchen Aufnahmen werden kleine Läsionen "
        "öfter übersehen, und bei niedriger Schwelle weit mehr falsche aufgeführt. Kleine Befunde "
        "bitte anzweifeln.",
        "Dette opptaket har mye støy: {hu} HU i leveren. I slike opptak blir små lesjoner oftere oversett, "
        "og ved lav terskel blir langt flere falske oppført. Tvil på små funn.",
        "Cet examen est bruité : {hu} UH dans le foie. Dans de tels examens, les petites lésions sont "
        "plus souvent manquées, et à seuil bas bien plus de fausses sont listées. Se méfier des petites.",
    ),
    TOO_DARK.key: (
        "Dichte prüfen: {hu} HU hat kaum eine Leber. So dunkel ist nur eine stark verfettete ohne "
        "Kontrastmittel; sonst sind die Werte der Datei keine Hounsfield-Einheiten, oder ein anderes Organ "
        "wurde für Leber gehalten. Läsionen, ihre Klassen und alle Dichten sind zweifelhaft.",
        "Kontroller tettheten: {hu} HU har knapt noen lever. Bare en svært fettrik uten kontrastmiddel er så "
        "mørk; ellers er filens verdier ikke Hounsfield-enheter, eller et annet organ ble tatt for lever. "
        "Lesjoner, deres klasser og alle tettheter er tvilsomme.",
        "Vérifier la densité : {hu} UH n'est guère celle d'un foie. Seul un foie très stéatosique sans "
        "injection est aussi peu dense ; sinon les valeurs du fichier ne sont pas des unités Hounsfield, ou "
        "un autre organe a été pris pour le foie. Lésions, classes et densités sont toutes douteuses.",
    ),
    TOO_BRIGHT.key: (
        "Dichte prüfen: {hu} HU hat kaum eine Leber. Die Werte der Datei sind vielleicht keine "
        "Hounsfield-Einheiten, sie zeigt eine einzelne Energie eines Spektral-CT, oder ein anderes Organ "
        "wurde für Leber gehalten. Läsionen, ihre Klassen und alle Dichten sind zweifelhaft.",
        "Kontroller tettheten: {hu} HU har knapt noen lever. Filens verdier er kanskje ikke "
        "Hounsfield-enheter, den viser én energi fra en spektral-CT, eller et annet organ ble tatt for "
        "lever. Lesjoner, deres klasser og alle tettheter er tvilsomme.",
        "Vérifier la densité : {hu} UH n'est guère celle d'un foie. Les valeurs du fichier ne sont peut-être "
        "pas des unités Hounsfield, il montre une seule énergie d'un scanner spectral, ou un autre organe a "
        "été pris pour le foie. Lésions, classes et densités sont toutes douteuses.",
    ),
    ONE_OF_SEVERAL.key.replace("{name_now}", "acquisition {m}"): (
        "Serie {name} enthält {n} Aufnahmen, von denen eine ausgewertet wurde: Akquisition {m}. Bitte "
        "prüfen, ob es die gewünschte ist.",
        "Serie {name} inneholder {n} opptak, og ett av dem ble analysert: opptak nr. {m}. Kontroller at det "
        "er det ønskede.",
        "La série {name} contient {n} acquisitions, dont une a été analysée : l'acquisition {m}. Vérifier "
        "que c'est la bonne.",
    ),
    ONE_OF_SEVERAL.key: (
        "Serie {name} enthält {n} Aufnahmen, von denen eine ausgewertet wurde: {name_now}. Bitte prüfen, ob "
        "es die gewünschte ist.",
        "Serie {name} inneholder {n} opptak, og ett av dem ble analysert: {name_now}. Kontroller at det er "
        "det ønskede.",
        "La série {name} contient {n} acquisitions, dont une a été analysée : {name_now}. Vérifier que c'est "
        "la bonne.",
    ),
    "Series {name}: {mm} mm are short for an abdomen.": (
        "Serie {name}: {mm} mm sind kurz für ein Abdomen.",
        "Serie {name}: {mm} mm er kort for et abdomen.",
        "Série {name} : {mm} mm, c'est court pour un abdomen.",
    ),
    TOO_SMALL_AND_CUT.key: (
        "Seite und Größe prüfen: Nur {ml} ml Leber wurden gefunden, und die Aufnahme schneidet sie ab. "
        "Das kann alles Gezeigte sein; sonst fehlt ein Teil, oder ein anderes Organ wurde für Leber "
        "gehalten, etwa die Milz eines gespiegelten Bildes.",
        "Kontroller side og størrelse: bare {ml} ml lever ble funnet, og opptaket kutter den. Det kan "
        "være alt som vises; ellers mangler en del, eller et annet organ ble tatt for lever, for eksempel "
        "milten i et speilvendt bilde.",
        "Vérifier le côté et la taille : seuls {ml} ml de foie ont été trouvés, et l'examen le coupe. "
        "C'est peut-être tout ce qui est visible ; sinon une partie a été manquée, ou un autre organe a "
        "été pris pour le foie, comme la rate d'une image inversée.",
    ),
}
