"""LiverLesionAI: liver lesions in CT by published attention networks. Importable without Slicer.

For programs::

    from LiverLesionAILib import Settings, analyze, read_ct, write_case

    volume = read_ct("ct.nii.gz")
    case = analyze(volume, Settings(device="cpu"))
    write_case(case, volume, "case")

=================  =====================================================================================
``read_ct``        file or folder -> CT (:func:`.reading.read_ct`)
``analyze``        CT, or its path -> findings (:func:`.analysis.one_call.analyze`)
``Settings``       what can be chosen (:class:`.analysis.settings.Settings`)
``write_case``     findings and CT -> case folder (:func:`.writing.case_folder.write_case_folder`)
``load_case``      case folder -> findings (:func:`.case.store.load_result`)
``findings_json``  findings -> plain types, by the schema (:func:`.writing.tables.findings_json`)
``findings_schema``  the schema of findings.json (:func:`.writing.schema.findings_schema`)
``LiverLesionAIError``  what all of these raise on purpose; its text is for people
=================  =====================================================================================

They are loaded when they are first used: importing the package costs nothing.
"""

from importlib import import_module as _import_module

__version__ = "0.1.0"

_PLACES = {
    "read_ct": "reading:read_ct",
    "analyze": "analysis.one_call:analyze",
    "Settings": "analysis.settings:Settings",
    "write_case": "writing.case_folder:write_case_folder",
    "load_case": "case.store:load_result",
    "findings_json": "writing.tables:findings_json",
    "findings_schema": "writing.schema:findings_schema",
    "LiverLesionAIError": "support.errors:LiverLesionAIError",
}

__all__ = ["__version__", *_PLACES]


def __getattr__(name: str) -> object:
    """Load what is asked for by its name; AttributeError where there is no such name."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _PLACES[name].split(":")
    return getattr(_import_module(f"{__name__}.{module}"), attribute)


def __dir__() -> list[str]:
    return sorted({*globals(), *_PLACES})
