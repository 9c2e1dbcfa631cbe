"""Bundled weights: checksums, refusals by name, nothing executed on loading."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILib.models.inputs import InputSpec
from LiverLesionAILib.models.weights import (
    Manifest,
    ModelEntry,
    ModelStore,
    load_network,
    models_folder,
    save_weights,
)
from LiverLesionAILib.networks.unet import Unet, UnetConfig
from LiverLesionAILib.support.errors import ModelError
from LiverLesionAILib.support.files import sha256_of

CONFIG = {"in_slices": 3, "classes": 2, "widths": [4, 8], "norm": "batch"}


@pytest.fixture
def entry(tmp_path: Path) -> ModelEntry:
    torch.manual_seed(0)
    network = Unet(UnetConfig(in_slices=3, classes=2, widths=(4, 8), norm="batch"))
    digest = save_weights(network, tmp_path / "w.pt")
    return ModelEntry(
        "net", "segment", "unet", CONFIG, InputSpec((1.0, 1.0, 1.0), (-75.0, 175.0), 3), "w.pt", digest
    )


def test_bundled_models_are_whole_small_and_carded() -> None:
    manifest = Manifest.read()
    assert {entry.name for entry in manifest.entries} >= {"coarse_unet", "sfan"}
    names = {entry.name for entry in manifest.entries}
    for entry in manifest.entries:
        if not entry.file:
            assert set(entry.members) < names
            continue
        assert sha256_of(manifest.folder / entry.file) == entry.sha256
        card = (manifest.folder / entry.card).read_text(encoding="utf-8")
        assert "not tested" in card.lower() or "not validated" in card.lower()
        assert "liverlesionai train" in card
        load_network(entry, manifest.folder)
    assert sum(path.stat().st_size for path in models_folder().glob("*.pt")) < 25e6


def test_the_first_model_of_a_task_is_used_unless_one_is_named(entry: ModelEntry, tmp_path: Path) -> None:
    other, boxes = replace(entry, name="other"), replace(entry, name="boxes", task="detect")
    manifest = Manifest(tmp_path, (boxes, other, entry))
    assert manifest.choose("segment").name == "other"
    assert manifest.choose("segment", "net").name == "net"
    with pytest.raises(ModelError, match=r"no model 'boxes' to segment\. Choose one of: other, net"):
        manifest.choose("segment", "boxes")
    with pytest.raises(ModelError, match="Choose one of: none"):
        manifest.choose("classify")


def test_scales_and_members_survive_the_manifest(entry: ModelEntry, tmp_path: Path) -> None:
    scaled = replace(entry, scales={"liver": (0.5,), "lesions": (1.0, 1.5)})
    both = replace(entry, name="both", network="mean", config={"members": ["net", "net"]}, file="", sha256="")
    Manifest(tmp_path, (both, scaled)).write()
    read = Manifest.read(tmp_path)
    assert read.find("net") == scaled
    assert read.find("net").members == ("net",)
    assert read.find("both").members == ("net", "net")


def test_weights_are_float16_and_come_back(entry: ModelEntry, tmp_path: Path) -> None:
    state = torch.load(tmp_path / "w.pt", weights_only=True)
    assert {v.dtype for v in state.values() if v.is_floating_point()} == {torch.float16}
    network = load_network(entry, tmp_path)
    assert not network.training
    assert network(torch.zeros(1, 3, 8, 8)).logits.dtype == torch.float32


def test_a_changed_byte_is_refused(entry: ModelEntry, tmp_path: Path) -> None:
    raw = bytearray((tmp_path / "w.pt").read_bytes())
    raw[len(raw) // 2] ^= 1
    (tmp_path / "w.pt").write_bytes(raw)
    with pytest.raises(ModelError, match="damaged"):
        load_network(entry, tmp_path)


def test_a_missing_file_is_named(entry: ModelEntry, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="of net cannot be read"):
        load_network(replace(entry, file="gone.pt"), tmp_path)


def test_weights_of_another_network_are_refused(entry: ModelEntry, tmp_path: Path) -> None:
    other = replace(entry, config={**CONFIG, "widths": [4, 16]})
    with pytest.raises(ModelError, match="do not belong to the network 'unet'"):
        load_network(other, tmp_path)


def test_an_unknown_network_or_setting_is_refused(entry: ModelEntry, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be built"):
        load_network(replace(entry, network="nonsense"), tmp_path)
    with pytest.raises(ModelError, match="cannot be built"):
        load_network(replace(entry, config={"depth": 3}), tmp_path)


class Bomb:
    """Would write a file when unpickled."""

    def __reduce__(self) -> tuple:
        return (Path.touch, (Path(self.path),))


def test_loading_never_executes_code(entry: ModelEntry, tmp_path: Path) -> None:
    bomb = Bomb()
    bomb.path = str(tmp_path / "exploded")
    (tmp_path / "w.pt").write_bytes(pickle.dumps(bomb, protocol=2))
    with pytest.raises(ModelError):
        load_network(replace(entry, sha256=sha256_of(tmp_path / "w.pt")), tmp_path)
    assert not (tmp_path / "exploded").exists()


def test_manifest_round_trip_and_replacement(entry: ModelEntry, tmp_path: Path) -> None:
    Manifest(tmp_path, ()).with_entry(entry).with_entry(replace(entry, name="second")).write()
    changed = Manifest.read(tmp_path).with_entry(replace(entry, title="new"))
    assert [e.name for e in changed.entries] == ["net", "second"]
    assert changed.find("net").title == "new"
    assert json.loads((tmp_path / "manifest.json").read_text())["version"] == 1


def test_a_damaged_manifest_and_an_unknown_model_say_so(entry: ModelEntry, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="missing or damaged"):
        Manifest.read(tmp_path)
    with pytest.raises(ModelError, match="Bundled models: net"):
        Manifest(tmp_path, (entry,)).find("other")


def test_the_store_loads_once_and_folds(entry: ModelEntry, tmp_path: Path) -> None:
    Manifest(tmp_path, (entry,)).write()
    store = ModelStore.bundled(tmp_path)
    network = store.network("net", "cpu", "float32")
    assert store.network("net", "cpu", "float32") is network
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in network.modules())
    assert next(store.network("net", "cpu", "bfloat16").parameters()).dtype == torch.bfloat16
