"""Training volumes from a made-up data folder: prepared once, made again where damaged, split by patient."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILab.data.cases import (
    LITS_PATIENTS,
    TrainingCase,
    crop_to_liver,
    decode_hu,
    encode_hu,
    lits_cases,
    without_specks,
)
from LiverLesionAILab.synthesis.lesions import LesionSettings
from LiverLesionAILab.training import bodies, recipe_cases
from LiverLesionAILab.training.bank import BankSettings, build_bank, load_mapped, make_variant, save_mapped
from LiverLesionAILab.training.recipes import recipe
from LiverLesionAILib.support.errors import InputError

SPACING = (5.0, 3.0, 3.0)
SHAPE = (28, 60, 64)


def write_case(folder: Path, name: str, seed: int) -> None:
    """A liver ellipsoid with one lesion in noise, 5 x 3 x 3 mm, as the real folder holds them."""
    z, y, x = np.meshgrid(*[np.arange(n) for n in SHAPE], indexing="ij")
    liver = ((z - 14) * 5 / 55) ** 2 + ((y - 30) * 3 / 62) ** 2 + ((x - 28) * 3 / 70) ** 2 < 1
    lesion = ((z - 13) * 5) ** 2 + ((y - 30) * 3) ** 2 + ((x - 30) * 3) ** 2 < 14**2
    rng = np.random.default_rng(seed)
    hu = np.where(liver, 105.0, -80.0) - 55.0 * lesion + rng.normal(0, 8, SHAPE)
    for kind, array in (
        ("ct", np.rint(hu).astype(np.int16)),
        ("mask", liver.astype(np.uint8) + (liver & lesion)),
    ):
        image = sitk.GetImageFromArray(array.astype(np.int16 if kind == "ct" else np.uint8))
        image.SetSpacing(SPACING[::-1])
        sitk.WriteImage(image, str(folder / f"{name}_{kind}.nii.gz"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    (folder / "lits").mkdir()
    for seed, name in enumerate(sorted(LITS_PATIENTS)):
        write_case(folder / "lits", name, seed)
    return folder


def same(one: TrainingCase, other: TrainingCase) -> bool:
    return (
        np.array_equal(one.grey_zyx, other.grey_zyx)
        and np.array_equal(one.labels_zyx, other.labels_zyx)
        and (one.name, one.patient, one.kind) == (other.name, other.patient, other.kind)
        and one.spacing_zyx_mm == pytest.approx(other.spacing_zyx_mm)
    )


class TestCases:
    def test_volumes_keep_their_size_on_the_training_grid(self, data: Path, tmp_path: Path) -> None:
        case = lits_cases(data, tmp_path, (2.5, 2.0, 2.0), ("lits003",))[0]
        assert case.patient == "C"
        assert case.spacing_zyx_mm == pytest.approx((2.5, 2.0, 2.0), rel=0.05)
        voxel_ml = np.prod(case.spacing_zyx_mm) / 1000
        assert np.count_nonzero(case.labels_zyx) * voxel_ml == pytest.approx(1000, rel=0.03)
        assert np.count_nonzero(case.labels_zyx == 2) * voxel_ml == pytest.approx(11.5, rel=0.15)
        hu = decode_hu(case.grey_zyx)
        assert np.median(hu[case.labels_zyx == 1]) == pytest.approx(105, abs=4)
        assert np.median(hu[case.labels_zyx == 2]) == pytest.approx(50, abs=6)

    def test_eight_bits_are_good_to_a_hounsfield_unit_and_clip(self) -> None:
        hu = np.linspace(-160, 240, 1001)
        assert np.abs(decode_hu(encode_hu(hu)) - hu).max() <= 0.8
        assert decode_hu(encode_hu(np.array([-1000.0, 2000.0]))) == pytest.approx([-160, 240])

    @pytest.mark.parametrize("keep", [0, 10, 0.6], ids=["empty", "ten bytes", "half"])
    def test_a_damaged_cache_is_made_again(self, data: Path, tmp_path: Path, keep: float) -> None:
        first = lits_cases(data, tmp_path, SPACING, ("lits002",))[0]
        (path,) = tmp_path.iterdir()
        raw = path.read_bytes()
        path.write_bytes(raw[: int(keep * len(raw)) if keep < 1 else int(keep)])
        assert same(lits_cases(data, tmp_path, SPACING, ("lits002",))[0], first)
        assert path.read_bytes() == raw, "the cache is whole again"
        assert [p.name for p in tmp_path.iterdir()] == [path.name]

    def test_the_cache_is_used(self, data: Path, tmp_path: Path) -> None:
        first = lits_cases(data, tmp_path, SPACING, ("lits002",))[0]
        assert same(lits_cases(Path("nowhere"), tmp_path, SPACING, ("lits002",))[0], first)

    def test_a_mask_on_another_grid_is_refused(self, data: Path, tmp_path: Path) -> None:
        (tmp_path / "lits").mkdir()
        write_case(tmp_path / "lits", "lits004", 0)
        path = tmp_path / "lits" / "lits004_mask.nii.gz"
        image = sitk.ReadImage(str(path))
        image.SetOrigin((0.0, 0.0, 40.0))
        sitk.WriteImage(image, str(path))
        with pytest.raises(InputError, match=r"lits004_mask.nii.gz does not lie on the grid"):
            lits_cases(tmp_path, tmp_path / "cache", SPACING, ("lits004",))

    def test_a_missing_volume_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"lits000_ct.nii.gz is missing"):
            lits_cases(tmp_path, tmp_path / "cache", SPACING, ("lits000",))

    def test_specks_become_liver_and_lesions_stay(self) -> None:
        labels = np.ones((10, 10, 10), np.uint8)
        labels[1, 1, 1], labels[5:8, 5:8, 5:8] = 2, 2
        cleaned = without_specks(labels, 2, 10.0, 1.0)
        assert cleaned[1, 1, 1] == 1
        assert np.count_nonzero(cleaned == 2) == 27

    def test_the_crop_keeps_the_liver_and_its_margin(self, data: Path, tmp_path: Path) -> None:
        case = lits_cases(data, tmp_path, SPACING, ("lits005",))[0]
        cut = crop_to_liver(case, 6.0)
        assert np.count_nonzero(cut.labels_zyx) == np.count_nonzero(case.labels_zyx)
        size = [np.ptp(i) + 1 for i in np.nonzero(case.labels_zyx)]
        margins = [2 * int(np.ceil(6.0 / s)) for s in case.spacing_zyx_mm]
        for got, own, margin, limit in zip(cut.grey_zyx.shape, size, margins, SHAPE, strict=True):
            assert got == min(own + margin, limit)


class TestBank:
    settings = BankSettings(variants_per_patient=2, lesions=LesionSettings(count=2), distractors=None, seed=5)

    def test_variants_are_decided_by_seed_name_and_number(self, data: Path, tmp_path: Path) -> None:
        case = lits_cases(data, tmp_path, SPACING, ("lits003",))[0]
        made = [
            make_variant(
                case, np.random.default_rng(seed), replace(self.settings, lesion_free_share=0.0), None
            )
            for seed in (1, 1, 2)
        ]
        assert same(made[0], made[1])
        assert not same(made[0], made[2])
        assert made[0].kind == "variant"
        assert made[0].patient == "C"
        tumour = made[0].labels_zyx == 2
        assert np.count_nonzero(tumour) > np.count_nonzero(case.labels_zyx == 2)
        assert bool(tumour[case.labels_zyx == 2].all()), "real lesions stay"

    def test_without_a_lesion_only_the_real_ones_are_there(self, data: Path, tmp_path: Path) -> None:
        case = lits_cases(data, tmp_path, SPACING, ("lits003",))[0]
        made = make_variant(
            case, np.random.default_rng(1), replace(self.settings, lesion_free_share=1.0), None
        )
        assert np.array_equal(made.labels_zyx, case.labels_zyx)

    def test_a_bank_is_shared_by_patient_kept_and_mended(self, data: Path, tmp_path: Path) -> None:
        names = ("lits000", "lits001", "lits002")
        cases = lits_cases(data, tmp_path / "cases", SPACING, names)
        folder = tmp_path / "bank"
        targets = build_bank(cases, folder, self.settings, shapes=None, workers=1)
        made = [load_mapped(target) for target in targets]
        # Volumes 0 and 1 are one patient: they share its two variants.
        assert [m.name for m in made] == ["lits000-v000", "lits001-v000", "lits002-v000", "lits002-v001"]
        assert [m.patient for m in made] == ["A", "A", "B", "B"]
        kept = [np.array(m.grey_zyx) for m in made]
        del made
        untouched = (targets[0] / "data.npy").stat().st_mtime_ns
        (targets[1] / "data.npy").write_bytes(b"gone")
        (targets[3] / "case.json").write_text("{")
        again = build_bank(cases, folder, self.settings, shapes=None, workers=1)
        assert again == targets
        for target, grey in zip(again, kept, strict=True):
            assert np.array_equal(load_mapped(target).grey_zyx, grey)
        assert (targets[0] / "data.npy").stat().st_mtime_ns == untouched


def test_hold_out_leaves_the_whole_patient_out(data: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("LIVERLESIONAI_DATA", str(data))

    def variants(cases: Sequence[TrainingCase], folder: Path, settings: object, **_: object) -> list[Path]:
        for case in cases:
            save_mapped(replace(case, name=f"{case.name}-v000", kind="variant"), folder / case.name)
        return [folder / case.name for case in cases]

    monkeypatch.setattr(recipe_cases, "build_bank", variants)
    monkeypatch.setattr(recipe_cases, "body_cases", lambda *_, **__: [])
    monkeypatch.setattr(recipe_cases, "slice_cases", lambda *_, **__: [])
    chosen = replace(recipe("sfan"), spec=replace(recipe("sfan").spec, spacing_zyx_mm=SPACING))
    everyone = recipe_cases.training_cases(chosen, "", tmp_path, 1)
    assert {case.patient for case in everyone if case.kind == "real"} == set("ABCDE")
    kept = recipe_cases.training_cases(chosen, "AC", tmp_path, 1)
    assert {case.patient for case in kept if case.kind in ("real", "variant")} == set("BDE")
    assert not [case.name for case in kept if case.name.startswith(("lits000", "lits001", "lits003"))]
    with pytest.raises(InputError, match="no patient Q"):
        recipe_cases.training_cases(chosen, "AQ", tmp_path, 1)


class TestBodies:
    def fake_body(self, number: int, seed: int, shapes: Path | None) -> TrainingCase:
        rng = np.random.default_rng((seed, number))
        labels = np.zeros((20, 40, 40), np.uint8)
        labels[4:16, 10:30, 10:30] = 1
        grey = rng.integers(0, 255, labels.shape, dtype=np.uint8)
        return TrainingCase(f"body{number:04d}", "", grey, labels, bodies.BODY_SPACING_ZYX_MM, "body")

    def test_damaged_bodies_are_made_again_on_the_recipes_grid(self, tmp_path: Path) -> None:
        name = f"bodies-s3-{bodies.BodyMix().key()}"
        made = tmp_path / name
        for number in range(2):
            save_mapped(self.fake_body(number, 3, None), made / f"body{number:04d}")
        wanted = (5.0, 2.5, 2.5)
        first = [np.array(c.labels_zyx) for c in bodies.body_cases(wanted, None, 2, tmp_path, None, seed=3)]
        assert first[0].shape == (10, 20, 20)
        assert np.count_nonzero(first[0]) == pytest.approx(6 * 10 * 10, rel=0.05)
        (damaged,) = tmp_path.glob(f"{name}-5x2.5x2.5-whole/body0001")
        (damaged / "data.npy").write_bytes(b"")
        again = bodies.body_cases(wanted, None, 2, tmp_path, None, seed=3)
        assert [c.name for c in again] == ["body0000", "body0001"]
        assert np.array_equal(again[1].labels_zyx, first[1])
        assert json.loads((damaged / "case.json").read_text())["kind"] == "body"

    def test_phantoms_join_where_their_maps_are(self, tmp_path: Path, monkeypatch) -> None:
        from LiverLesionAILab.synthesis import body, phantom_body

        class Drawn(Exception):
            pass

        def draw(kind: str):
            def stop(*_: object) -> None:
                raise Drawn(kind)

            return stop

        monkeypatch.setattr(phantom_body, "load_phantom", lambda path: path.name)
        monkeypatch.setattr(body, "make_body", draw("procedural"))
        monkeypatch.setattr(phantom_body, "make_phantom_body", lambda rng, wanted, name: draw(name)())

        def drawn(mix: bodies.BodyMix, shapes: Path | None = tmp_path / "bank.npz") -> list[str]:
            kinds = []
            for number in range(12):
                with pytest.raises(Drawn) as said:
                    bodies.make_body_case(number, 0, shapes, mix)
                kinds.append(str(said.value))
            return kinds

        assert set(drawn(bodies.BodyMix())) == {"procedural"}
        for sex in "FM":
            (tmp_path / f"ICRP110_A{sex}_labels.nii.gz").touch()
        female, male = (f"ICRP110_A{sex}_labels.nii.gz" for sex in "FM")
        with_both = drawn(bodies.BodyMix())
        assert [with_both[n] for n in (2, 6, 10)] == [female, male, female]
        assert with_both.count("procedural") == 9
        assert set(drawn(bodies.BodyMix(phantom_every=0))) == {"procedural"}
        assert set(drawn(bodies.BodyMix(), None)) == {"procedural"}

    def test_the_coarse_network_meets_stomachs_as_bright_as_the_liver(self, monkeypatch) -> None:
        from LiverLesionAILab.synthesis import body
        from LiverLesionAILab.training.recipes import recipe

        class Drawn(Exception):
            pass

        def stop(rng: np.random.Generator, wanted: body.BodySettings) -> None:
            raise Drawn(wanted.isodense_stomach)

        monkeypatch.setattr(body, "make_body", stop)
        for name, chance in (("coarse_unet", 0.35), ("sfan", 0.0)):
            with pytest.raises(Drawn, match=str(chance)):
                bodies.make_body_case(0, 0, None, recipe(name).body_mix)

    def test_no_liver_slices_hold_no_liver_and_missing_files_are_left_out(self, tmp_path: Path) -> None:
        assert bodies.background_cases(tmp_path, SPACING) == []
        (tmp_path / "tiny").mkdir()
        image = sitk.GetImageFromArray(np.zeros((60, 40, 40), np.int16))
        image.SetSpacing((3.0, 3.0, 3.0))
        sitk.WriteImage(image, str(tmp_path / "tiny" / "torso_3mm_ct.nii.gz"))
        (case,) = bodies.background_cases(tmp_path, (3.0, 3.0, 3.0))
        assert case.kind == "background"
        assert case.grey_zyx.shape[0] == 40, "only the slices known to hold none"
        assert not case.labels_zyx.any()


def test_two_trainings_may_fill_one_cache(tmp_path):
    """Who comes second finds a whole case there, which the first may be reading: it stays."""
    grey = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)
    case = TrainingCase("one", "A", grey, np.zeros_like(grey), (2.5, 1.0, 1.0), "variant")
    target = tmp_path / "one"
    save_mapped(case, target)
    first = (target / "data.npy").stat().st_ino
    reading = load_mapped(target)
    save_mapped(case, target)
    assert (target / "data.npy").stat().st_ino == first and np.array_equal(reading.grey_zyx, grey)
    (target / "case.json").write_text("{half")
    save_mapped(case, target)
    assert np.array_equal(load_mapped(target).grey_zyx, grey)
    assert [path.name for path in tmp_path.iterdir()] == ["one"], "nothing half-made stays"
