"""Readers of public data sets, on small files of exactly their layout."""

from __future__ import annotations

import csv
import json
import struct

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from LiverLesionAILab.data.deeplesion import load_resampled, load_slices, read_deeplesion
from LiverLesionAILab.data.folders import find_scans, layout_of
from LiverLesionAILab.data.scan import LabelMeaning
from LiverLesionAILab.data.volumes import find_plain
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.ct import reorient
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from support.evaluation_scans import make_ct, make_labels, write_image, write_scan

SERIES = generate_uid()


def write_dicom(path, pixels, z_mm, *, intercept=-1024, spacing=(0.7, 0.8), normal_down=False):
    """One CT slice as a DICOM file; `pixels` are stored values (y, x)."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
    ds.SeriesInstanceUID, ds.Modality, ds.PatientID = SERIES, "CT", "anon"
    ds.Rows, ds.Columns = pixels.shape
    ds.PixelSpacing = list(spacing)
    ds.ImageOrientationPatient = [1, 0, 0, 0, -1, 0] if normal_down else [1, 0, 0, 0, 1, 0]
    ds.ImagePositionPatient = [-10.0, 20.0, z_mm]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
    ds.RescaleIntercept, ds.RescaleSlope = intercept, 1
    ds.PixelData = pixels.astype(np.int16).tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(path, enforce_file_format=True)


# ---------------------------------------------------------------- image files


def make_lits(root):
    for k in (0, 1, 2, 28):
        labels = make_labels(k, 1)
        write_image(root / f"Training Batch {k // 28 + 1}" / f"volume-{k}.nii", make_ct(labels))
        write_image(root / f"Training Batch {k // 28 + 1}" / f"segmentation-{k}.nii", labels)
    return root


def make_msd(root, labels=None):
    for k in (0, 1, 5):
        mask = make_labels(k, 2)
        write_image(root / "imagesTr" / f"liver_{k}.nii.gz", make_ct(mask))
        write_image(root / "labelsTr" / f"liver_{k}.nii.gz", mask.astype(np.float32))
        # What the archive holds of the machine it was packed on.
        (root / "imagesTr" / f"._liver_{k}.nii.gz").write_bytes(b"\0\5\x16\7")
    description = {"name": "Liver", "labels": labels or {"0": "background", "1": "liver", "2": "cancer"}}
    (root / "dataset.json").write_text(json.dumps(description))
    return root


def test_lits(tmp_path):
    scans = find_scans(make_lits(tmp_path))
    assert layout_of(tmp_path) == "lits"
    assert [s.name for s in scans] == ["lits000", "lits001", "lits002", "lits028"]
    assert [s.patient for s in scans] == ["lits-000", "lits-000", "lits-002", "lits-028"]
    scan = scans[2].read()
    assert np.array_equal(scan.labels_zyx, make_labels(2, 1))
    assert np.array_equal(scan.ct.hu_zyx, make_ct(make_labels(2, 1)))
    assert scan.ct.geometry.spacing_zyx_mm == pytest.approx((3.0, 1.5, 1.5))
    assert scan.ct.geometry.origin_lps == pytest.approx((-30.0, 12.0, 400.0))
    assert scan.labels_zyx.dtype == np.uint8


def test_lits_without_a_mask(tmp_path):
    make_lits(tmp_path)
    (tmp_path / "Training Batch 1" / "segmentation-1.nii").unlink()
    with pytest.raises(InputError, match=r"volume-1.nii: its mask segmentation-1.nii is missing"):
        find_scans(tmp_path)


def test_msd(tmp_path):
    scans = find_scans(make_msd(tmp_path))
    assert layout_of(tmp_path) == "msd"
    assert [(s.name, s.patient) for s in scans] == [
        ("liver_0", "lits-000"),
        ("liver_1", "lits-000"),
        ("liver_5", "lits-005"),
    ]
    assert np.array_equal(scans[2].read().labels_zyx, make_labels(5, 2))


def test_msd_of_another_task_is_refused(tmp_path):
    make_msd(tmp_path, {"0": "background", "1": "liver", "2": "vessel"})
    with pytest.raises(InputError, match=r"dataset.json: its labels are .*vessel.* not liver and cancer"):
        find_scans(tmp_path)
    (tmp_path / "dataset.json").write_text("{")
    with pytest.raises(InputError, match=r"dataset.json is damaged"):
        find_scans(tmp_path)


def test_msd_reads_labels_by_their_names(tmp_path):
    make_msd(tmp_path, {"0": "background", "2": "liver", "1": "cancer"})
    labels = find_scans(tmp_path)[2].read().labels_zyx
    assert np.array_equal(labels, np.array([0, 2, 1], np.uint8)[make_labels(5, 2)])


@pytest.mark.parametrize(
    ("ct", "mask", "name"),
    [
        ("a_ct.nii.gz", "a_mask.nii.gz", "a"),
        ("a.nrrd", "a_seg.nrrd", "a"),
        ("a.mha", "a-label.mha", "a"),
        ("images/a.nii.gz", "labels/a.nii.gz", "a"),
        ("images/a_0000.nii.gz", "labels/a.nii.gz", "a"),
        ("images/a.b.nii.gz", "masks/a.b_mask.nrrd", "a.b"),
    ],
)
def test_plain_folders(tmp_path, ct, mask, name):
    labels = make_labels(3, 2)
    write_image(tmp_path / ct, make_ct(labels))
    write_image(tmp_path / mask, labels)
    (scan,) = find_scans(tmp_path)
    assert (scan.name, scan.patient) == (name, name)
    assert np.array_equal(scan.read().labels_zyx, labels)


def test_plain_folder_with_a_table_of_patients(tmp_path):
    for name in ("x", "y", "lits001"):
        write_scan(tmp_path, name, make_labels(1, 1))
    assert [s.patient for s in find_plain(tmp_path)] == ["lits-000", "x", "y"]
    (tmp_path / "patients.csv").write_text("name,patient\nx,P1\ny,P1\n")
    assert [s.patient for s in find_plain(tmp_path)] == ["lits-000", "P1", "P1"]
    (tmp_path / "patients.csv").write_text("a,b\nx,P1\n")
    with pytest.raises(InputError, match=r"patients.csv: expected a table"):
        find_plain(tmp_path)


def test_other_label_values(tmp_path):
    labels = make_labels(1, 2)
    write_scan(tmp_path, "x", labels)
    write_image(tmp_path / "x_mask.nii.gz", np.array([0, 7, 9], np.uint8)[labels])
    meaning = LabelMeaning(liver=(7,), tumour=(), unknown=(9,))
    (scan,) = find_scans(tmp_path, "plain", meaning)
    assert np.array_equal(scan.read().labels_zyx, np.array([0, 1, 255], np.uint8)[labels])


def test_rounded_direction_cosines_are_read(tmp_path):
    """Some LiTS volumes have directions that ITK calls not orthonormal."""
    labels = make_labels(3, 2)
    write_scan(tmp_path, "x", labels)
    for name in ("x_ct", "x_mask"):
        path = write_image(
            tmp_path / f"{name}.nii", sitk.GetArrayFromImage(sitk.ReadImage(tmp_path / f"{name}.nii.gz"))
        )
        (tmp_path / f"{name}.nii.gz").unlink()
        raw = bytearray(path.read_bytes())
        raw[252:254] = struct.pack("<h", 0)  # no qform: the sform decides
        rows = list(struct.unpack_from("<12f", raw, 280))
        rows[1] += 1.5 * 4e-4
        struct.pack_into("<12f", raw, 280, *rows)
        path.write_bytes(raw)
        with pytest.raises(RuntimeError, match="orthonormal"):
            sitk.ReadImage(path)
    scan = find_scans(tmp_path)[0].read()
    assert np.array_equal(scan.labels_zyx, labels)
    assert np.array_equal(scan.ct.hu_zyx, make_ct(labels))
    assert scan.ct.geometry.spacing_zyx_mm == pytest.approx((3.0, 1.5, 1.5), rel=1e-3)


def broken(folder, kind):
    """Spoil a scan; returns the file a message has to name."""
    labels = make_labels(1, 1)
    ct, mask = folder / "x_ct.nii.gz", folder / "x_mask.nii.gz"
    if kind == "no mask":
        mask.unlink()
        return ct, "its mask is missing"
    if kind == "no ct":
        ct.unlink()
        return mask, "its CT is missing"
    if kind == "size":
        write_image(mask, labels[:-1])
        return mask, "48 x 40 x 13 voxels, x_ct.nii.gz has 48 x 40 x 14"
    if kind == "spacing":
        write_image(mask, labels, (3.0, 1.5, 1.4))
        return mask, "spacing, origin or orientation differ"
    if kind == "origin":
        write_image(mask, labels, origin=(-30.0, 12.0, 403.0))
        return mask, "spacing, origin or orientation differ"
    if kind == "label":
        write_image(mask, labels + 1)
        return mask, "unknown label 3"
    if kind == "fractions":
        write_image(mask, labels * np.float32(0.5))
        return mask, "holds fractions"
    if kind == "truncated":
        write_image(folder / "x_mask.nii", labels)
        mask.unlink()
        mask = folder / "x_mask.nii"
        mask.write_bytes(mask.read_bytes()[:-5000])
        return mask, "are missing"
    if kind == "broken gzip":
        mask.write_bytes(mask.read_bytes()[:-40])
        return mask, "damaged or incomplete"
    if kind == "garbage":
        ct.write_bytes(b"not an image")
        return ct, "damaged"
    if kind == "nan":
        ct.unlink()
        ct = write_image(folder / "x_ct.nrrd", np.where(labels > 0, np.nan, -50).astype(np.float32))
        return ct, "some voxels are no numbers"
    write_image(ct, np.zeros(labels.shape, np.int16))
    return ct, "every voxel has the value 0"


@pytest.mark.parametrize(
    "kind",
    [
        "no mask",
        "no ct",
        "size",
        "spacing",
        "origin",
        "label",
        "fractions",
        "truncated",
        "broken gzip",
        "garbage",
        "nan",
        "constant",
    ],
)
def test_one_message_that_names_the_file(tmp_path, kind):
    write_scan(tmp_path, "x", make_labels(1, 1))
    path, reason = broken(tmp_path, kind)
    with pytest.raises(InputError) as caught:
        find_scans(tmp_path)[0].read()
    assert str(caught.value).startswith(str(path))
    assert reason in str(caught.value)


def test_folders_without_data(tmp_path):
    with pytest.raises(InputError, match="no CT with a mask"):
        find_scans(tmp_path)
    with pytest.raises(InputError, match="is no folder"):
        find_scans(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"no volume-N.nii"):
        find_scans(tmp_path, "lits")
    with pytest.raises(InputError, match=r"no patient folder 3Dircadb1.N"):
        find_scans(tmp_path, "ircadb")
    with pytest.raises(InputError, match="no CT/N/DICOM_anon"):
        find_scans(tmp_path, "chaos")
    with pytest.raises(InputError, match="no layout brats"):
        find_scans(tmp_path, "brats")


# ---------------------------------------------------------------- DICOM sets


def make_ircadb(root, n_slices=5):
    """Patient 3 with liver, two tumours, a cyst and another organ's tumour; slice k lies at 100 - 2 k mm."""
    rng = np.random.default_rng(0)
    patient = root / "3Dircadb1.3"
    hu = rng.integers(-200, 200, (n_slices, 12, 10))
    structures = {
        "liver": (slice(1, 4), slice(2, 10), slice(1, 9)),
        "livertumor01": (slice(1, 2), slice(3, 5), slice(2, 4)),
        "livertumors": (slice(2, 3), slice(6, 8), slice(5, 7)),
        "liverkyst": (slice(3, 4), slice(2, 4), slice(6, 8)),
        "leftsurrenaltumor": (slice(0, 5), slice(11, 12), slice(0, 2)),
        "portalvein": (slice(1, 4), slice(5, 6), slice(3, 4)),
    }
    for k in range(n_slices):
        write_dicom(patient / "PATIENT_DICOM" / f"image_{k}", hu[k] + 1024, 100 - 2.0 * k)
    for name, place in structures.items():
        mask = np.zeros(hu.shape, np.int16)
        mask[place] = 255
        for k in range(n_slices):
            write_dicom(patient / "MASKS_DICOM" / name / f"image_{k}", mask[k], 0.0, intercept=0)
    expected = np.zeros(hu.shape, np.uint8)
    for name, value in (("liver", 1), ("livertumor01", 2), ("livertumors", 2), ("liverkyst", 2)):
        expected[structures[name]] = value
    return hu, expected


def test_ircadb(tmp_path):
    hu, expected = make_ircadb(tmp_path)
    (scan,) = find_scans(tmp_path)
    assert (scan.name, scan.patient, scan.data_set) == ("ircadb03", "ircadb03", "3D-IRCADb-01")
    read = scan.read()
    # Stored head first, read feet first.
    assert np.array_equal(read.ct.hu_zyx, hu[::-1])
    assert np.array_equal(read.labels_zyx, expected[::-1])
    assert read.ct.geometry.spacing_zyx_mm == pytest.approx((2.0, 0.7, 0.8))
    assert read.ct.geometry.origin_lps == pytest.approx((-10.0, 20.0, 92.0))


def test_ircadb_unpacks_with_a_second_level_too(tmp_path):
    _, expected = make_ircadb(tmp_path)
    patient = tmp_path / "3Dircadb1.3"
    for name in ("PATIENT_DICOM", "MASKS_DICOM"):
        (patient / name).rename(patient / "moved")
        (patient / name).mkdir()
        (patient / "moved").rename(patient / name / name)
    assert np.array_equal(find_scans(tmp_path)[0].read().labels_zyx, expected[::-1])


def test_ircadb_mistakes(tmp_path):
    make_ircadb(tmp_path)
    patient = tmp_path / "3Dircadb1.3"
    mask = patient / "MASKS_DICOM" / "livertumor01" / "image_2"
    kept = mask.read_bytes()
    mask.unlink()
    with pytest.raises(InputError, match=r"livertumor01/image_2 is missing"):
        find_scans(tmp_path)[0].read()
    mask.write_bytes(kept[:300])
    with pytest.raises(InputError, match="livertumor01/image_2"):
        find_scans(tmp_path)[0].read()
    write_dicom(mask, np.zeros((3, 3)), 0.0)
    with pytest.raises(InputError, match=r"livertumor01/image_2: 3 x 3 pixels, its CT slice 10 x 12"):
        find_scans(tmp_path)[0].read()
    mask.write_bytes(kept)
    (patient / "PATIENT_DICOM" / "image_3").unlink()
    with pytest.raises(InputError, match=r"image_2: 4.00 mm from its neighbour, other slices 2.00 mm"):
        find_scans(tmp_path)[0].read_ct()
    (patient / "MASKS_DICOM" / "liver").rename(patient / "MASKS_DICOM" / "spleen")
    with pytest.raises(InputError, match="a patient needs its liver mask"):
        find_scans(tmp_path)
    (patient / "PATIENT_DICOM").rename(patient / "x")
    (patient / "PATIENT_DICOM.zip").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"PATIENT_DICOM.zip has to be unpacked"):
        find_scans(tmp_path)


def make_chaos(root, n_slices=12):
    """Patient 5; file k lies at 3 k mm, masks are numbered in the order of the file names."""
    rng = np.random.default_rng(1)
    hu = rng.integers(-500, 500, (n_slices, 9, 11))
    liver = rng.random(hu.shape) < 0.3
    for k in range(n_slices):
        # Names sort by number, not by character: i9 before i10.
        write_dicom(
            root / "CT" / "5" / "DICOM_anon" / f"i{k},0000b.dcm", hu[k] + 1200, 3.0 * k, intercept=-1200
        )
        path = root / "CT" / "5" / "Ground" / f"liver_GT_{k:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        sitk.WriteImage(sitk.GetImageFromArray(liver[k].astype(np.uint8) * 255), str(path))
    return hu, liver


def test_chaos(tmp_path):
    hu, liver = make_chaos(tmp_path)
    assert layout_of(tmp_path) == "chaos"
    for folder in (tmp_path, tmp_path / "CT"):
        (scan,) = find_scans(folder, "chaos")
        read = scan.read()
        assert scan.patient == "chaos05"
        assert np.array_equal(read.ct.hu_zyx, hu)
        assert np.array_equal(read.labels_zyx, liver.astype(np.uint8))


def test_chaos_mistakes(tmp_path):
    make_chaos(tmp_path)
    ground = tmp_path / "CT" / "5" / "Ground"
    (ground / "liver_GT_003.png").write_bytes(b"x")
    with pytest.raises(InputError, match=r"liver_GT_003.png cannot be read"):
        find_scans(tmp_path)[0].read()
    (ground / "liver_GT_003.png").unlink()
    with pytest.raises(InputError, match="11 masks for 12 slices"):
        find_scans(tmp_path)[0].read()
    ground.rename(ground.with_name("gone"))
    with pytest.raises(InputError, match="Ground is missing"):
        find_scans(tmp_path)


def test_slices_whose_normal_points_to_the_feet(tmp_path):
    from LiverLesionAILab.data.dicom_slices import read_stack

    rng = np.random.default_rng(0)
    hu = rng.integers(-100, 100, (4, 5, 6))
    paths = [tmp_path / f"{k}.dcm" for k in range(4)]
    for k, path in enumerate(paths):
        write_dicom(path, hu[k] + 1024, -5.0 * k, normal_down=True)
    stack = read_stack(paths, "x")
    assert [path.name for path in stack.paths] == [f"{k}.dcm" for k in range(4)]
    assert np.array_equal(stack.ct.hu_zyx, hu)
    # Row y + 1 lies 0.7 mm further front, slice z + 1 5 mm nearer to the feet.
    point = stack.ct.geometry.index_to_lps((1, 1, 1))
    assert point == pytest.approx((-10.0 + 0.8, 20.0 - 0.7, -5.0))
    upright = reorient(stack.ct)
    assert np.array_equal(upright.hu_zyx, hu[::-1, ::-1])
    assert upright.geometry.index_to_lps((3, 4, 0)) == pytest.approx((-10.0, 20.0, 0.0))
    path = paths[0]
    header = pydicom.dcmread(path)
    del header.PixelSpacing
    header.save_as(path)
    with pytest.raises(InputError, match=r"0.dcm: the DICOM header lacks .* pixel spacing"):
        read_stack(paths, "x")


# ---------------------------------------------------------------- DeepLesion

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


@pytest.mark.real_data
def test_the_real_training_scans():
    """Patients and lesions of the real data, where it is there."""
    from LiverLesionAILab.data.cases import data_folder
    from LiverLesionAILab.metrics.lesions import score_lesions

    try:
        folder = data_folder() / "lits"
        scans = {scan.name: scan for scan in find_scans(folder)}
    except InputError as error:
        pytest.skip(f"no real data: {error}")
    assert len({scan.patient for scan in scans.values()}) == 5
    assert scans["lits000"].patient == scans["lits001"].patient
    for name, n_lesions in (("lits000", 11), ("lits001", 12), ("lits005", 1)):
        labels, geometry = scans[name].read_labels()
        found = score_lesions(labels == 2, labels == 2, geometry.spacing_zyx_mm)
        assert (found.n_lesions, found.n_found, found.n_found_by_iou, found.n_false) == (n_lesions,) * 3 + (
            0,
        )
