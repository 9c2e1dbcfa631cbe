"""A network with each attention replaced, judged by its own metric: on scans, by boxes, on slices."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pytest
from support.evaluation_scans import write_two_livers

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILab.compare.attention import run_attention_comparison
from LiverLesionAILab.compare.attention_kept import AS_IT_IS, kept_text
from LiverLesionAILab.compare.attention_variants import variants_of
from LiverLesionAILab.compare.other_scans import FROM_SCANS, MEAN, OTHER, OtherScans
from LiverLesionAILab.data.synthliver import ClassImage, ClassSlice
from LiverLesionAILib.analysis import pipeline
from LiverLesionAILib.analysis.settings import Settings
from LiverLesionAILib.case.findings import CaseResult
from LiverLesionAILib.cli.main import main
from LiverLesionAILib.models.device import choose_device
from LiverLesionAILib.models.weights import ModelStore
from LiverLesionAILib.networks import mscd, unet
from LiverLesionAILib.networks.health import watched
from LiverLesionAILib.networks.mechanisms import mechanisms_of
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.ct import CtVolume


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two patients with dark balls in the liver."""
    return write_two_livers(tmp_path_factory.mktemp("scans"))


def rows_of(out: Path) -> dict[str, dict]:
    found = json.loads((out / "attention.json").read_text())
    return {f"{row['attention']}, {row['how']}" if row["how"] else AS_IT_IS: row for row in found["rows"]}


def test_a_kind_is_replaced_on_all_its_levels_and_comes_back() -> None:
    torch.manual_seed(0)
    network = mscd.build(mscd.SIZES["attending"]).eval()
    variants = variants_of(network, "mscd")
    assert [v.name for v in variants][:4] == [
        AS_IT_IS,
        "spatial context, off",
        "spatial context, averaged",
        "spatial context, elsewhere",
    ]
    assert all(len(v.mechanisms) == 3 for v in variants[1:])
    image = torch.randn(2, 5, 64, 64)
    with torch.inference_mode():
        plain = network(image).logits
        answers = [v.of(network)(image).logits for v in variants]
        assert torch.equal(answers[0], plain)
        assert all(not torch.allclose(other, plain) for other in answers[1:])
        assert torch.equal(network(image).logits, plain), "nothing stays changed"


def small(name: str) -> tuple[torch.nn.Module, list]:
    """A network that has learnt nothing, and what two scans of three slices ask it, of other sizes each."""
    from LiverLesionAILib.networks import cs_att, dadrn, sfan, va_mask_rcnn

    torch.manual_seed(0)
    if name == "mscd":
        network, shape = mscd.build(mscd.SIZES["attending"]), (3, 5)
    elif name == "dadrn":
        network, shape = dadrn.build(dadrn.SIZES["compact"]), (3, 3)
    elif name == "cs_att":
        network, shape = cs_att.build(cs_att.SIZES["compact"]), (3, 9)
    elif name == "sfan":
        network, shape = sfan.build(sfan.SIZES["compact"]), (3, 5)
    else:
        network, shape = va_mask_rcnn.build(va_mask_rcnn.SIZES["compact"]), (9, 3)
    for part in network.modules():
        # Residual parts start closed, gates at one value: here something is to be seen of them.
        for own in ("alpha", "beta"):
            if isinstance(getattr(part, own, None), torch.nn.Parameter):
                torch.nn.init.constant_(getattr(part, own), 0.5)
        for own in ("excite", "phi_contextual", "phi_spatial"):
            layer = getattr(part, own, None)
            if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear):
                torch.nn.init.normal_(layer.weight, std=0.5)
    return network.eval(), [torch.randn(*shape, 64, size) for size in (64, 96)]


def answer(network: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
    """What is behind the attentions, in one tensor."""
    from LiverLesionAILib.networks.cs_att import CsAtt
    from LiverLesionAILib.networks.va_rcnn import VaRcnn

    with torch.inference_mode():
        if isinstance(network, CsAtt):
            return network.attend(network.window(images))[0].clone()
        if isinstance(network, VaRcnn):
            bags = torch.arange(9).unfold(0, network.config.bag, 1)
            return torch.cat([x.flatten() for x in network.attend(network.features(images), bags)[0]])
        return network(images).logits


def differs(one: torch.Tensor, other: torch.Tensor) -> float:
    """RMS difference, in units of the RMS of the other."""
    return float((one - other).square().mean().sqrt() / other.square().mean().sqrt())


@pytest.mark.parametrize("name", ["mscd", "sfan", "dadrn", "cs_att", "va_mask_rcnn"])
def test_a_scan_is_given_what_another_has_or_the_mean_of_all(name: str) -> None:
    network, scans = small(name)
    others = OtherScans(mechanisms_of(network))
    plain = [answer(network, images) for images in scans]
    for number, images in enumerate(scans):
        with others.noting(str(number)):
            assert differs(answer(network, images), plain[number]) < 1e-4, "noting changes nothing"
    again = OtherScans(mechanisms_of(network))
    for number in range(2):
        with again.noting(str(number)):
            answer(network, scans[0])
    for variant in variants_of(network, name, others):
        if variant.how not in FROM_SCANS:
            continue
        with variant.in_place(others, "0"):
            assert differs(answer(network, scans[0]), plain[0]) > 1e-3, variant.name
        if variant.how == OTHER:
            # What "another" scan had is what this one has: nothing changes, but for 16 bits.
            with variant.in_place(again, "0"):
                assert differs(answer(network, scans[0]), plain[0]) < 1e-2, variant.name
    assert torch.equal(answer(network, scans[0]), plain[0]), "nothing stays changed"


def test_the_mean_over_scans_is_of_all_slices_and_places() -> None:
    network, scans = small("va_mask_rcnn")
    part = network.attention[0].spatial
    mechanism = next(one for one in mechanisms_of(network) if one.module is part)
    others, gates = OtherScans([mechanism]), []
    for number, images in enumerate(scans):
        with others.noting(str(number)):
            answer(network, images)
        with torch.inference_mode():
            bags = torch.arange(9).unfold(0, network.config.bag, 1)
            gates.append(network.attend(network.features(images), bags)[1][0].spatial_gate)
    given = others.given(mechanism, MEAN, "0")(gates[1][:, None])
    assert given.shape == gates[1][:, None].shape
    expected = torch.cat([one.mean(dim=(1, 2)) for one in gates]).mean()
    torch.testing.assert_close(given, torch.full_like(given, float(expected)), atol=1e-3, rtol=0)
    other = others.given(mechanism, OTHER, "0")(gates[1][:, None])
    torch.testing.assert_close(other[:, 0], gates[1], atol=1e-3, rtol=0)


def test_of_one_scan_nothing_can_be_given_to_another() -> None:
    network, scans = small("sfan")
    others = OtherScans(mechanisms_of(network))
    with others.noting("one"):
        answer(network, scans[0])
    assert not {one.how for one in variants_of(network, "sfan", others)} & set(FROM_SCANS)


def test_a_network_without_attention_has_nothing_to_replace() -> None:
    with pytest.raises(InputError, match="unet has no attention"):
        variants_of(unet.build(unet.SIZES["compact"]), "unet")


def by_the_network(ct: CtVolume, settings: Settings, store: ModelStore) -> CaseResult:
    """The line without its stages: what SFAN holds for tumour most, in the whole CT at once."""
    network = store.network("sfan", "cpu", choose_device("cpu", settings.precision).precision)
    grey = torch.from_numpy(((ct.hu_zyx - 50) / 125).astype(np.float32)).clamp(-1, 1)
    stacked = torch.stack([grey.roll(k, 0) for k in (2, 1, 0, -1, -2)], dim=1)[:, :, :, :80]
    with torch.inference_mode():
        odds = network(stacked.to(next(network.parameters()).dtype)).logits[:, 2].float()
    found = np.zeros(ct.geometry.shape_zyx, np.uint16)
    found[:, :, :80] = (odds > odds.flatten().kthvalue(int(0.98 * odds.numel())).values).numpy()
    return CaseResult(ct.name, ct.geometry, ct.hu_zyx > 0, found)


def test_masks_by_tumour_dice(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "analyze", by_the_network)
    assert main(["compare", "attention", str(data), "--model", "sfan", "--out", str(tmp_path)]) == 0
    rows = rows_of(tmp_path)
    plain = rows[AS_IT_IS]
    assert plain["value"] > 0.1 and plain["difference"] is None
    assert "of 3 found" in plain["note"]
    off = rows["global context gate (GCA), off"]
    assert off["value"] != plain["value"], "the line asks the network whose gate is open"
    assert off["difference"]["value"] == pytest.approx(off["value"] - plain["value"], abs=1e-6)
    assert off["difference"]["n_patients"] == 2
    said = capsys.readouterr().out
    assert "tumour Dice per case" in said and "semantic gate (SAT)" in said
    assert len(rows) == 1 + 2 * 3


@pytest.mark.parametrize(("model", "slices"), [("sfan", 1), ("va_mask_rcnn", 2)])
def test_masks_on_some_slices_with_lesions(data: Path, tmp_path: Path, model: str, slices: int) -> None:
    options = ["--model", model, "--slices", str(slices), "--out", str(tmp_path)]
    assert main(["compare", "attention", str(data), *options]) == 0
    rows = rows_of(tmp_path)
    assert len(rows) == 1 + 2 * 5
    for row in rows.values():
        assert set(row["cases"]) == {"one", "two"} and row["note"] == f"{2 * slices} slices"
        assert row["value"] == pytest.approx(np.mean(list(row["cases"].values())))
    plain = rows[AS_IT_IS]
    assert plain["difference"] is None
    others = [row for row in rows.values() if row is not plain]
    assert any(row["cases"] != plain["cases"] for row in others), "a replaced attention changes the masks"
    for row in others:
        change = np.mean([row["cases"][name] - plain["cases"][name] for name in plain["cases"]])
        assert row["difference"]["value"] == pytest.approx(change, abs=1e-6)


def test_some_slices_of_bags_are_as_the_whole_volume_has_them(data: Path) -> None:
    from LiverLesionAILab.compare.asked_slices import tumour_in
    from LiverLesionAILab.data.cases import decode_hu
    from LiverLesionAILab.data.folders import find_scans, layout_of
    from LiverLesionAILab.evaluation.scan_boxes import scan_case
    from LiverLesionAILib.stages.detect.volumetric import volumetric_liver_and_tumour

    store = ModelStore.bundled()
    entry = store.manifest.find("va_mask_rcnn")
    network = store.network(entry.name, "cpu", "float32")
    hu = decode_hu(scan_case(find_scans(data, layout_of(data))[0], entry).grey_zyx)
    _, whole = volumetric_liver_and_tumour(network, entry.input, hu, scales=entry.scales["lesions"])
    some = np.array([4, 9])
    seen = tumour_in(network, entry, hu, some)()
    assert whole.max() > 100, "there is something to see"
    assert np.abs(seen.astype(int) - whole[some]).max() <= 1


def printed_again(file: Path, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert main(["compare", "attention", "--rows", str(file)]) == 0
    return capsys.readouterr().out


def test_boxes_by_what_they_find(data: Path, tmp_path: Path) -> None:
    options = ["--model", "cs_att", "--limit", "1", "--out", str(tmp_path)]
    assert main(["compare", "attention", str(data), *options]) == 0
    rows = rows_of(tmp_path)
    assert set(rows) == {AS_IT_IS} | {
        f"{kind} attention, {how}"
        for kind in ("contextual", "spatial")
        for how in ("off", "averaged", "elsewhere")
    }
    assert all(0 <= row["value"] <= 1 for row in rows.values())


def test_what_no_cases_were_kept_of_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = Path(__file__).resolve().parents[2] / "Resources" / "results" / "attention_cs_att.json"
    data = json.loads(kept.read_text())
    assert "was not kept" not in printed_again(kept, capsys)
    for row in data["rows"]:
        del row["kept"]
    without = tmp_path / "without.json"
    without.write_text(json.dumps(data))
    said = printed_again(without, capsys)
    assert "+0.016  [-0.017, 0.047]" in said and "was not kept" in said
    other = tmp_path / "rows.json"
    other.write_text(json.dumps({"kind": "detectors"}))
    with pytest.raises(InputError, match="of `compare detectors`, not of `compare attention`"):
        kept_text(other)
    other.write_text(json.dumps({"kind": "attention", "rows": [{"how": ""}]}))
    with pytest.raises(InputError, match="no whole rows"):
        kept_text(other)
    other.write_text("{")
    with pytest.raises(InputError, match="no rows of a comparison"):
        kept_text(other)
    with pytest.raises(InputError, match="data: give it"):
        run_attention_comparison(argparse.Namespace(rows=None, data=None))


@pytest.mark.parametrize("model", ["cs_att", "va_faster_rcnn"])
def test_boxes_on_some_slices_with_lesions(
    data: Path, tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--model", model, "--slices", "3", "--out", str(tmp_path)]
    assert main(["compare", "attention", str(data), *options]) == 0
    rows = rows_of(tmp_path)
    assert len(rows) == 1 + 2 * 5
    plain = rows[AS_IT_IS]
    assert plain["note"].endswith("on 6 slices") and plain["difference"] is None
    assert plain["value"] > 0.3, "dark balls of 9 mm and more are found"
    for row in rows.values():
        assert 0 <= row["value"] <= 1 and row["note"] == plain["note"]
        if row["difference"] is not None:
            assert row["difference"]["value"] == pytest.approx(row["value"] - plain["value"], abs=1e-6)
    table = (tmp_path / "attention.txt").read_text()
    assert printed_again(tmp_path / "attention.json", capsys) == table
    # The boxes themselves, not what was printed of them.
    kept = json.loads((tmp_path / "attention.json").read_text())
    for row in kept["rows"]:
        row.update(value=-1.0, difference=None)
    (tmp_path / "attention.json").write_text(json.dumps(kept))
    assert printed_again(tmp_path / "attention.json", capsys) == table


def test_a_detectors_boxes_are_of_the_attention_that_is_replaced() -> None:
    """The way over whole scans is a shorter one than the network's own: it has to hear of a replacement."""
    from LiverLesionAILib.networks.cs_att_known import judge_window, known_images

    network = ModelStore.bundled().network("cs_att", "cpu", "float32")
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(3, 3, 64, 64, generator=generator) - 0.5
    boxes = torch.tensor([[8.0, 8.0, 40.0, 40.0], [20.0, 4.0, 60.0, 30.0]])
    with torch.inference_mode():
        known = known_images(network, images)
        plain = judge_window(network, known, boxes)[0]
        seen = {v.name: v.of(judge_window)(network, known, boxes)[0] for v in variants_of(network, "cs_att")}
        again = judge_window(network, known, boxes)[0]
        with watched(mechanisms_of(network)[0], None, lambda kind, weights: None):
            torch.testing.assert_close(judge_window(network, known, boxes)[0], plain, atol=1e-4, rtol=1e-3)
    assert torch.equal(seen.pop(AS_IT_IS), plain) and torch.equal(again, plain)
    assert all((other - plain).abs().max() > 1e-3 for other in seen.values())


def test_slices_by_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import LiverLesionAILab.data.synthliver as synthliver

    rng = np.random.default_rng(0)

    def load(self: ClassSlice) -> ClassImage:
        labels = np.zeros((3, 96, 96), np.uint8)
        labels[:, 10:86, 10:86] = 1
        hu = np.where(labels > 0, 110, -80) + rng.normal(0, 5, labels.shape)
        hu[:, 40:56, 40:56] = 5
        labels[:, 40:56, 40:56] = 2
        return ClassImage(hu.astype(np.int16), labels, (3.0, 1.5, 1.5))

    slices = [
        ClassSlice(f"s{k}", f"p{k}", kind, 0.0, tmp_path, tmp_path)
        for k, kind in enumerate(("CYST", "CYST", "HCC", "Normal"))
    ]
    monkeypatch.setattr(ClassSlice, "load", load)
    monkeypatch.setattr(synthliver, "read_class_slices", lambda *_: slices)
    assert (
        main(["compare", "attention", str(tmp_path), "--model", "dadrn", "--out", str(tmp_path / "out")]) == 0
    )
    rows = rows_of(tmp_path / "out")
    assert len(rows) == 1 + 2 * 5
    # All four are the same picture of a cyst: one class of three can be right, or none.
    assert {round(3 * row["value"], 6) for row in rows.values()} <= {0.0, 1.0}


def test_what_is_refused(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "attention", str(data), "--model", "coarse_unet", "--out", str(tmp_path)]) == 1
    assert "nothing to judge it by" in capsys.readouterr().err
    options = ["--model", "dadrn", "--slices", "2", "--out", str(tmp_path)]
    assert main(["compare", "attention", str(data), *options]) == 1
    assert "is for masks and boxes" in capsys.readouterr().err
