"""Analyse a CT from Python: ``python analyze_one.py CT CASE_FOLDER``."""

import sys

from LiverLesionAILib import LiverLesionAIError, Settings, analyze, findings_json, read_ct, write_case


def largest_lesion(ct_path: str, case_folder: str) -> dict | None:
    """Analyse, write the case folder, and return the largest lesion as findings.json describes it."""

    def show(stage: str, fraction: float) -> None:
        print(f"{fraction:4.0%}  {stage}", file=sys.stderr)

    volume = read_ct(ct_path)
    case = analyze(volume, Settings(device="cpu", attention=False), progress=show)
    write_case(case, volume, case_folder, pictures=False)
    lesions = findings_json(case)["lesions"]
    return max(lesions, key=lambda lesion: lesion["volume_ml"] or 0, default=None)


if __name__ == "__main__":
    try:
        lesion = largest_lesion(*sys.argv[1:3])
    except LiverLesionAIError as error:
        sys.exit(str(error))  # written for people: what is wrong with which input, and what to do
    if lesion is None:
        print("no lesion")
    else:
        print(
            f"largest lesion: {lesion['long_axis_mm']} mm, {lesion['volume_ml']} mL at {lesion['position']}"
        )
