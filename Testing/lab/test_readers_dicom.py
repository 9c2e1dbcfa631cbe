"""Readers of public data sets of DICOM slices, on small files of exactly their layout."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from LiverLesionAILab.data.folders import find_scans, layout_of
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.ct import reorient
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

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
