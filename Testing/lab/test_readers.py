"""Readers of public data sets of image files, on small ones of exactly their layout."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
import SimpleITK as sitk
from LiverLesionAILab.data.folders import find_scans, layout_of
from LiverLesionAILab.data.scan import LabelMeaning
from LiverLesionAILab.data.volumes import find_plain
from LiverLesionAILib.support.errors import InputError
from support.evaluation_scans import make_ct, make_labels, write_image, write_scan


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
