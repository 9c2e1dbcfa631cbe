"""DeepLesion's reader, on a small folder of exactly its layout."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import SimpleITK as sitk
from LiverLesionAILab.data.deeplesion import load_resampled, load_slices, read_deeplesion
from LiverLesionAILib.support.errors import InputError

COLUMNS = (
    *("File_name", "Patient_index", "Study_index", "Series_ID", "Key_slice_index", "Measurement_coordinates"),
    *("Bounding_boxes", "Lesion_diameters_Pixel_", "Normalized_lesion_location", "Coarse_lesion_type"),
    *("Possibly_noisy", "Slice_range", "Spacing_mm_px_", "Image_size", "DICOM_windows", "Patient_gender"),
    *("Patient_age", "Train_Val_Test"),
)


def lesion(patient, key, box, *, kind=4, noisy=0, part=3, spacing="0.8, 0.8, 5"):
    return {
        "File_name": f"{patient:06d}_01_02_{key:03d}.png",
        "Patient_index": patient,
        "Study_index": 1,
        "Series_ID": 2,
        "Key_slice_index": key,
        "Measurement_coordinates": "1, 2, 3, 4, 5, 6, 7, 8",
        "Bounding_boxes": ", ".join(str(b) for b in box),
        "Lesion_diameters_Pixel_": "12.5, 25.0",
        "Normalized_lesion_location": "0.4, 0.5, 0.6",
        "Coarse_lesion_type": kind,
        "Possibly_noisy": noisy,
        "Slice_range": f"{key - 2}, {key + 3}",
        "Spacing_mm_px_": spacing,
        "Image_size": "16, 16",
        "DICOM_windows": "-160, 240",
        "Patient_gender": "F",
        "Patient_age": 62,
        "Train_Val_Test": part,
    }


def make_deeplesion(root, rows):
    """Slices key - 2 .. key + 3 of every key slice; pixel (y, x) of slice z is 100 z + y HU."""
    for row in rows:
        series = root / "Images_png" / row["File_name"].rsplit("_", 1)[0]
        series.mkdir(parents=True, exist_ok=True)
        key = row["Key_slice_index"]
        for z in range(key - 2, key + 4):
            hu = 100 * z + np.arange(16)[:, None] + np.zeros((16, 16))
            image = sitk.GetImageFromArray((hu + 32768).astype(np.uint16))
            sitk.WriteImage(image, str(series / f"{z:03d}.png"))
    with open(root / "DL_info.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return root


ROWS = [
    lesion(1, 10, (3.5, 4, 9, 12)),
    lesion(1, 10, (1, 1, 5, 5), kind=5),
    lesion(1, 30, (2, 2, 8, 8), kind=7),
    lesion(2, 7, (2, 2, 8, 8), noisy=1),
    lesion(3, 9, (2, 2, 8, 8), part=1, kind=-1),
    lesion(4, 9, (2, 2, 8, 8), part=2, kind=6, spacing="0.5, 0.5, -1.25"),
]


def test_deeplesion(tmp_path):
    make_deeplesion(tmp_path, ROWS)
    test = read_deeplesion(tmp_path, "test")
    assert [k.name for k in test] == ["000001_01_02_010", "000001_01_02_030"]
    key = test[0]
    assert key.patient == "deeplesion-000001"
    # The table counts pixels from 1.
    assert key.boxes_xyxy_px.tolist() == [[2.5, 3, 8, 11], [0, 0, 4, 4]]
    assert key.types == ("LV", "LU")
    assert key.diameters_mm == pytest.approx([20.0, 20.0])
    assert key.short_axes_mm == pytest.approx([10.0, 10.0])
    assert (key.pixel_mm, key.slice_interval_mm, key.split) == (0.8, 5.0, "test")
    (train,) = read_deeplesion(tmp_path, "train")
    (validation,) = read_deeplesion(tmp_path, "validation")
    assert train.types == ("",)
    assert (validation.types, validation.slice_interval_mm) == (("KD",), 1.25)
    assert len(read_deeplesion(tmp_path, "test", keep_noisy=True)) == 3
    # A key slice with a liver lesion keeps its other lesions.
    (liver,) = read_deeplesion(tmp_path, "test", types=("LV",))
    assert len(liver.boxes_xyxy_px) == 2


def test_deeplesion_slices(tmp_path):
    make_deeplesion(tmp_path, ROWS)
    key = read_deeplesion(tmp_path, "test")[0]
    stack = load_slices(key, range(-4, 5))
    assert stack.dtype == np.int16
    # Slices 8..13 are there; the ends are repeated.
    assert stack[:, 0, 0].tolist() == [800, 800, 800, 900, 1000, 1100, 1200, 1300, 1300]
    assert stack[4, :, 3].tolist() == list(range(1000, 1016))
    fine = load_resampled(key, 5, 2.0)
    # 2 mm of slices 5 mm apart, 100 HU a slice.
    assert fine[:, 0, 0] == pytest.approx([920, 960, 1000, 1040, 1080])
    assert load_resampled(key, 3, 5.0)[:, 0, 0] == pytest.approx([900, 1000, 1100])
    (key.folder / "011.png").unlink()
    # Slice 12 beyond a gap is no neighbour.
    assert load_slices(key, (0, 1, 2))[:, 0, 0].tolist() == [1000, 1000, 1000]
    with pytest.raises(InputError, match="give an odd number"):
        load_resampled(key, 4)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("Bounding_boxes", "1, 2, 3", r"line 2: cannot be understood \(Bounding_boxes has 3 numbers"),
        ("Bounding_boxes", "9, 2, 3, 4", "line 2: .*box without area"),
        ("Train_Val_Test", "4", "line 2: .*Train_Val_Test is 4"),
        ("Coarse_lesion_type", "9", "line 2: cannot be understood"),
        ("Spacing_mm_px_", "0.8, 0.8", "line 2: .*Spacing_mm_px_ has 2"),
        ("File_name", "../../secret.png", "line 2: .*File_name is"),
    ],
)
def test_deeplesion_table_mistakes(tmp_path, column, value, message):
    make_deeplesion(tmp_path, [ROWS[0]])
    with open(tmp_path / "DL_info.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerow({**ROWS[0], column: value})
    with pytest.raises(InputError, match=rf"DL_info.csv, {message}"):
        read_deeplesion(tmp_path, "test")


def test_deeplesion_mistakes(tmp_path):
    with pytest.raises(InputError, match=r"DL_info.csv is missing"):
        read_deeplesion(tmp_path, "test")
    with pytest.raises(InputError, match="no split dev"):
        read_deeplesion(tmp_path, "dev")
    make_deeplesion(tmp_path, [ROWS[0], lesion(1, 30, (2, 2, 8, 8), part=1)])
    with pytest.raises(InputError, match="patient 1 is in two parts of the split"):
        read_deeplesion(tmp_path, "test")
    make_deeplesion(tmp_path, [ROWS[0]])
    key = read_deeplesion(tmp_path, "test")[0]
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((16, 16), np.uint8)), str(key.folder / "011.png"))
    with pytest.raises(InputError, match=r"011.png: a DeepLesion slice is a 16-bit grey PNG"):
        load_slices(key, (0, 1))
    (key.folder / "010.png").unlink()
    with pytest.raises(InputError, match=r"010.png is missing"):
        load_slices(key, (0,))
    with pytest.raises(InputError, match=r"010.png is missing, the key slice"):
        read_deeplesion(tmp_path, "test")
    text = (tmp_path / "DL_info.csv").read_text().replace("Possibly_noisy", "noisy")
    (tmp_path / "DL_info.csv").write_text(text)
    with pytest.raises(InputError, match="the column Possibly_noisy is missing"):
        read_deeplesion(tmp_path, "test")
