"""Remarks on a file's header and its slices in the report's languages: what a reader meets most often."""

from __future__ import annotations

from collections.abc import Mapping

# English as the readers of files write it: (German, Norwegian, French); fields as in `sentences`.
HEADER_SENTENCES: Mapping[str, tuple[str, str, str]] = {
    "The file is compressed, though its name is that of an uncompressed one.": (
        "Die Datei ist komprimiert, obwohl ihr Name der einer unkomprimierten ist.",
        "Filen er komprimert, selv om navnet er som på en ukomprimert.",
        "Le fichier est compressé, bien que son nom soit celui d'un fichier non compressé.",
    ),
    "The file is not compressed, though its name says so.": (
        "Die Datei ist nicht komprimiert, obwohl ihr Name es sagt.",
        "Filen er ikke komprimert, selv om navnet sier det.",
        "Le fichier n'est pas compressé, bien que son nom le dise.",
    ),
    "{n} follow the end of the compressed data, which are complete; they were ignored.": (
        "Nach dem Ende der komprimierten Daten, die vollständig sind, folgt noch etwas ({n}); es wurde "
        "übergangen.",
        "Etter slutten på de komprimerte dataene, som er fullstendige, følger mer ({n}); det ble oversett.",
        "Après la fin des données compressées, qui sont complètes, suit autre chose ({n}), qui a été ignoré.",
    ),
    "The header gives two voxel sizes: {name} by its sform, {name_now} by pixdim. The sform was taken; check "
    "a known length, and volumes, before you trust sizes.": (
        "Der Dateikopf nennt zwei Voxelgrößen: {name} nach seiner sform, {name_now} nach pixdim. Die sform "
        "wurde verwendet; bitte eine bekannte Länge und die Volumina prüfen, bevor Größen vertraut wird.",
        "Filhodet oppgir to vokselstørrelser: {name} etter sform, {name_now} etter pixdim. Sform ble brukt; "
        "kontroller en kjent lengde og volumene før størrelser brukes.",
        "L'en-tête donne deux tailles de voxel : {name} selon sa sform, {name_now} selon pixdim. La sform a "
        "été retenue ; vérifier une longueur connue et les volumes avant de se fier aux tailles.",
    ),
    "The sform is that of a tilted gantry, the qform is not; the sform was taken.": (
        "Die sform ist die einer gekippten Gantry, die qform nicht; die sform wurde verwendet.",
        "Sform er fra et vippet gantry, qform er det ikke; sform ble brukt.",
        "La sform est celle d'un statif incliné, la qform non ; la sform a été retenue.",
    ),
    "The header's sform and qform differ by {n} voxels; the {which} was taken.": (
        "sform und qform des Dateikopfs weichen um {n} Voxel voneinander ab; die {which} wurde verwendet.",
        "Filhodets sform og qform avviker med {n} voksler; {which} ble brukt.",
        "La sform et la qform de l'en-tête diffèrent de {n} voxels ; la {which} a été retenue.",
    ),
    "The gantry was tilted by {angle} degrees; the slices were moved to their real positions, which softens "
    "them a little.": (
        "Die Gantry war um {angle} Grad gekippt; die Schichten wurden an ihre wirklichen Orte verschoben, "
        "was sie etwas weichzeichnet.",
        "Gantryet var vippet {angle} grader; snittene ble flyttet til sine virkelige posisjoner, noe som "
        "gjør dem litt mykere.",
        "Le statif était incliné de {angle} degrés ; les coupes ont été ramenées à leur position réelle, ce "
        "qui les adoucit un peu.",
    ),
    "The slices are shifted sideways against each other by up to {mm} mm; they were moved to their real "
    "positions.": (
        "Die Schichten sind seitlich um bis zu {mm} mm gegeneinander verschoben; sie wurden an ihre "
        "wirklichen Orte gebracht.",
        "Snittene er forskjøvet sideveis mot hverandre med opptil {mm} mm; de ble flyttet til sine virkelige "
        "posisjoner.",
        "Les coupes sont décalées latéralement de {mm} mm au plus ; elles ont été ramenées à leur position "
        "réelle.",
    ),
    "The slices carry {n} different series identifiers. They were read as one series, because number, "
    "description, size, orientation and positions fit together.": (
        "Die Schichten tragen {n} verschiedene Serienkennungen. Sie wurden als eine Serie gelesen, da "
        "Nummer, Beschreibung, Größe, Ausrichtung und Orte zusammenpassen.",
        "Snittene har {n} ulike serieidentifikatorer. De ble lest som én serie, fordi nummer, beskrivelse, "
        "størrelse, orientering og posisjoner passer sammen.",
        "Les coupes portent {n} identifiants de série différents. Elles ont été lues comme une seule série, "
        "car numéro, description, taille, orientation et positions concordent.",
    ),
    "The header has no space origin; the first voxel was placed at 0, 0, 0.": (
        "Der Dateikopf nennt keinen Ursprung (space origin); das erste Voxel wurde auf 0, 0, 0 gelegt.",
        "Filhodet har ikke noe origo (space origin); den første vokselen ble lagt i 0, 0, 0.",
        "L'en-tête n'a pas d'origine (space origin) ; le premier voxel a été placé en 0, 0, 0.",
    ),
    "The header has no Offset; the first voxel was placed at 0, 0, 0.": (
        "Der Dateikopf nennt keinen Ursprung (Offset); das erste Voxel wurde auf 0, 0, 0 gelegt.",
        "Filhodet har ikke noe origo (Offset); den første vokselen ble lagt i 0, 0, 0.",
        "L'en-tête n'a pas d'origine (Offset) ; le premier voxel a été placé en 0, 0, 0.",
    ),
}
