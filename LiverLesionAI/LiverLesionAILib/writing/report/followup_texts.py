"""The words and sentences of a comparison with earlier scans, in the report's languages."""

from __future__ import annotations

from collections.abc import Mapping

# key: (English, German, Norwegian, French)
WORDS: Mapping[str, tuple[str, str, str, str]] = {
    "follow_up": ("Follow-up", "Verlauf", "Oppfølging", "Suivi"),
    "fu.prior": ("Prior scan", "Voruntersuchung", "Tidligere undersøkelse", "Examen antérieur"),
    "fu.current": ("This scan", "Diese Untersuchung", "Denne undersøkelsen", "Examen actuel"),
    "fu.days": ("Days between", "Tage dazwischen", "Dager imellom", "Jours d'intervalle"),
    "fu.undated": (
        "{name} (date not known)",
        "{name} (Datum nicht bekannt)",
        "{name} (dato ikke kjent)",
        "{name} (date inconnue)",
    ),
    "fu.no_days": (
        "unknown without both dates, and with it how fast lesions grow",
        "ohne beide Daten unbekannt, und damit, wie schnell Läsionen wachsen",
        "ukjent uten begge datoene, og dermed hvor raskt lesjoner vokser",
        "inconnus sans les deux dates, et donc la vitesse de croissance des lésions",
    ),
    "fu.fit": ("Fit of the livers", "Deckung der Lebern", "Leverens samsvar", "Recalage des foies"),
    "fu.fit_value": (
        "Dice {dice}, outlines {gap} mm apart",
        "Dice {dice}, Konturen {gap} mm auseinander",
        "Dice {dice}, konturer {gap} mm fra hverandre",
        "Dice {dice}, contours à {gap} mm",
    ),
    "fu.head.number": ("No.", "Nr.", "Nr.", "N°"),
    "fu.head.prior_number": ("Was", "War", "Var", "Avant"),
    "fu.head.state": ("State", "Zustand", "Status", "État"),
    "fu.head.prior_long_axis": ("Prior mm", "Vorher mm", "Før mm", "Avant mm"),
    "fu.head.long_axis": ("Now mm", "Jetzt mm", "Nå mm", "Actuel mm"),
    "fu.head.change_mm": ("Δ mm", "Δ mm", "Δ mm", "Δ mm"),
    "fu.head.change_percent": ("Δ %", "Δ %", "Δ %", "Δ %"),
    "fu.head.prior_volume": ("Prior mL", "Vorher ml", "Før ml", "Avant ml"),
    "fu.head.volume": ("Now mL", "Jetzt ml", "Nå ml", "Actuel ml"),
    "fu.head.change_ml": ("Δ mL", "Δ ml", "Δ ml", "Δ ml"),
    "fu.head.change_volume_percent": ("Δ vol. %", "Δ Vol. %", "Δ vol. %", "Δ vol. %"),
    "fu.head.doubling_days": ("Doubling, d", "Verdopp., T", "Dobling, d", "Doubl., j"),
    "fu.proposed": ("{state} (proposed)", "{state} (Vorschlag)", "{state} (forslag)", "{state} (proposé)"),
    "fu.target": ("{n} (target)", "{n} (Ziel)", "{n} (mål)", "{n} (cible)"),
    "fu.over_time": (
        "Long axes over time, mm",
        "Längsdurchmesser im Verlauf, mm",
        "Lengste diameter over tid, mm",
        "Grands axes au fil du temps, mm",
    ),
    "fu.lesion": ("Lesion", "Läsion", "Lesjon", "Lésion"),
    "fu.sum": ("Sum of targets", "Summe der Ziele", "Sum av målene", "Somme des cibles"),
    "fu.scan": ("Scan {n}", "Aufnahme {n}", "Opptak {n}", "Examen {n}"),
    "fu.response": (
        "RECIST 1.1: {response} ({word})",
        "RECIST 1.1: {response} ({word})",
        "RECIST 1.1: {response} ({word})",
        "RECIST 1.1 : {response} ({word})",
    ),
    "fu.provisional": ("provisional", "vorläufig", "foreløpig", "provisoire"),
    "fu.confirmed": ("confirmed", "bestätigt", "bekreftet", "confirmé"),
    "fu.no_target": (
        "RECIST 1.1: no target; measurable from 10 mm (twice the slice thickness above 5 mm).",
        "RECIST 1.1: keine Zielläsion; messbar ab 10 mm (über 5 mm ab der doppelten Schichtdicke).",
        "RECIST 1.1: ingen mållesjon; målbar fra 10 mm (over 5 mm fra to ganger snittykkelsen).",
        "RECIST 1.1 : pas de cible ; mesurable dès 10 mm (deux fois l'épaisseur de coupe au-delà de 5 mm).",
    ),
    "fu.or": (" or ", " oder ", " eller ", " ou "),
    "fu.uncertain": (
        "Uncertain, by the measurements' intervals: {possible}.",
        "Unsicher nach den Intervallen der Messungen: {possible}.",
        "Usikkert etter målingenes intervaller: {possible}.",
        "Incertain, selon les intervalles des mesures : {possible}.",
    ),
    "fu.uncertain_open": (
        "Uncertain, by the measurements' intervals and by what is not confirmed: {possible}.",
        "Unsicher nach den Intervallen der Messungen und wegen Unbestätigtem: {possible}.",
        "Usikkert etter målingenes intervaller og det som ikke er bekreftet: {possible}.",
        "Incertain, selon les intervalles des mesures et ce qui n'est pas confirmé : {possible}.",
    ),
    "fu.why": (
        "Provisional: {why}.",
        "Vorläufig: {why}.",
        "Foreløpig: {why}.",
        "Provisoire : {why}.",
    ),
    "fu.volume": (
        "Volume of the targets in the liver: {p} % from the baseline.",
        "Volumen der Zielläsionen der Leber: {p} % gegenüber dem Ausgangswert.",
        "Volum av leverens mållesjoner: {p} % fra utgangspunktet.",
        "Volume des cibles hépatiques : {p} % par rapport au départ.",
    ),
    "fu.elsewhere": (
        "Targets outside of the liver, mm: {targets}.",
        "Zielläsionen außerhalb der Leber, mm: {targets}.",
        "Mållesjoner utenfor leveren, mm: {targets}.",
        "Cibles extra-hépatiques, mm : {targets}.",
    ),
    "fu.node": (
        "lymph node (short axis)",
        "Lymphknoten (kurze Achse)",
        "lymfeknute (kort akse)",
        "ganglion (petit axe)",
    ),
    "fu.choi": (
        "Choi (GIST): {response}; size {size} %, density {density} %.",
        "Choi (GIST): {response}; Größe {size} %, Dichte {density} %.",
        "Choi (GIST): {response}; størrelse {size} %, tetthet {density} %.",
        "Choi (GIST) : {response} ; taille {size} %, densité {density} %.",
    ),
    "fu.mrecist": (
        "mRECIST (HCC): {response}; longest diameter enhancing in the arterial phase, mm: {sizes}.",
        "mRECIST (HCC): {response}; längster arteriell anreichernder Durchmesser, mm: {sizes}.",
        "mRECIST (HCC): {response}; lengste diameter med arteriell oppladning, mm: {sizes}.",
        "mRECIST (CHC) : {response} ; plus grand diamètre rehaussé au temps artériel, mm : {sizes}.",
    ),
    "fu.whose": (
        "{prior} and {current}: {s}",
        "{prior} und {current}: {s}",
        "{prior} og {current}: {s}",
        "{prior} et {current} : {s}",
    ),
    "fu.wide_now": (
        "Lesion {n} is one outline of {ml} mL round lesions {others} of the prior scan, {others_ml} mL "
        "together: drawn too wide, or grown together. Check the outline.",
        "Läsion {n} ist eine Kontur von {ml} ml um die Läsionen {others} der Voruntersuchung, zusammen "
        "{others_ml} ml: zu weit gezogen oder zusammengewachsen. Kontur prüfen.",
        "Lesjon {n} er én kontur på {ml} ml rundt lesjonene {others} i den tidligere undersøkelsen, til "
        "sammen {others_ml} ml: trukket for vidt, eller vokst sammen. Kontroller konturen.",
        "La lésion {n} est un seul contour de {ml} ml autour des lésions {others} de l'examen antérieur, "
        "{others_ml} ml ensemble : tracé trop large, ou lésions confluentes. Vérifier le contour.",
    ),
    "fu.wide_prior": (
        "Lesion {n} of the prior scan is one outline of {ml} mL round lesions {others}, {others_ml} mL "
        "together: drawn too wide, or shrunk apart. Check the outline.",
        "Läsion {n} der Voruntersuchung ist eine Kontur von {ml} ml um die Läsionen {others}, zusammen "
        "{others_ml} ml: zu weit gezogen oder auseinandergeschrumpft. Kontur prüfen.",
        "Lesjon {n} i den tidligere undersøkelsen er én kontur på {ml} ml rundt lesjonene {others}, til "
        "sammen {others_ml} ml: trukket for vidt, eller krympet fra hverandre. Kontroller konturen.",
        "La lésion {n} de l'examen antérieur est un seul contour de {ml} ml autour des lésions {others}, "
        "{others_ml} ml ensemble : tracé trop large, ou lésions séparées en rétrécissant. Vérifier le "
        "contour.",
    ),
    "fu.joined_now": (
        "Lesion {n} is one outline round lesions {others} of the prior scan. Split between them its parts "
        "measure ({parts}): a proposal, nothing was split.",
        "Läsion {n} ist eine Kontur um die Läsionen {others} der Voruntersuchung. Dazwischen geteilt messen "
        "ihre Teile ({parts}): ein Vorschlag, nichts wurde geteilt.",
        "Lesjon {n} er én kontur rundt lesjonene {others} i den tidligere undersøkelsen. Delt mellom dem "
        "måler delene ({parts}): et forslag, ingenting er delt.",
        "La lésion {n} est un seul contour autour des lésions {others} de l'examen antérieur. Séparées entre "
        "elles, ses parties mesurent ({parts}) : une proposition, rien n'a été séparé.",
    ),
    "fu.joined_prior": (
        "Lesion {n} of the prior scan is one outline round lesions {others} of this scan. Split between them "
        "its parts measure ({parts}): a proposal, nothing was split.",
        "Läsion {n} der Voruntersuchung ist eine Kontur um die Läsionen {others} dieser Untersuchung. "
        "Dazwischen geteilt messen ihre Teile ({parts}): ein Vorschlag, nichts wurde geteilt.",
        "Lesjon {n} i den tidligere undersøkelsen er én kontur rundt lesjonene {others} i denne. Delt mellom "
        "dem måler delene ({parts}): et forslag, ingenting er delt.",
        "La lésion {n} de l'examen antérieur est un seul contour autour des lésions {others} de cet examen. "
        "Séparées entre elles, ses parties mesurent ({parts}) : une proposition, rien n'a été séparé.",
    ),
    "fu.plot": (
        "Targets over time", "Zielläsionen im Verlauf", "Mållesjoner over tid", "Cibles au fil du temps",
    ),
    "fu.plot.lines": (
        "Change from the baseline, %",
        "Änderung vom Ausgangswert, %",
        "Endring fra utgangspunktet, %",
        "Variation depuis le départ, %",
    ),
    "fu.plot.bars": ("Until now, %", "Bis jetzt, %", "Til nå, %", "À ce jour, %"),
    "fu.plot.sum": ("sum", "Summe", "sum", "somme"),
    "fu.plot.partial": ("partial response", "Teilremission", "partiell respons", "réponse partielle"),
    "fu.plot.progression": ("progression", "Progression", "progresjon", "progression"),
    "state.new": ("new", "neu", "ny", "nouvelle"),
    "state.gone": ("gone", "verschwunden", "borte", "disparue"),
    "state.grown": ("grown", "größer", "større", "plus grande"),
    "state.shrunk": ("shrunk", "kleiner", "mindre", "plus petite"),
    "state.stable": ("stable", "stabil", "stabil", "stable"),
    "state.merged": ("merged", "verschmolzen", "smeltet sammen", "fusionnée"),
    "state.split": ("split", "geteilt", "delt", "divisée"),
    "state.treated": ("treated", "behandelt", "behandlet", "traitée"),
    "state.not covered": ("not covered", "nicht erfasst", "ikke dekket", "non couverte"),
    "state.resected": ("resected", "reseziert", "reseksert", "réséquée"),
    "state.faint in one scan": (
        "faint in one scan", "in einer Aufnahme schwach", "svak i ett opptak", "faible sur un examen",
    ),
    "response.complete response": (
        "complete response", "Vollremission", "komplett respons", "réponse complète",
    ),
    "response.partial response": (
        "partial response", "Teilremission", "partiell respons", "réponse partielle",
    ),
    "response.stable disease": ("stable disease", "stabile Erkrankung", "stabil sykdom", "maladie stable"),
    "response.progressive disease": (
        "progressive disease", "Progression", "progressiv sykdom", "maladie progressive",
    ),
    "response.not evaluable": ("not evaluable", "nicht beurteilbar", "ikke evaluerbar", "non évaluable"),
    "response.neither complete response nor progression": (
        "neither complete response nor progression",
        "weder Vollremission noch Progression",
        "verken komplett respons eller progresjon",
        "ni réponse complète ni progression",
    ),
    "non_target.all gone": ("all gone", "alle verschwunden", "alle borte", "toutes disparues"),
    "non_target.at least one persists": (
        "at least one persists",
        "mindestens eine besteht fort",
        "minst én består",
        "au moins une persiste",
    ),
    "non_target.unequivocal progression": (
        "unequivocal progression",
        "eindeutige Progression",
        "utvetydig progresjon",
        "progression sans équivoque",
    ),
    "non_target.not evaluated": ("not evaluated", "nicht beurteilt", "ikke evaluert", "non évaluées"),
}  # fmt: skip

# English as the comparison writes it: (German, Norwegian, French); fields as in `sentences`.
FOLLOW_UP_SENTENCES: Mapping[str, tuple[str, str, str]] = {
    "Sum now {now} mm, baseline {baseline} mm, nadir {nadir} mm.": (
        "Summe jetzt {now} mm, Ausgangswert {baseline} mm, Nadir {nadir} mm.",
        "Sum nå {now} mm, utgangspunkt {baseline} mm, nadir {nadir} mm.",
        "Somme actuelle {now} mm, départ {baseline} mm, nadir {nadir} mm.",
    ),
    "{change} % from the baseline (partial response from {cut} %).": (
        "{change} % gegenüber dem Ausgangswert (Teilremission ab {cut} %).",
        "{change} % fra utgangspunktet (partiell respons fra {cut} %).",
        "{change} % par rapport au départ (réponse partielle dès {cut} %).",
    ),
    "{share} %, {rise} mm from the nadir (progression from {cut} % and {mm} mm).": (
        "{share} %, {rise} mm gegenüber dem Nadir (Progression ab {cut} % und {mm} mm).",
        "{share} %, {rise} mm fra nadir (progresjon fra {cut} % og {mm} mm).",
        "{share} %, {rise} mm par rapport au nadir (progression dès {cut} % et {mm} mm).",
    ),
    "{rise} mm from the nadir (progression from {cut} % and {mm} mm).": (
        "{rise} mm gegenüber dem Nadir (Progression ab {cut} % und {mm} mm).",
        "{rise} mm fra nadir (progresjon fra {cut} % og {mm} mm).",
        "{rise} mm par rapport au nadir (progression dès {cut} % et {mm} mm).",
    ),
    "A target is treated or not covered by the scan: without it the sum is not whole.": (
        "Eine Zielläsion ist behandelt oder nicht erfasst: Ohne sie ist die Summe nicht vollständig.",
        "En mållesjon er behandlet eller ikke dekket av opptaket: uten den er summen ikke fullstendig.",
        "Une cible est traitée ou non couverte par l'examen : sans elle, la somme est incomplète.",
    ),
    "RECIST 1.1 takes {most} targets in one organ and {all} in all at most: here are {own} in the liver and "
    "{other} elsewhere.": (
        "RECIST 1.1 nimmt höchstens {most} Zielläsionen je Organ und {all} insgesamt: Hier sind es {own} in "
        "der Leber und {other} außerhalb.",
        "RECIST 1.1 tar høyst {most} mållesjoner per organ og {all} i alt: her er det {own} i leveren og "
        "{other} utenfor.",
        "RECIST 1.1 retient au plus {most} cibles par organe et {all} en tout : ici {own} dans le foie et "
        "{other} ailleurs.",
    ),
    "A target is smaller at the baseline than RECIST 1.1 measures: {least} mm here, {node} mm short axis of "
    "a lymph node.": (
        "Eine Zielläsion ist zu Beginn kleiner, als RECIST 1.1 misst: hier {least} mm, kurze Achse eines "
        "Lymphknotens {node} mm.",
        "En mållesjon er ved utgangspunktet mindre enn RECIST 1.1 måler: her {least} mm, kort akse av en "
        "lymfeknute {node} mm.",
        "Une cible est au départ plus petite que ce que mesure RECIST 1.1 : ici {least} mm, petit axe d'un "
        "ganglion {node} mm.",
    ),
    "Targets: {response}.": (
        "Zielläsionen: {response}.", "Mållesjoner: {response}.", "Cibles : {response}.",
    ),
    "Non-targets: {non_target}.": (
        "Übrige Läsionen: {non_target}.", "Øvrige lesjoner: {non_target}.", "Non-cibles : {non_target}.",
    ),
    "New lesion.": ("Neue Läsion.", "Ny lesjon.", "Nouvelle lésion."),
    "Overall: {response}.": ("Insgesamt: {response}.", "Samlet: {response}.", "Globalement : {response}."),
    "lesions of the prior scan are not reviewed": (
        "Läsionen der Voruntersuchung sind nicht geprüft",
        "lesjoner i den tidligere undersøkelsen er ikke vurdert",
        "les lésions de l'examen antérieur ne sont pas revues",
    ),
    "lesions of the current scan are not reviewed": (
        "Läsionen dieser Untersuchung sind nicht geprüft",
        "lesjoner i denne undersøkelsen er ikke vurdert",
        "les lésions de l'examen actuel ne sont pas revues",
    ),
    "new, gone or resected lesions are not confirmed": (
        "neue, verschwundene oder resezierte Läsionen sind nicht bestätigt",
        "nye, forsvunne eller resekserte lesjoner er ikke bekreftet",
        "les lésions nouvelles, disparues ou réséquées ne sont pas confirmées",
    ),
    "an outline round several lesions is not checked": (
        "eine Kontur um mehrere Läsionen ist nicht geprüft",
        "en kontur rundt flere lesjoner er ikke kontrollert",
        "un contour autour de plusieurs lésions n'est pas vérifié",
    ),
    "the scans could not be brought into line": (
        "die Aufnahmen ließen sich nicht zur Deckung bringen",
        "opptakene lot seg ikke bringe i samsvar",
        "les examens n'ont pas pu être recalés",
    ),
    "Lesions could not be paired: the livers do not fit (Dice {dice}, outlines {gap} mm apart). Is it the "
    "same patient?": (
        "Läsionen ließen sich nicht zuordnen: Die Lebern passen nicht zueinander (Dice {dice}, Konturen "
        "{gap} mm auseinander). Ist es derselbe Patient?",
        "Lesjonene kunne ikke pares: leverne passer ikke (Dice {dice}, konturer {gap} mm fra hverandre). Er "
        "det samme pasient?",
        "Les lésions n'ont pas pu être appariées : les foies ne concordent pas (Dice {dice}, contours à "
        "{gap} mm). Est-ce le même patient ?",
    ),
    "Lesions could not be paired: one of the scans has no liver. Is it the same patient?": (
        "Läsionen ließen sich nicht zuordnen: Eine der Aufnahmen zeigt keine Leber. Ist es derselbe Patient?",
        "Lesjonene kunne ikke pares: et av opptakene har ingen lever. Er det samme pasient?",
        "Les lésions n'ont pas pu être appariées : l'un des examens n'a pas de foie. Est-ce le même patient "
        "?",
    ),
    "The livers fit badly (Dice {dice} unbent): another patient, a resection, or much has changed. Check the "
    "pairs.": (
        "Die Lebern passen schlecht zueinander (Dice {dice} ungebogen): anderer Patient, Resektion, oder "
        "vieles hat sich geändert. Zuordnung prüfen.",
        "Leverne passer dårlig (Dice {dice} uten bøyning): en annen pasient, reseksjon, eller mye er endret. "
        "Kontroller parene.",
        "Les foies concordent mal (Dice {dice} sans déformation) : autre patient, résection, ou grand "
        "changement. Vérifier l'appariement.",
    ),
    "Where the prior scan's lesion(s) {names} lay, this scan has no liver any more, as after a resection: "
    "they count as resected, which is no response.": (
        "Wo Läsion(en) {names} der Voruntersuchung lag(en), ist jetzt keine Leber mehr, wie nach einer "
        "Resektion: Sie gelten als reseziert, was kein Ansprechen ist.",
        "Der lesjon(er) {names} i forrige undersøkelse lå, er det ikke lenger lever, som etter en "
        "reseksjon: de regnes som reseksert, som ikke er respons.",
        "Là où se trouvai(en)t la ou les lésions {names} de l'examen antérieur, il n'y a plus de foie, "
        "comme après une résection : elles comptent comme réséquées, ce qui n'est pas une réponse.",
    ),
    "Both are the same scan: it is compared with itself.": (
        "Beide sind dieselbe Aufnahme: Sie wird mit sich selbst verglichen.",
        "Begge er samme opptak: det sammenlignes med seg selv.",
        "Les deux sont le même examen : il est comparé à lui-même.",
    ),
    "The prior scan is younger than the current one. Are they the wrong way round?": (
        "Die Voruntersuchung ist jünger als die jetzige. Sind sie vertauscht?",
        "Den tidligere undersøkelsen er nyere enn denne. Er de byttet om?",
        "L'examen antérieur est plus récent que l'actuel. Sont-ils inversés ?",
    ),
    "mRECIST is not given: it takes the arterial phase, and of {names} it is not known to be that.": (
        "mRECIST wird nicht angegeben: Es gilt für die arterielle Phase, und von {names} ist nicht bekannt, "
        "dass es diese ist.",
        "mRECIST gis ikke: det gjelder arteriell fase, og av {names} er det ikke kjent at det er den.",
        "mRECIST n'est pas donné : il vaut au temps artériel, et de {names} on ne sait pas si c'est le cas.",
    ),
    "Choi's criteria are not given: they compare densities, and {name} looks {phase}, {name_now} "
    "{phase_now}.": (
        "Die Kriterien nach Choi werden nicht angegeben: Sie vergleichen Dichten, und {name} wirkt {phase}, "
        "{name_now} {phase_now}.",
        "Chois kriterier gis ikke: de sammenligner tettheter, og {name} ser {phase} ut, {name_now} "
        "{phase_now}.",
        "Les critères de Choi ne sont pas donnés : ils comparent des densités, et {name} paraît de phase "
        "{phase}, {name_now} de phase {phase_now}.",
    ),
    "The prior scan looks {phase}, the current one {phase_now}: lesions can look larger or smaller, appear "
    "or vanish, by the phase alone.": (
        "Die Voruntersuchung wirkt {phase}, die jetzige {phase_now}: Läsionen können allein durch die Phase "
        "größer oder kleiner wirken, auftreten oder verschwinden.",
        "Den tidligere undersøkelsen ser {phase} ut, denne {phase_now}: lesjoner kan se større eller mindre "
        "ut, dukke opp eller forsvinne bare på grunn av fasen.",
        "L'examen antérieur paraît de phase {phase}, l'actuel {phase_now} : des lésions peuvent paraître "
        "plus grandes ou plus petites, apparaître ou disparaître du seul fait de la phase.",
    ),
    "The scans name different patients: {names} differ.": (
        "Die Aufnahmen nennen verschiedene Patienten: {names} weichen ab.",
        "Opptakene navngir ulike pasienter: {names} er forskjellige.",
        "Les examens nomment des patients différents : {names} diffèrent.",
    ),
    "The scans name different patients: {names} differs.": (
        "Die Aufnahmen nennen verschiedene Patienten: {names} weicht ab.",
        "Opptakene navngir ulike pasienter: {names} er forskjellig.",
        "Les examens nomment des patients différents : {names} diffère.",
    ),
    "Not every earlier scan has a date: they were taken in the order given, the latest first.": (
        "Nicht jede frühere Aufnahme hat ein Datum: Sie wurden in der angegebenen Reihenfolge genommen, die "
        "jüngste zuerst.",
        "Ikke alle tidligere opptak har dato: de ble tatt i den oppgitte rekkefølgen, nyeste først.",
        "Tous les examens antérieurs n'ont pas de date : ils ont été pris dans l'ordre donné, le plus récent "
        "en premier.",
    ),
    "The earlier scans were put into the order of their dates, which is not the order given.": (
        "Die früheren Aufnahmen wurden nach ihrem Datum geordnet, anders als angegeben.",
        "De tidligere opptakene ble ordnet etter dato, ikke som oppgitt.",
        "Les examens antérieurs ont été classés par date, et non dans l'ordre donné.",
    ),
    "The follow-up of this case was made before its findings changed, and is left out. Compare the scans "
    "again.": (
        "Der Verlauf dieses Falls wurde vor einer Änderung der Befunde erstellt und ist weggelassen. Die "
        "Aufnahmen erneut vergleichen.",
        "Oppfølgingen av dette tilfellet ble laget før funnene ble endret, og er utelatt. Sammenlign "
        "opptakene på nytt.",
        "Le suivi de ce cas a été établi avant la modification des constatations et n'est pas repris. "
        "Comparer à nouveau les examens.",
    ),
}  # fmt: skip
