"""Sentences on which lesions are listed, and which are not: English, German, Norwegian, French."""

from __future__ import annotations

from collections.abc import Mapping

LESION_SENTENCES: Mapping[str, tuple[str, str, str]] = {
    "Lesion {k} is called a cyst beside {n} metastases: small or necrotic metastases may look alike. "
    "Compare with earlier scans, or MRI.": (
        "Läsion {k} wird neben {n} Metastasen Zyste genannt: Kleine oder nekrotische Metastasen können "
        "ebenso aussehen. Bitte mit Voraufnahmen oder MRT vergleichen.",
        "Lesjon {k} kalles cyste ved siden av {n} metastaser: små eller nekrotiske metastaser kan se "
        "like ut. Sammenlign med tidligere opptak eller MR.",
        "Lésion {k} dite kyste à côté de {n} métastases : de petites métastases ou des métastases "
        "nécrotiques peuvent y ressembler. Comparer aux examens antérieurs ou à l'IRM.",
    ),
    "Lesions {names} are called a cyst beside {n} metastases: small or necrotic metastases may look "
    "alike. Compare with earlier scans, or MRI.": (
        "Läsionen {names} werden neben {n} Metastasen Zyste genannt: Kleine oder nekrotische Metastasen "
        "können ebenso aussehen. Bitte mit Voraufnahmen oder MRT vergleichen.",
        "Lesjonene {names} kalles cyste ved siden av {n} metastaser: små eller nekrotiske metastaser kan"
        " se like ut. Sammenlign med tidligere opptak eller MR.",
        "Lésions {names} dites kystes à côté de {n} métastases : de petites métastases ou des métastases"
        " nécrotiques peuvent y ressembler. Comparer aux examens antérieurs ou à l'IRM.",
    ),
    "Not proposed as a target, though larger, as the earliest scan cuts it at its first or last slice: "
    "lesion {names} of that scan.": (
        "Nicht als Zielläsion vorgeschlagen, obwohl größer, da die früheste Aufnahme sie an ihrer ersten "
        "oder letzten Schicht abschneidet: Läsion {names} dieser Aufnahme.",
        "Ikke foreslått som mållesjon, selv om den er større, fordi det tidligste opptaket kutter den ved "
        "første eller siste snitt: lesjon {names} i det opptaket.",
        "Non proposée comme cible, bien que plus grande, car l'examen le plus ancien la coupe à sa première "
        "ou dernière coupe : lésion {names} de cet examen.",
    ),
    "A target reaches the first or last slice of a scan: it may be larger than measured there, and the sum "
    "with it.": (
        "Eine Zielläsion reicht in einer Aufnahme bis zur ersten oder letzten Schicht: Sie kann dort größer "
        "sein als gemessen, und mit ihr die Summe.",
        "En mållesjon når første eller siste snitt i et opptak: den kan være større enn målt der, og summen "
        "med den.",
        "Une cible atteint la première ou la dernière coupe d'un examen : elle peut y être plus grande que "
        "mesurée, et la somme avec elle.",
    ),
    "No lesion reached the threshold (score {score}, {mm} mm or more).": (
        "Keine Läsion erreichte die Schwelle (Score {score}, mindestens {mm} mm).",
        "Ingen lesjon nådde terskelen (score {score}, minst {mm} mm).",
        "Aucune lésion n'a atteint le seuil (score {score}, au moins {mm} mm).",
    ),
    "No lesion reached the threshold (score {score}, {mm} mm or more); 1 fainter or smaller spot was left "
    "out. Lower the threshold to see it.": (
        "Keine Läsion erreichte die Schwelle (Score {score}, mindestens {mm} mm); 1 schwächere oder kleinere "
        "Stelle wurde weggelassen. Eine niedrigere Schwelle zeigt sie.",
        "Ingen lesjon nådde terskelen (score {score}, minst {mm} mm); 1 svakere eller mindre flekk er "
        "utelatt. En lavere terskel viser den.",
        "Aucune lésion n'a atteint le seuil (score {score}, au moins {mm} mm) ; 1 foyer plus faible ou plus "
        "petit a été écarté. Un seuil plus bas le montre.",
    ),
    "No lesion reached the threshold (score {score}, {mm} mm or more); {n} "
    "fainter or smaller spots were left "
    "out. Lower the threshold to see them.": (
        "Keine Läsion erreichte die Schwelle (Score {score}, mindestens {mm} "
        "mm); {n} schwächere oder kleinere "
        "Stellen wurden weggelassen. Eine niedrigere Schwelle zeigt sie.",
        "Ingen lesjon nådde terskelen (score {score}, minst {mm} mm); {n} svakere eller mindre flekker er "
        "utelatt. En lavere terskel viser dem.",
        "Aucune lésion n'a atteint le seuil (score {score}, au moins {mm} mm) ; {n} foyers plus faibles ou "
        "plus petits ont été écartés. Un seuil plus bas les montre.",
    ),
    "Nothing in the liver reached the lesion threshold of {t}. A lower one shows fainter candidates.": (
        "Nichts in der Leber erreichte die Läsionsschwelle von {t}. Eine niedrigere zeigt schwächere "
        "Kandidaten.",
        "Ingenting i leveren nådde lesjonsterskelen på {t}. En lavere viser svakere kandidater.",
        "Rien dans le foie n'a atteint le seuil de lésion de {t}. Un seuil "
        "plus bas montre des candidats plus "
        "faibles.",
    ),
    "1 region was taken for the gallbladder ({ml} mL) and not listed as a lesion. Look at the segment "
    "Gallbladder if a lesion of its bed or wall is in question.": (
        "1 Bereich wurde für die Gallenblase gehalten ({ml} ml) und nicht als Läsion aufgeführt. Bei Frage "
        "nach einer Läsion ihres Betts oder ihrer Wand das Segment Gallbladder ansehen.",
        "1 område ble tatt for galleblæren ({ml} ml) og ikke ført opp som "
        "lesjon. Se på segmentet Gallbladder "
        "hvis en lesjon i leiet eller veggen er aktuell.",
        "1 région a été prise pour la vésicule biliaire ({ml} ml) et n'est pas listée comme lésion. Regarder "
        "le segment Gallbladder si une lésion de son lit ou de sa paroi est en question.",
    ),
    "{n} regions were taken for the gallbladder ({ml} mL) and not listed as a lesion. Look at the segment "
    "Gallbladder if a lesion of its bed or wall is in question.": (
        "{n} Bereiche wurden für die Gallenblase gehalten ({ml} ml) und nicht "
        "als Läsion aufgeführt. Bei Frage "
        "nach einer Läsion ihres Betts oder ihrer Wand das Segment Gallbladder ansehen.",
        "{n} områder ble tatt for galleblæren ({ml} ml) og ikke ført opp som lesjon. Se på segmentet "
        "Gallbladder hvis en lesjon i leiet eller veggen er aktuell.",
        "{n} régions ont été prises pour la vésicule biliaire ({ml} ml) et ne "
        "sont pas listées comme lésions. "
        "Regarder le segment Gallbladder si une lésion de son lit ou de sa paroi est en question.",
    ),
    "Lesion {which} lies at the gallbladder and cannot be told from it with certainty: it may be a part or a "
    "mass of the gallbladder's wall, or grow from one into the other.": (
        "Läsion {which} liegt an der Gallenblase und ist nicht sicher von ihr zu trennen: Sie kann ein Teil "
        "oder eine Raumforderung ihrer Wand sein oder vom einen ins andere wachsen.",
        "Lesjon {which} ligger ved galleblæren og kan ikke skilles sikkert fra den: den kan være en del av "
        "eller en tumor i veggen, eller vokse fra det ene inn i det andre.",
        "La lésion {which} est au contact de la vésicule biliaire et ne peut "
        "en être distinguée avec certitude "
        ": elle peut être une partie ou une masse de sa paroi, ou s'étendre de l'une à l'autre.",
    ),
    "Lesions {which} lie at the gallbladder and cannot be told from it with certainty: each may be a part or "
    "a mass of the gallbladder's wall, or grow from one into the other.": (
        "Die Läsionen {which} liegen an der Gallenblase und sind nicht sicher von ihr zu trennen: Jede kann "
        "ein Teil oder eine Raumforderung ihrer Wand sein oder vom einen ins andere wachsen.",
        "Lesjonene {which} ligger ved galleblæren og kan ikke skilles sikkert fra den: hver kan være en del "
        "av eller en tumor i veggen, eller vokse fra det ene inn i det andre.",
        "Les lésions {which} sont au contact de la vésicule biliaire et ne peuvent en être distinguées avec "
        "certitude : chacune peut être une partie ou une masse de sa paroi, ou s'étendre de l'une à l'autre.",
    ),
    "Lesion {which} reaches the first or last slice: what lies beyond is not seen, and it may be larger than "
    "measured.": (
        "Läsion {which} reicht bis an die erste oder letzte Schicht: Was jenseits liegt, ist nicht zu sehen, "
        "und sie kann größer sein als gemessen.",
        "Lesjon {which} når første eller siste snitt: det som ligger utenfor, vises ikke, og den kan være "
        "større enn målt.",
        "La lésion {which} atteint la première ou la dernière coupe : la suite n'est pas visible, et elle "
        "peut être plus grande que mesurée.",
    ),
    "The scan ends within the liver, at lesion {which}: the liver's volume is that of the part that is "
    "shown, and there may be more lesions beyond.": (
        "Die Aufnahme endet in der Leber, bei Läsion {which}: Das Volumen der Leber ist das des gezeigten "
        "Teils, und jenseits können weitere Läsionen liegen.",
        "Opptaket slutter i leveren, ved lesjon {which}: leverens volum er av den viste delen, og det kan "
        "være flere lesjoner utenfor.",
        "L'examen s'arrête dans le foie, à la lésion {which} : le volume du foie est celui de la partie "
        "visible, et d'autres lésions peuvent se trouver au-delà.",
    ),
    "Lesions {which} reach the first or last slice: what lies beyond is not seen, and they may be larger "
    "than measured.": (
        "Die Läsionen {which} reichen bis an die erste oder letzte Schicht: Was jenseits liegt, ist nicht zu "
        "sehen, und sie können größer sein als gemessen.",
        "Lesjonene {which} når første eller siste snitt: det som ligger utenfor, vises ikke, og de kan være "
        "større enn målt.",
        "Les lésions {which} atteignent la première ou la dernière coupe : la suite n'est pas visible, et "
        "elles peuvent être plus grandes que mesurées.",
    ),
    "A part of the gallbladder {mm} mm wide is as dense as tissue: a mass in its wall, dense bile or a "
    "collapsed wall. Look at it.": (
        "Ein {mm} mm breiter Teil der Gallenblase ist so dicht wie Gewebe: Raumforderung der Wand, dichte "
        "Galle oder kollabierte Wand. Bitte ansehen.",
        "En {mm} mm bred del av galleblæren er så tett som vev: tumor i veggen, tett galle eller kollabert "
        "vegg. Se på den.",
        "Une partie de la vésicule biliaire large de {mm} mm a la densité d'un "
        "tissu : masse de sa paroi, bile "
        "dense ou paroi collabée. À regarder.",
    ),
    "1 spot that the segmenter alone would have listed was left out, the detector being less sure. A lower "
    "score threshold shows it.": (
        "1 Stelle, die das Segmentierungsnetz allein aufgeführt hätte, wurde weggelassen, weil der Detektor "
        "weniger sicher war. Eine niedrigere Score-Schwelle zeigt sie.",
        "1 flekk som segmenteringen alene ville ført opp, er utelatt fordi detektoren var mindre sikker. En "
        "lavere terskel viser den.",
        "1 foyer que la segmentation seule aurait listé a été écarté, le détecteur étant moins sûr. Un seuil "
        "de score plus bas le montre.",
    ),
    "{n} spots that the segmenter alone would have listed were left out, "
    "the detector being less sure. A lower "
    "score threshold shows them.": (
        "{n} Stellen, die das Segmentierungsnetz allein aufgeführt hätte, wurden weggelassen, weil der "
        "Detektor weniger sicher war. Eine niedrigere Score-Schwelle zeigt sie.",
        "{n} flekker som segmenteringen alene ville ført opp, er utelatt fordi detektoren var mindre sikker. "
        "En lavere terskel viser dem.",
        "{n} foyers que la segmentation seule aurait listés ont été écartés, "
        "le détecteur étant moins sûr. Un "
        "seuil de score plus bas les montre.",
    ),
    "1 lesion was found by the detector only; its outline is a proposal, grown inside the box.": (
        "1 Läsion fand nur der Detektor; ihr Umriss ist ein Vorschlag, im Rahmen gewachsen.",
        "1 lesjon ble bare funnet av detektoren; omrisset er et forslag, vokst inne i rammen.",
        "1 lésion n'a été trouvée que par le détecteur ; son contour est une proposition, construite dans le "
        "cadre.",
    ),
    "{n} lesions were found by the detector only; their outlines are a proposal, grown inside the box.": (
        "{n} Läsionen fand nur der Detektor; ihre Umrisse sind Vorschläge, im Rahmen gewachsen.",
        "{n} lesjoner ble bare funnet av detektoren; omrissene er forslag, vokst inne i rammen.",
        "{n} lésions n'ont été trouvées que par le détecteur ; leurs contours sont des propositions, "
        "construites dans le cadre.",
    ),
    "No lesion reached the threshold. 1 fainter spot was kept aside (score {score}): a lower threshold lists "
    "it.": (
        "Keine Läsion erreichte die Schwelle. 1 schwächere Stelle wurde zurückgestellt (Score {score}): Eine "
        "niedrigere Schwelle führt sie auf.",
        "Ingen lesjon nådde terskelen. 1 svakere flekk er lagt til side (score {score}): en lavere terskel "
        "fører den opp.",
        "Aucune lésion n'a atteint le seuil. 1 foyer plus faible a été mis de côté (score {score}) : un "
        "seuil plus bas le liste.",
    ),
    "No lesion reached the threshold. {n} fainter spots were kept aside (best {score}): a lower threshold "
    "lists them.": (
        "Keine Läsion erreichte die Schwelle. {n} schwächere Stellen wurden zurückgestellt (beste {score}): "
        "Eine niedrigere Schwelle führt sie auf.",
        "Ingen lesjon nådde terskelen. {n} svakere flekker er lagt til side (beste {score}): en lavere "
        "terskel fører dem opp.",
        "Aucune lésion n'a atteint le seuil. {n} foyers plus faibles ont été mis de côté (meilleur {score}) "
        ": un seuil plus bas les liste.",
    ),
}
