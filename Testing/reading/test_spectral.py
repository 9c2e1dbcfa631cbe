"""Dual-energy series: maps of materials are refused, other energies are warned of."""

from __future__ import annotations

import numpy as np
import pytest
from LiverLesionAILib.reading import read_ct
from LiverLesionAILib.reading.spectral import energy_doubt, material_map
from LiverLesionAILib.support.errors import InputError
from support.ct_phantom import phantom_hu
from support.dicom_writer import axial_positions, write_series


@pytest.mark.parametrize("description", [
    "Iodine no water", "Abd PV Iodine(Water)", "Z Effective", "Zeff", "Electron Density", "Uric Acid",
    "MD Iodine (HAP)", "Fat map", "PBV", "Water (Iodine)",
])  # fmt: skip
def test_material_maps_are_refused(description):
    assert "map of a material" in material_map(description, ("DERIVED", "PRIMARY"))


@pytest.mark.parametrize("description", [
    "ABDOMEN PV", "Abdomen +C 70 sec", "Leber venoes 5.0 B30f", "MonoE 55keV", "VNC liver iodine removed",
    "iodixanol 320", "Oral water given", "Fatty liver follow-up", "period 3",
])  # fmt: skip
def test_ordinary_descriptions_are_not(description):
    assert material_map(description, ("ORIGINAL", "PRIMARY", "AXIAL")) == ""


@pytest.mark.parametrize(("description", "kv", "said"), [
    ("MonoE 40 keV", 120.0, "40 keV: contrast medium is brighter"),
    ("Mono+ 190keV", None, "190 keV: contrast medium is darker"),
    ("Monoenergetic", None, "unknown energy"),
    ("VNC", 120.0, "virtually unenhanced"),
    ("ABDOMEN PV", 80.0, "80 kV: contrast medium is brighter"),
])  # fmt: skip
def test_other_energies_are_warned_of(description, kv, said):
    assert said in energy_doubt(description, (), kv)


@pytest.mark.parametrize(("description", "kv"), [
    ("MonoE 70keV", 140.0), ("ABDOMEN PV", 120.0), ("ABDOMEN PV", 100.0), ("ABDOMEN PV", 140.0),
    ("ABDOMEN PV", None),
])  # fmt: skip
def test_about_120_kv_says_nothing(description, kv):
    assert energy_doubt(description, ("ORIGINAL", "PRIMARY"), kv) == ""


def series(folder, description, **tags):
    hu = phantom_hu((30, 64, 64))
    write_series(folder, hu, axial_positions(30), description=description, **tags)
    return folder


def test_read_from_files(tmp_path):
    assert any("40 keV" in w for w in read_ct(series(tmp_path / "mono", "MonoE 40keV")).warnings)
    assert any("80 kV" in w for w in read_ct(series(tmp_path / "low", "ABDOMEN", KVP=80)).warnings)
    plain = read_ct(series(tmp_path / "plain", "ABDOMEN PV", KVP=120))
    assert not any("Thresholds" in w for w in plain.warnings)
    with pytest.raises(InputError, match="map of a material"):
        read_ct(series(tmp_path / "iodine", "Iodine map"))
    assert np.isfinite(plain.hu_zyx).all()
