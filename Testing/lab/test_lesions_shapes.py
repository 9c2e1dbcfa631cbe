"""Outlines: from masks, from noise, put onto a scan; and the noise model."""

from __future__ import annotations

import json

import numpy as np
import pytest
from LiverLesionAILab.synthesis.shapes import (
    ShapeBank,
    placed_depth,
    procedural_shape,
    random_rotation,
    shape_from_mask,
)
from LiverLesionAILab.synthesis.texture import NoiseModel, measure_noise, smooth_noise
from LiverLesionAILib.support.errors import InputError
from scipy import ndimage


def ellipsoid(shape, spacing, radii):
    axes = [(np.arange(n) - (n - 1) / 2) * s / r for n, s, r in zip(shape, spacing, radii, strict=True)]
    z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)
    return z**2 + y**2 + x**2 < 1


def write_bank(folder, masks):
    arrays, entries = {}, []
    for key, (mask, spacing, organ) in masks.items():
        arrays[key + "_bits"] = np.packbits(mask)
        entries.append(
            {
                "key": key,
                "shape_zyx": list(mask.shape),
                "spacing_zyx_mm": list(spacing),
                "equivalent_diameter_mm": 10.0,
                "organ": organ,
            }
        )
    np.savez(folder / "bank.npz", **arrays)
    (folder / "bank.json").write_text(json.dumps(entries))
    return folder / "bank.npz"


@pytest.fixture
def bank_file(tmp_path):
    return write_bank(
        tmp_path,
        {
            "a_01": (ellipsoid((14, 30, 30), (1, 1, 1), (5, 10, 10)), (1.0, 1.0, 1.0), "liver"),
            "b_01": (ellipsoid((8, 40, 40), (5, 0.7, 0.7), (15, 12, 12)), (5.0, 0.7, 0.7), "liver"),
            "c_01": (np.ones((2, 3, 3), bool), (1.0, 1.0, 1.0), "any"),
        },
    )


@pytest.mark.parametrize(
    ("diameter", "spacing"), [(12.0, (2.5, 1.25, 1.25)), (30.0, (1.0, 0.7, 0.7)), (60.0, (5.0, 1.5, 1.5))]
)
@pytest.mark.parametrize("seed", range(4))
def test_placed_outline_has_the_diameter_asked_for(diameter, spacing, seed):
    rng = np.random.default_rng(seed)
    shape = procedural_shape(rng)
    box = tuple(int(2.6 * diameter / s) | 1 for s in spacing)
    depth = placed_depth(shape, diameter, random_rotation(rng), (np.array(box) - 1) / 2, box, spacing)
    volume = (depth > 0).sum() * np.prod(spacing)
    assert (6 / np.pi * volume) ** (1 / 3) == pytest.approx(diameter, rel=0.08)
    assert ndimage.label(depth > 0.1 * diameter)[1] >= 1
    # Centred: the centroid is the centre asked for.
    centroid = np.array([w.mean() for w in np.nonzero(depth > 0)])
    np.testing.assert_allclose((centroid - (np.array(box) - 1) / 2) * spacing, 0, atol=0.08 * diameter)


def test_depth_is_a_distance_in_mm():
    mask = ellipsoid((40, 40, 40), (1, 1, 1), (12, 12, 12))
    shape = shape_from_mask(mask, (1.0, 1.0, 1.0))
    depth = placed_depth(shape, 48.0, np.eye(3), np.full(3, 30.0), (61, 61, 61), (1.0, 1.0, 1.0))
    grid = np.sqrt(sum((g - 30.0) ** 2 for g in np.meshgrid(*[np.arange(61)] * 3, indexing="ij")))
    near = (grid > 14) & (grid < 30)
    np.testing.assert_allclose(depth[near], (24.0 - grid)[near], atol=1.8)


def test_axis_ratios_survive_thick_slices():
    spacing = (5.0, 0.7, 0.7)
    shape = shape_from_mask(ellipsoid((9, 60, 60), spacing, (18, 9, 9)), spacing)
    inside = np.argwhere(shape.depth > 0)
    extent = (inside.max(axis=0) - inside.min(axis=0) + 1).astype(float)
    assert extent[0] / extent[1] == pytest.approx(2.0, rel=0.25)
    assert extent[1] == pytest.approx(extent[2], abs=2)


def test_rotation_is_orthogonal_and_sometimes_mirrors():
    rng = np.random.default_rng(0)
    signs = []
    for _ in range(40):
        rotation = random_rotation(rng)
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
        signs.append(np.sign(np.linalg.det(rotation)))
    assert set(signs) == {-1.0, 1.0}


class TestBank:
    def test_reads_the_organ_wanted_and_leaves_out_patients(self, bank_file):
        assert list(ShapeBank.load(bank_file).keys) == ["a_01", "b_01"]
        assert list(ShapeBank.load(bank_file, exclude=("a_",)).keys) == ["b_01"]
        assert len(ShapeBank.load(bank_file, organs=())) == 3
        assert len(ShapeBank.load(bank_file, most=1)) == 1

    def test_draws_outlines_of_about_the_size(self, bank_file):
        bank = ShapeBank.load(bank_file)
        shape = bank.draw(15.0, np.random.default_rng(0))
        assert shape.source in {"a_01", "b_01"}
        assert bank.shape(0) is bank.shape(0)

    @pytest.mark.parametrize("damage", ["missing", "no json", "key", "text"])
    def test_what_is_no_bank_is_named(self, bank_file, damage):
        if damage == "missing":
            bank_file.unlink()
        elif damage == "no json":
            bank_file.with_suffix(".json").unlink()
        elif damage == "key":
            bank_file.with_suffix(".json").write_text('[{"key": "nothing", "organ": "liver"}]')
        else:
            bank_file.with_suffix(".json").write_text("{")
        with pytest.raises(InputError, match=r"bank\.npz is not a bank of lesion masks"):
            ShapeBank.load(bank_file)

    def test_empty_mask(self):
        with pytest.raises(InputError, match="empty"):
            shape_from_mask(np.zeros((3, 3, 3), bool), (1.0, 1.0, 1.0))


class TestNoise:
    def test_smooth_noise_has_unit_sd_and_its_scale(self):
        rng = np.random.default_rng(0)
        spacing = (2.0, 1.0, 1.0)
        fields = [smooth_noise((40, 80, 80), spacing, 6.0, rng) for _ in range(4)]
        assert np.std(fields) == pytest.approx(1.0, abs=0.15)
        field = fields[0]
        near = np.mean(field[:, :, 2:] * field[:, :, :-2]) / np.var(field)
        far = np.mean(field[:, :, 30:] * field[:, :, :-30]) / np.var(field)
        assert near > 0.8
        assert abs(far) < 0.25

    def test_drawn_noise_has_the_measured_autocovariance(self):
        rng = np.random.default_rng(1)
        noise = 9.0 * ndimage.gaussian_filter(rng.standard_normal((40, 96, 96)), (0.6, 0.9, 0.9))
        noise *= 15.0 / noise.std()
        tissue = np.ones(noise.shape, bool)
        model = measure_noise(noise.astype(np.float32) + 100, tissue, (2.5, 1.25, 1.25), rng)
        assert model.sd_hu == pytest.approx(15.0, rel=0.15)
        drawn = model.draw((30, 64, 64), rng)
        assert drawn.std() == pytest.approx(model.sd_hu, rel=0.1)
        for axis in range(3):
            real = np.mean(noise * np.roll(noise, 1, axis)) / noise.var()
            made = np.mean(drawn * np.roll(drawn, 1, axis)) / drawn.var()
            assert made == pytest.approx(real, abs=0.1)

    def test_mean_over_an_area_falls_slower_than_white_noise(self):
        covariance = np.zeros((5, 11, 11), np.float32)
        covariance[2, 4:7, 4:7] = 50
        covariance[2, 5, 5] = 100
        model = NoiseModel(covariance)
        assert model.sd_of_mean(1) == pytest.approx(10)
        assert model.sd_of_mean(500) == pytest.approx(1.0)
        assert model.sd_of_mean(500) > 10 / np.sqrt(500)

    def test_without_tissue_there_is_weak_noise(self):
        empty = np.zeros((20, 40, 40), np.float32)
        model = measure_noise(empty, empty > 0, (2.5, 1.0, 1.0), np.random.default_rng(0))
        assert 0 < model.sd_hu < 20
