"""The words and sentences of vessels, segments and a planned resection, in the report's languages."""

from __future__ import annotations

from collections.abc import Mapping

# key: (English, German, Norwegian, French)
ANATOMY_WORDS: Mapping[str, tuple[str, str, str, str]] = {
    "anatomy": ("Segments and vessels", "Segmente und Gefäße", "Segmenter og kar", "Segments et vaisseaux"),
    "an.segment": ("Segment", "Segment", "Segment", "Segment"),
    "an.hemiliver": ("Hemiliver", "Leberhälfte", "Leverhalvdel", "Hémifoie"),
    "an.right": ("right", "rechts", "høyre", "droit"),
    "an.left": ("left", "links", "venstre", "gauche"),
    "an.caudate": ("caudate", "Lobus caudatus", "lobus caudatus", "lobe caudé"),
    "an.surface": ("Liver surface", "Leberoberfläche", "Leveroverflate", "Surface du foie"),
    "an.hepatic": ("Hepatic veins", "Lebervenen", "Levervener", "Veines hépatiques"),
    "an.portal": ("Portal vein", "Pfortader", "Portvene", "Veine porte"),
    "an.ivc": ("Vena cava", "V. cava", "V. cava", "Veine cave"),
    "an.either": (
        "Portal or hepatic",
        "Pfortader oder Lebervene",
        "Portvene eller levervene",
        "Veine porte ou hépatique",
    ),
    "an.unnamed": (
        "Portal or hepatic: the nearest vessel of which it is not sure to which tree it belongs. It counts "
        "for both: a distance with a question mark may be to the other tree, and is longer then.",
        "Pfortader oder Lebervene: das nächste Gefäß, dessen Zugehörigkeit nicht sicher ist. Es zählt zu "
        "beiden: ein Abstand mit Fragezeichen kann dem anderen Baum gelten und ist dann größer.",
        "Portvene eller levervene: nærmeste kar der det ikke er sikkert hvilket tre det hører til. Det "
        "regnes til begge: en avstand med spørsmålstegn kan gjelde det andre treet og er da lengre.",
        "Veine porte ou hépatique : le vaisseau le plus proche dont l'appartenance n'est pas sûre. Il compte "
        "pour les deux : une distance suivie d'un point d'interrogation peut concerner l'autre arbre et est "
        "alors plus grande.",
    ),
    "an.contact": (
        "contact {mm} mm, {deg}°",
        "Kontakt {mm} mm, {deg}°",
        "kontakt {mm} mm, {deg}°",
        "contact {mm} mm, {deg}°",
    ),
    "an.volumes": (
        "Volumes of the segments (mL)",
        "Volumina der Segmente (ml)",
        "Segmentenes volum (ml)",
        "Volumes des segments (ml)",
    ),
    "an.blank": ("Left blank", "Offen gelassen", "Ikke angitt", "Laissé en blanc"),
    "an.doubtful": (
        "With a question mark: a segment that the lesion lies in only if the planes are off by as much as "
        "their landmarks are uncertain.",
        "Mit Fragezeichen: ein Segment, in dem die Läsion nur liegt, wenn die Ebenen so weit abweichen, wie "
        "ihre Landmarken unsicher sind.",
        "Med spørsmålstegn: et segment lesjonen bare ligger i dersom planene avviker like mye som "
        "landemerkene er usikre.",
        "Avec point d'interrogation : segment où la lésion ne se trouve que si les plans s'écartent autant "
        "que leurs repères sont incertains.",
    ),
    "an.not_validated": (
        "Segments come from planes through landmarks that were found automatically; they were measured on "
        "simulated livers and have not been validated on patients.",
        "Die Segmente stammen aus Ebenen durch automatisch gefundene Landmarken; sie wurden an simulierten "
        "Lebern gemessen und nicht an Patienten validiert.",
        "Segmentene kommer fra plan gjennom automatisk funne landemerker; de er målt på simulerte levere og "
        "ikke validert på pasienter.",
        "Les segments proviennent de plans passant par des repères trouvés automatiquement ; ils ont été "
        "mesurés sur des foies simulés et n'ont pas été validés chez des patients.",
    ),
    "an.picture": (
        "Segments and vessels from the front",
        "Segmente und Gefäße von vorn",
        "Segmenter og kar forfra",
        "Segments et vaisseaux, vue de face",
    ),
    "rem": ("Planned resection", "Geplante Resektion", "Planlagt reseksjon", "Résection prévue"),
    "rem.way": ("What is resected", "Reseziert wird", "Det som fjernes", "Ce qui est réséqué"),
    "rem.segments": ("segments {d}", "Segmente {d}", "segmenter {d}", "segments {d}"),
    "rem.plane": ("beyond a plane", "jenseits einer Ebene", "bortenfor et plan", "au-delà d'un plan"),
    "rem.margin": (
        "lesions with a margin of {d} mm",
        "Läsionen mit {d} mm Abstand",
        "lesjoner med {d} mm margin",
        "lésions avec une marge de {d} mm",
    ),
    "rem.mask": ("mask {d}", "Maske {d}", "maske {d}", "masque {d}"),
    "rem.resected": ("Resected", "Reseziert", "Fjernet", "Réséqué"),
    "rem.remaining": ("Remaining", "Verbleibend", "Gjenværende", "Restant"),
    "rem.of": ("{a} of {b} mL", "{a} von {b} ml", "{a} av {b} ml", "{a} sur {b} ml"),
    "rem.functional": (
        "Functional remnant (without tumour)",
        "Funktioneller Rest (ohne Tumor)",
        "Funksjonell rest (uten tumor)",
        "Reliquat fonctionnel (sans tumeur)",
    ),
    "rem.functional_value": (
        "{ml} mL, {p} % of the functional liver",
        "{ml} ml, {p} % der funktionellen Leber",
        "{ml} ml, {p} % av funksjonell lever",
        "{ml} ml, {p} % du foie fonctionnel",
    ),
    "rem.tumour": ("Tumour that remains", "Verbleibender Tumor", "Gjenværende tumor", "Tumeur restante"),
    "rem.standardised": (
        "Standardised remnant",
        "Standardisierter Rest",
        "Standardisert rest",
        "Reliquat standardisé",
    ),
    "rem.minimum": ("Chosen minimum", "Gewähltes Minimum", "Valgt minimum", "Minimum choisi"),
    "rem.enough": ("{p} %, reached", "{p} %, erreicht", "{p} %, nådd", "{p} %, atteint"),
    "rem.not_enough": (
        "{p} %, NOT reached",
        "{p} %, NICHT erreicht",
        "{p} %, IKKE nådd",
        "{p} %, NON atteint",
    ),
    "rem.measured": (
        "Measured on CT; what is resected is usually less.",
        "Am CT gemessen; reseziert wird meist weniger.",
        "Målt på CT; det som fjernes, er som regel mindre.",
        "Mesuré au scanner ; la résection réelle est en général moindre.",
    ),
    "rem.picture": (
        "Planned resection from the front: what is resected is red",
        "Geplante Resektion von vorn: rot, was reseziert wird",
        "Planlagt reseksjon forfra: det som fjernes, er rødt",
        "Résection prévue, vue de face : en rouge ce qui est réséqué",
    ),
}

# As in :data:`.sentences.SENTENCES`.
ANATOMY_SENTENCES: Mapping[str, tuple[str, str, str]] = {
    "The scan cuts the liver off: without its whole shape the segments cannot be told. Vessels and segments "
    "are left out.": (
        "Die Aufnahme schneidet die Leber ab: ohne ihre ganze Form sind die Segmente nicht zu bestimmen. "
        "Gefäße und Segmente fehlen.",
        "Opptaket kutter leveren: uten hele formen kan segmentene ikke bestemmes. Kar og segmenter er "
        "utelatt.",
        "L'examen coupe le foie : sans sa forme entière les segments ne peuvent être déterminés. Vaisseaux "
        "et segments sont omis.",
    ),
    "The liver lies on the left side of the body: the segments of a mirrored body (situs inversus) are left "
    "out. Check the scan's orientation; nothing was flipped.": (
        "Die Leber liegt links im Körper: die Segmente eines gespiegelten Körpers (Situs inversus) fehlen. "
        "Ausrichtung der Aufnahme prüfen; es wurde nichts gespiegelt.",
        "Leveren ligger på venstre side: segmentene i en speilvendt kropp (situs inversus) er utelatt. "
        "Kontroller opptakets orientering; ingenting er speilvendt.",
        "Le foie se trouve à gauche : les segments d'un corps en miroir (situs inversus) sont omis. Vérifier "
        "l'orientation de l'examen ; rien n'a été retourné.",
    ),
    "The scan seems to be without contrast medium: hepatic and portal veins are not seen, and vessels and "
    "segments are left out.": (
        "Die Aufnahme wirkt nativ: Lebervenen und Pfortader sind nicht zu sehen; Gefäße und Segmente fehlen.",
        "Opptaket ser ut til å være uten kontrast: levervener og portvene ses ikke; kar og segmenter er "
        "utelatt.",
        "L'examen semble sans injection : veines hépatiques et veine porte ne sont pas visibles ; vaisseaux "
        "et segments sont omis.",
    ),
    "The liver's veins are not clearly brighter than its tissue ({found} HU; {asked} are asked): another "
    "phase, or a fatty liver. Vessels and segments are left out.": (
        "Die Lebervenen sind nicht deutlich heller als das Gewebe ({found} HU; verlangt sind {asked}): "
        "andere Phase oder Fettleber. Gefäße und Segmente fehlen.",
        "Levervenene er ikke tydelig lysere enn vevet ({found} HU; {asked} kreves): annen fase eller "
        "fettlever. Kar og segmenter er utelatt.",
        "Les veines du foie ne sont pas nettement plus denses que le tissu ({found} UH ; {asked} requises) : "
        "autre phase ou stéatose. Vaisseaux et segments sont omis.",
    ),
    "The vessel network could not be used (its weights are missing or damaged, or PyTorch is): a filter "
    "alone shows fewer vessels. Distances may be too long; install the extension again.": (
        "Das Gefäßnetz war nicht verfügbar (Gewichte oder PyTorch fehlen oder sind beschädigt): ein Filter "
        "allein zeigt weniger Gefäße. Abstände können zu groß sein; Erweiterung neu installieren.",
        "Karnettverket kunne ikke brukes (vektene eller PyTorch mangler eller er skadet): et filter alene "
        "viser færre kar. Avstander kan være for lange; installer utvidelsen på nytt.",
        "Le réseau des vaisseaux n'a pu être utilisé (poids ou PyTorch absents ou endommagés) : un filtre "
        "seul montre moins de vaisseaux. Les distances peuvent être trop longues ; réinstaller l'extension.",
    ),
    "The network that names vessels could not be used (its weights are missing or damaged): more of them are "
    "taken for the other tree. Install the extension again.": (
        "Das Netz, das Gefäße benennt, war nicht verfügbar (Gewichte fehlen oder sind beschädigt): mehr von "
        "ihnen gelten als der andere Baum. Erweiterung neu installieren.",
        "Nettverket som navngir kar, kunne ikke brukes (vektene mangler eller er skadet): flere av dem "
        "regnes til det andre treet. Installer utvidelsen på nytt.",
        "Le réseau qui nomme les vaisseaux n'a pu être utilisé (poids absents ou endommagés) : davantage "
        "d'entre eux sont attribués à l'autre arbre. Réinstaller l'extension.",
    ),
    "The inferior vena cava was not found behind the liver, so that the segments cannot be told.": (
        "Die untere Hohlvene wurde hinter der Leber nicht gefunden; die Segmente sind nicht zu bestimmen.",
        "Vena cava inferior ble ikke funnet bak leveren; segmentene kan ikke bestemmes.",
        "La veine cave inférieure n'a pas été trouvée derrière le foie ; les segments ne peuvent être "
        "déterminés.",
    ),
    "The planes give the right hemiliver {right} % of the liver, outside {low} to {high} %: resected, or of "
    "an unusual shape. The segments are left out.": (
        "Die Ebenen geben der rechten Leberhälfte {right} % der Leber, außerhalb von {low} bis {high} %: "
        "reseziert oder ungewöhnlich geformt. Die Segmente fehlen.",
        "Planene gir høyre leverhalvdel {right} % av leveren, utenfor {low} til {high} %: reseksjon eller "
        "uvanlig form. Segmentene er utelatt.",
        "Les plans donnent à l'hémifoie droit {right} % du foie, hors de {low} à {high} % : résection ou "
        "forme inhabituelle. Les segments sont omis.",
    ),
    "Hardly any liver lies left of the umbilical fissure ({share} %; {asked} % are asked): the left "
    "lateral segments are resected, or very small. The segments are left out.": (
        "Links der Umbilikalfissur liegt kaum Leber ({share} %; verlangt sind {asked} %): die linken "
        "lateralen Segmente sind reseziert oder sehr klein. Die Segmente fehlen.",
        "Det er knapt lever til venstre for fissura umbilicalis ({share} %; {asked} % kreves): de venstre "
        "laterale segmentene er fjernet eller svært små. Segmentene er utelatt.",
        "Il n'y a presque pas de foie à gauche de la scissure ombilicale ({share} % ; {asked} % requis) : "
        "les segments latéraux gauches sont réséqués ou très petits. Les segments sont omis.",
    ),
    "{share} % of the vessels seen in the liver were taken for hepatic veins ({low} to {high} % "
    "are plausible): whole branches are probably named wrongly. Thin branches are shown as portal or "
    "hepatic, and distances to them have a question mark; follow the nearest one to its trunk.": (
        "{share} % der in der Leber gesehenen Gefäße gelten als Lebervenen (plausibel sind {low} bis "
        "{high} %): vermutlich sind ganze Äste falsch benannt. Dünne Äste sind als Pfortader oder Lebervene "
        "gezeigt, Abstände zu ihnen haben ein Fragezeichen; den nächsten bis zum Stamm verfolgen.",
        "{share} % av karene som ses i leveren, ble tatt for levervener ({low} til {high} % er rimelig): "
        "trolig har hele grener feil navn. Tynne grener vises som portvene eller levervene, og avstander til "
        "dem har spørsmålstegn; følg den nærmeste til stammen.",
        "{share} % des vaisseaux vus dans le foie ont été pris pour des veines hépatiques (de {low} à "
        "{high} % sont plausibles) : des branches entières sont probablement mal nommées. Les branches "
        "fines sont montrées comme porte ou hépatique, avec un point d'interrogation à leurs distances ; "
        "suivre la plus proche jusqu'à son tronc.",
    ),
    "{share} % of the vessels seen in the liver were taken for hepatic veins (from {low} % on are "
    "plausible), and without the vena cava it cannot be told why: branches are named wrongly, or the hepatic "
    "veins are not filled with contrast medium (an early phase). No hepatic vein's name is sure, distances "
    "to them have a question mark, and one may lie nearer to a lesion than any vessel shown.": (
        "{share} % der in der Leber gesehenen Gefäße gelten als Lebervenen (plausibel ab {low} %), und ohne "
        "V. cava ist nicht zu sagen, warum: Äste sind falsch benannt, oder die Lebervenen sind noch nicht "
        "kontrastiert (frühe Phase). Keine Lebervene ist sicher benannt, Abstände zu ihnen haben ein "
        "Fragezeichen, und eine kann näher an einer Läsion liegen als jedes gezeigte Gefäß.",
        "{share} % av karene som ses i leveren, ble tatt for levervener (fra {low} % er rimelig), og uten "
        "v. cava kan det ikke sies hvorfor: grener har feil navn, eller levervenene er ikke fylt med "
        "kontrast ennå (en tidlig fase). Ingen levervene har sikkert navn, avstander til dem har "
        "spørsmålstegn, og en kan ligge nærmere en lesjon enn noe vist kar.",
        "{share} % des vaisseaux vus dans le foie ont été pris pour des veines hépatiques (plausible à "
        "partir de {low} %) et, sans la veine cave, la raison reste inconnue : branches mal nommées, ou "
        "veines hépatiques non encore opacifiées (phase précoce). Aucune veine hépatique n'est nommée avec "
        "certitude, leurs distances portent un point d'interrogation, et l'une peut être plus proche d'une "
        "lésion que tout vaisseau montré.",
    ),
    "The hepatic veins do not seem to be filled with contrast medium: hardly any thick vessel runs to the "
    "vena cava ({found} mL; {asked} mL are asked), an early phase. All vessels shown are taken for the "
    "portal vein. Hepatic veins, distances to them and the outflow of a remnant are left out: one may lie "
    "nearer to a lesion than any vessel shown.": (
        "Die Lebervenen sind wohl noch nicht kontrastiert: kaum ein dickes Gefäß zieht zur V. cava "
        "({found} ml; verlangt sind {asked} ml), eine frühe Phase. Alle gezeigten Gefäße gelten als "
        "Pfortader. Lebervenen, Abstände zu ihnen und der Abfluss eines Restes fehlen: eine kann näher an "
        "einer Läsion liegen als jedes gezeigte Gefäß.",
        "Levervenene er trolig ikke fylt med kontrast ennå: knapt noe tykt kar går til v. cava ({found} ml; "
        "{asked} ml kreves), en tidlig fase. Alle viste kar regnes som portvenen. Levervener, avstander til "
        "dem og avløpet fra en rest er utelatt: en kan ligge nærmere en lesjon enn noe vist kar.",
        "Les veines hépatiques ne semblent pas encore opacifiées : presque aucun gros vaisseau ne rejoint la "
        "veine cave ({found} ml ; {asked} ml requis), phase précoce. Tous les vaisseaux montrés sont pris "
        "pour la veine porte. Veines hépatiques, distances à celles-ci et drainage d'un foie restant sont "
        "omis : l'une peut être plus proche d'une lésion que tout vaisseau montré.",
    ),
    "The scan counts as delayed, but its hepatic veins do not seem to be filled with contrast medium, as in "
    "an early phase: one of the two is wrong. Check the phase, and name it where you know it.": (
        "Die Aufnahme gilt als spät, ihre Lebervenen sind aber wohl noch nicht kontrastiert, wie in einer "
        "frühen Phase: Eines von beiden ist falsch. Bitte die Phase prüfen und nennen, wenn sie bekannt ist.",
        "Undersøkelsen regnes som sen fase, men levervenene er trolig ikke fylt med kontrast, som i en "
        "tidlig fase: ett av de to er feil. Kontroller fasen, og oppgi den hvis den er kjent.",
        "L'examen est considéré comme tardif, mais ses veines hépatiques ne semblent pas encore opacifiées, "
        "comme à une phase précoce : l'un des deux est faux. Vérifier la phase et l'indiquer si elle est "
        "connue.",
    ),
    "There is no liver, or too little of it, to tell its segments.": (
        "Es gibt keine Leber oder zu wenig von ihr, um Segmente zu bestimmen.",
        "Det er ingen lever, eller for lite av den, til å bestemme segmenter.",
        "Il n'y a pas de foie, ou trop peu, pour en déterminer les segments.",
    ),
    "Not seen, taken at the usual place, so that segments beside it are less certain: {landmarks}.": (
        "Nicht gesehen und am üblichen Ort angenommen, Segmente daneben sind weniger sicher: {landmarks}.",
        "Ikke sett, satt på vanlig sted, slik at segmenter ved siden av er mindre sikre: {landmarks}.",
        "Non vus, placés à l'endroit habituel, les segments voisins sont moins sûrs : {landmarks}.",
    ),
    "Segment {names} would remain without portal inflow. Look at the vessels.": (
        "Segment {names} verbliebe ohne portalen Zufluss. Gefäße ansehen.",
        "Segment {names} ville bli igjen uten portal tilførsel. Se på karene.",
        "Le segment {names} resterait sans afflux portal. Examiner les vaisseaux.",
    ),
    "Segment {names} would remain without venous outflow. Look at the vessels.": (
        "Segment {names} verbliebe ohne venösen Abfluss. Gefäße ansehen.",
        "Segment {names} ville bli igjen uten venøst avløp. Se på karene.",
        "Le segment {names} resterait sans drainage veineux. Examiner les vaisseaux.",
    ),
    "Portal inflow and venous outflow of the remnant were not judged: its vessels and segments are not "
    "known.": (
        "Portaler Zufluss und venöser Abfluss des Restes wurden nicht beurteilt: seine Gefäße und Segmente "
        "sind nicht bekannt.",
        "Portal tilførsel og venøst avløp for resten er ikke vurdert: karene og segmentene er ikke kjent.",
        "L'afflux portal et le drainage veineux du foie restant n'ont pas été évalués : ses vaisseaux et ses "
        "segments ne sont pas connus.",
    ),
    "The remnant's portal inflow was not judged: no portal vein is shown.": (
        "Der portale Zufluss des Restes wurde nicht beurteilt: keine Pfortader ist gezeigt.",
        "Restens portale tilførsel er ikke vurdert: ingen portvene er vist.",
        "L'afflux portal du foie restant n'a pas été évalué : aucune veine porte n'est montrée.",
    ),
    "The remnant's venous outflow was not judged: no hepatic vein is shown.": (
        "Der venöse Abfluss des Restes wurde nicht beurteilt: keine Lebervene ist gezeigt.",
        "Restens venøse avløp er ikke vurdert: ingen levervene er vist.",
        "Le drainage veineux du foie restant n'a pas été évalué : aucune veine hépatique n'est montrée.",
    ),
    "The portal inflow of segment {names} was not judged: no portal vein was followed into it.": (
        "Der portale Zufluss von Segment {names} wurde nicht beurteilt: kein Pfortaderast ließ sich bis "
        "dorthin verfolgen.",
        "Den portale tilførselen til segment {names} er ikke vurdert: ingen portgren kunne følges dit.",
        "L'afflux portal du segment {names} n'a pas été évalué : aucune branche porte n'a pu y être suivie.",
    ),
    "The venous outflow of segment {names} was not judged: no hepatic vein was followed into it.": (
        "Der venöse Abfluss von Segment {names} wurde nicht beurteilt: keine Lebervene ließ sich bis "
        "dorthin verfolgen.",
        "Det venøse avløpet fra segment {names} er ikke vurdert: ingen levervene kunne følges dit.",
        "Le drainage veineux du segment {names} n'a pas été évalué : aucune veine hépatique n'a pu y être "
        "suivie.",
    ),
}

# Names of landmarks: English as the analysis writes it -> (German, Norwegian, French).
LANDMARKS: Mapping[str, tuple[str, str, str]] = {
    "hepatic vein confluence": ("Lebervenenstern", "levervenenes samløp", "confluent des veines hépatiques"),
    "IVC at the hilum": ("V. cava am Hilus", "v. cava ved hilus", "veine cave au hile"),
    "right hepatic vein, middle": ("rechte Lebervene", "høyre levervene", "veine hépatique droite"),
    "middle hepatic vein, middle": ("mittlere Lebervene", "midtre levervene", "veine hépatique moyenne"),
    "left hepatic vein, middle": ("linke Lebervene", "venstre levervene", "veine hépatique gauche"),
    "gallbladder fossa": ("Gallenblasenbett", "galleblæreleiet", "fosse vésiculaire"),
    "portal bifurcation": ("Pfortadergabel", "portvenens deling", "bifurcation portale"),
    "right portal fork": (
        "Gabel des rechten Pfortaderasts",
        "deling av høyre portgren",
        "division de la branche portale droite",
    ),
    "umbilical portion, bend": (
        "Pars umbilicalis, Knick",
        "pars umbilicalis, knekk",
        "portion ombilicale, coude",
    ),
    "umbilical portion, end": ("Pars umbilicalis, Ende", "pars umbilicalis, ende", "portion ombilicale, fin"),
}
