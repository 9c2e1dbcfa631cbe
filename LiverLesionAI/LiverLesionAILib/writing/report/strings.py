"""The report's words in its languages; numbers and dates as each writes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...case.followup_columns import STABLE_CHANGED
from ...case.volume_interval import end_text
from ...case.wording import millilitres, percent_text
from ...support.errors import InputError
from ...support.text import chance
from ...volume.reading_messages import FURTHER_PHASE, SECOND_PHASE
from .anatomy_texts import ANATOMY_WORDS
from .followup_texts import WORDS

LANGUAGES = ("en", "de", "no", "fr")

# key: (English, German, Norwegian, French)
_TABLE: Mapping[str, tuple[str, str, str, str]] = {
    "title": ("Liver CT report", "Leber-CT-Befund", "CT lever, rapport", "Compte rendu de TDM hépatique"),
    "research": (
        "Research use only, not a medical device.",
        "Nur für Forschungszwecke, kein Medizinprodukt.",
        "Kun til forskning, ikke medisinsk utstyr.",
        "Usage réservé à la recherche, pas un dispositif médical.",
    ),
    "draft": (
        "DRAFT, {n} of {m} not reviewed",
        "ENTWURF, {n} von {m} nicht geprüft",
        "UTKAST, {n} av {m} ikke vurdert",
        "BROUILLON, {n} sur {m} non revues",
    ),
    "draft_empty": (
        "DRAFT, no lesion, not confirmed",
        "ENTWURF, keine Läsion, nicht bestätigt",
        "UTKAST, ingen lesjon, ikke bekreftet",
        "BROUILLON, aucune lésion, non confirmé",
    ),
    "patient": ("Patient", "Patient", "Pasient", "Patient"),
    "sticker": (
        "Patient label (place here)",
        "Patientenetikett (hier aufkleben)",
        "Pasientetikett (fest her)",
        "Étiquette du patient (coller ici)",
    ),
    "study_date": ("Study date", "Untersuchungsdatum", "Undersøkelsesdato", "Date de l'examen"),
    "unknown": ("not known", "nicht bekannt", "ikke kjent", "date inconnue"),
    "technique": ("Technique", "Technik", "Teknikk", "Technique"),
    "series": ("Series", "Serie", "Serie", "Série"),
    "phase": ("Contrast phase", "Kontrastmittelphase", "Kontrastfase", "Phase de contraste"),
    "phase_unknown": ("not known", "nicht bekannt", "ikke kjent", "inconnue"),
    "phase_named": (
        "as named by the reader",
        "wie vom Befunder angegeben",
        "som oppgitt av radiologen",
        "comme indiquée par le lecteur",
    ),
    "phase_note": (
        "estimated from the image, probability {p}",
        "aus dem Bild geschätzt, Wahrscheinlichkeit {p}",
        "anslått fra bildet, sannsynlighet {p}",
        "estimée d'après l'image, probabilité {p}",
    ),
    "phase_unsure": (
        "uncertain; estimated from the image, probability {p}",
        "unsicher; aus dem Bild geschätzt, Wahrscheinlichkeit {p}",
        "usikker; anslått fra bildet, sannsynlighet {p}",
        "incertaine ; estimée d'après l'image, probabilité {p}",
    ),
    "slices": (
        "{n} slices of {s} mm",
        "{n} Schichten zu {s} mm",
        "{n} snitt à {s} mm",
        "{n} coupes de {s} mm",
    ),
    "liver": ("Liver", "Leber", "Lever", "Foie"),
    "volume": ("Volume", "Volumen", "Volum", "Volume"),
    "density": ("Density", "Dichte", "Tetthet", "Densité"),
    "gallbladder": ("Gallbladder", "Gallenblase", "Galleblære", "Vésicule biliaire"),
    "burden": ("Tumour burden", "Tumorlast", "Tumorbyrde", "Charge tumorale"),
    "lesion_count": ("Lesions", "Läsionen", "Lesjoner", "Lésions"),
    "sum_of_diameters": (
        "Sum of all long axes (no RECIST sum)",
        "Summe aller Längsdurchmesser (keine RECIST-Summe)",
        "Sum av alle lengste diametre (ingen RECIST-sum)",
        "Somme de tous les grands axes (hors RECIST)",
    ),
    "unit.ml": ("mL", "ml", "ml", "ml"),
    "unit.hu": ("HU", "HU", "HU", "UH"),
    "fat": ("Steatosis", "Verfettung", "Steatose", "Stéatose"),
    "fat_moderate": (
        "{hu} HU is below {cut} HU: at least moderate steatosis likely",
        "{hu} HU liegt unter {cut} HU: mindestens mäßige Verfettung wahrscheinlich",
        "{hu} HU er under {cut} HU: minst moderat steatose sannsynlig",
        "{hu} UH, sous {cut} UH : stéatose au moins modérée probable",
    ),
    "fat_possible": (
        "{hu} HU is between {low} and {cut} HU: moderate steatosis possible",
        "{hu} HU liegt zwischen {low} und {cut} HU: mäßige Verfettung möglich",
        "{hu} HU er mellom {low} og {cut} HU: moderat steatose mulig",
        "{hu} UH, entre {low} et {cut} UH : stéatose modérée possible",
    ),
    "fat_none": (
        "{hu} HU: no sign of moderate steatosis",
        "{hu} HU: kein Hinweis auf mäßige Verfettung",
        "{hu} HU: ingen tegn til moderat steatose",
        "{hu} UH : pas de signe de stéatose modérée",
    ),
    "fat_unknown": (
        "not judged in this phase",
        "in dieser Phase nicht beurteilt",
        "ikke vurdert i denne fasen",
        "non évaluée à cette phase",
    ),
    "fat_doubt": (
        "not judged, as phase or densities are in doubt",
        "nicht beurteilt, da Phase oder Dichten zweifelhaft sind",
        "ikke vurdert, da fase eller tettheter er tvilsomme",
        "non évaluée, phase ou densités étant douteuses",
    ),
    "fat_no_phase": (
        "not judged, as the phase is not known",
        "nicht beurteilt, da die Phase nicht bekannt ist",
        "ikke vurdert, da fasen ikke er kjent",
        "non évaluée, la phase n'étant pas connue",
    ),
    "for_reader": (
        "To be filled in by the reader",
        "Vom Befunder auszufüllen",
        "Fylles ut av radiolog",
        "À remplir par le radiologue",
    ),
    "spleen": ("Spleen", "Milz", "Milt", "Rate"),
    "cirrhosis": ("Signs of cirrhosis", "Zirrhosezeichen", "Tegn til cirrhose", "Signes de cirrhose"),
    "findings": ("Findings", "Befunde", "Funn", "Constatations"),
    "no_lesion": (
        "No lesion was found.",
        "Keine Läsion gefunden.",
        "Ingen lesjon ble funnet.",
        "Aucune lésion.",
    ),
    "number": ("No.", "Nr.", "Nr.", "N°"),
    "class": ("Class (prob.)", "Klasse (Wahrsch.)", "Klasse (sanns.)", "Classe (prob.)"),
    "axes": ("Axes (mm)", "Achsen (mm)", "Akser (mm)", "Axes (mm)"),
    "volume_ml": ("Volume (mL)", "Volumen (ml)", "Volum (ml)", "Volume (ml)"),
    "density_hu": ("Density (HU)", "Dichte (HU)", "Tetthet (HU)", "Densité (UH)"),
    "slice_of": ("slice {n}", "Schicht {n}", "snitt {n}", "coupe {n}"),
    "coronal": ("coronal", "koronar", "koronal", "coronale"),
    "slice": ("Slice", "Schicht", "Snitt", "Coupe"),
    "score": ("Score", "Score", "Score", "Score"),
    "probability": ("Lesion prob.", "Läsion (Wahrsch.)", "Lesjon (sanns.)", "Lésion (prob.)"),
    "decision": ("Reader", "Befunder", "Radiolog", "Radiologue"),
    "undecided": ("not reviewed", "nicht geprüft", "ikke vurdert", "non revue"),
    "accepted": ("confirmed", "bestätigt", "bekreftet", "confirmée"),
    "edited": ("corrected", "korrigiert", "korrigert", "corrigée"),
    "rejected": ("rejected", "verworfen", "avvist", "rejetée"),
    "not_liver": ("not liver", "nicht Leber", "ikke lever", "hors du foie"),
    "treated": ("treated", "behandelt", "behandlet", "traitée"),
    "by_reader": ("by the reader", "vom Befunder", "av radiolog", "par le radiologue"),
    "changes": (
        "Changed by the reader",
        "Vom Befunder geändert",
        "Endret av radiolog",
        "Modifié par le radiologue",
    ),
    "none": ("nothing", "nichts", "ingenting", "rien"),
    "key_images": ("Key images", "Schlüsselbilder", "Nøkkelbilder", "Images clés"),
    "overview": ("Overview", "Übersicht", "Oversikt", "Vue d'ensemble"),
    "warnings": (
        "Warnings and limits",
        "Warnungen und Grenzen",
        "Advarsler og begrensninger",
        "Avertissements et limites",
    ),
    "made_by": ("Made by", "Erstellt mit", "Laget med", "Produit par"),
    "models": ("Models (SHA-256)", "Modelle (SHA-256)", "Modeller (SHA-256)", "Modèles (SHA-256)"),
    "rules": ("Rules", "Regeln", "Regler", "Règles"),
    "intervals": ("Intervals", "Intervalle", "Intervaller", "Intervalles"),
    "intervals_note": (
        "in small type, the range of a long axis or volume; on 29 lesions of 5 patients 26 and 29 true "
        "values lay in it",
        "klein gesetzt, der Bereich eines Längsdurchmessers oder Volumens; bei 29 Läsionen von 5 Patienten "
        "lagen 26 und 29 wahre Werte darin",
        "i liten skrift, området for en lengste diameter eller et volum; for 29 lesjoner hos 5 pasienter lå "
        "26 og 29 sanne verdier i det",
        "en petits caractères, la plage d'un grand axe ou d'un volume ; pour 29 lésions de 5 patients, 26 et "
        "29 valeurs vraies s'y trouvaient",
    ),
    "intervals_reader": (
        "lesion {numbers}: the outline is the reader's, so the interval is not the network's but ± {mm} mm, "
        "by which a second measurement differs",
        "Läsion {numbers}: der Umriss ist vom Befunder, das Intervall daher nicht vom Netz, sondern ± {mm} "
        "mm, um die eine zweite Messung abweicht",
        "lesjon {numbers}: omrisset er leserens, så intervallet er ikke nettverkets, men ± {mm} mm, som en "
        "ny måling avviker med",
        "lésion {numbers} : le contour est du lecteur, l'intervalle n'est donc pas celui du réseau mais "
        "± {mm} mm, l'écart d'une seconde mesure",
    ),
    "conclusion": ("Conclusion", "Beurteilung", "Konklusjon", "Conclusion"),
    "in_english": ("{s}", "(englisch) {s}", "(engelsk) {s}", "(en anglais) {s}"),
    "look_here": (
        "Look here, not listed as lesions (in brackets size and score, which is no probability; where it "
        "reaches the threshold, a rule spoke against a lesion): slice {places}.",
        "Hier nachsehen, nicht als Läsion geführt (in Klammern Größe und Score, der keine Wahrscheinlichkeit "
        "ist; wo er die Schwelle erreicht, sprach eine Regel gegen eine Läsion): Schicht "
        "{places}.",
        "Se her, ikke listet som lesjon (i parentes størrelse og score, som ikke er noen sannsynlighet; der "
        "den når terskelen, talte en regel mot en lesjon): snitt {places}.",
        "À regarder, non listé comme lésion (entre parenthèses la taille et le score, qui n'est pas une "
        "probabilité ; là où il atteint le seuil, une règle parlait contre une lésion) : "
        "coupe {places}.",
    ),
    "fu.stable_changed": (
        STABLE_CHANGED,
        "Stabil genannt trotz Änderung um 20 % und mehr: Läsion {numbers}. Größer heißt +20 % und +5 mm, "
        "kleiner -30 % und -3 mm, beides um mehr als die Intervalle beider Messungen zusammen.",
        "Kalt stabil selv om endret med 20 % og mer: lesjon {numbers}. Større er +20 % og +5 mm, mindre "
        "-30 % og -3 mm, begge mer enn de to målingenes intervaller til sammen.",
        "Dite stable malgré un changement de 20 % et plus : lésion {numbers}. Plus grande : +20 % et +5 "
        "mm, plus petite : -30 % et -3 mm, et au-delà des intervalles des deux mesures ensemble.",
    ),
    "rejected_count": (
        "{n} finding(s) rejected by the reader are not listed.",
        "{n} vom Befunder verworfene(r) Befund(e) nicht aufgeführt.",
        "{n} funn avvist av radiolog er ikke listet.",
        "{n} constatation(s) rejetée(s) par le radiologue, non listée(s).",
    ),
    "phase.unenhanced": ("unenhanced", "nativ", "nativ", "sans injection"),
    "phase.arterial": ("arterial", "arteriell", "arteriell", "artérielle"),
    "phase.portal": ("portal venous", "portalvenös", "portovenøs", "portale"),
    "of_phase": ("Phase {name}", "Phase {name}", "Fase {name}", "Phase {name}"),
    f"of_phase.{SECOND_PHASE}": ("Second phase", "Zweite Phase", "Andre fase", "Seconde phase"),
    f"of_phase.{FURTHER_PHASE}": ("Further phase", "Weitere Phase", "En fase til", "Autre phase"),
    "curve.lesion": ("lesion", "Läsion", "lesjon", "lésion"),
    "curve.liver": ("liver", "Leber", "lever", "foie"),
    "curve.aorta": ("aorta", "Aorta", "aorta", "aorte"),
    "curve.cava": ("vena cava", "V. cava", "v. cava", "veine cave"),
    "curves": ("HU over phases", "HU über die Phasen", "HU over fasene", "UH selon la phase"),
    "phase.delayed": ("delayed", "spät", "sen", "tardive"),
    "class.cyst": ("cyst", "Zyste", "cyste", "kyste"),
    "class.hcc": ("HCC", "HCC", "HCC", "CHC"),
    "class.fnh": ("FNH", "FNH", "FNH", "HNF"),
    "class.haemangioma": ("haemangioma", "Hämangiom", "hemangiom", "hémangiome"),
    "class.metastasis": ("metastasis", "Metastase", "metastase", "métastase"),
    "class.benign": ("benign other", "sonstige benigne", "annen benign", "autre bénigne"),
    "class.indeterminate": ("indeterminate", "unbestimmt", "ubestemt", "indéterminée"),
    **WORDS,
    **ANATOMY_WORDS,
}


@dataclass(frozen=True)
class Language:
    """Words, numbers and dates of one language.

    Raises:
        InputError: no such language.
    """

    code: str = "en"

    def __post_init__(self) -> None:
        if self.code not in LANGUAGES:
            raise InputError(
                f"The report is written in {', '.join(LANGUAGES)}; there is no language {self.code!r}."
            )

    def __call__(self, key: str, **values: object) -> str:
        """The text under a key, its fields filled in; the key's last part where the table lacks it."""
        texts = _TABLE.get(key)
        if texts is None:
            return key.rpartition(".")[2]
        return texts[LANGUAGES.index(self.code)].format(**values)

    def number(self, value: float | None, digits: int = 0) -> str:
        """A number with the language's decimal mark; a dash where there is none."""
        if value is None or value != value:
            return "-"
        text = f"{value:.{digits}f}"
        text = text.lstrip("-") if float(text) == 0 else text
        return text if self.code == "en" else text.replace(".", ",")

    def chance(self, probability: float) -> str:
        """A probability, never 1: ">0,99"."""
        text = chance(probability)
        return text if self.code == "en" else text.replace(".", ",")

    def millilitres(self, volume_ml: float) -> str:
        """A volume, whole from 100 mL on, as tables have it."""
        text = millilitres(volume_ml)
        return text if self.code == "en" else text.replace(".", ",")

    def interval(self, low: float, high: float, digits: int = 0) -> str:
        """ "20-28", "<1-5"; "" where it is not known."""
        if low != low or high != high:
            return ""
        text = f"{end_text(low, digits)}-{end_text(high, digits)}"
        return text if self.code == "en" else text.replace(".", ",")

    def percent(self, value: float) -> str:
        """A share in per cent with a decimal: "<0,1 %" where rounding would make it nothing."""
        text = percent_text(value)
        return text if self.code == "en" else text.replace(".", ",")

    def date(self, dicom_date: str) -> str:
        """A date YYYYMMDD as the language writes it; what is no date stays as it is."""
        if len(dicom_date) != 8 or not dicom_date.isdecimal():
            return dicom_date
        year, month, day = dicom_date[:4], dicom_date[4:6], dicom_date[6:]
        form = {"en": "{y}-{m}-{d}", "fr": "{d}/{m}/{y}"}.get(self.code, "{d}.{m}.{y}")
        return form.format(y=year, m=month, d=day)


def keys() -> tuple[str, ...]:
    """Every key of the table."""
    return tuple(_TABLE)


def texts(key: str) -> tuple[str, ...]:
    """A key's text in every language, in the order of :data:`LANGUAGES`."""
    return _TABLE[key]
