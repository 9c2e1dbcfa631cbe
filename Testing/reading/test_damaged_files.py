"""Compressed and raw voxels that are damaged, too few or too many: refused or said, never read as whole."""

from __future__ import annotations

import bz2
import gzip
import os
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from LiverLesionAILab.fuzz import writers
from LiverLesionAILib.reading import read_ct
from LiverLesionAILib.support.errors import InputError
from support.ct_grids import steady
from support.ct_phantom import phantom_hu

HU = phantom_hu((12, 48, 52))
ENCODINGS = ("nii.gz", "nii2.gz", "nrrd.gzip", "nrrd.bzip2", "nhdr.gzip", "mha.zlib", "mhd.zlib")
RAW = ("nii", "nrrd", "nhdr", "mha", "mhd")


def compressed(kind: str, data: bytes | None = None) -> tuple[str, dict[str, bytes], str]:
    """(name to open, files, name of the file that holds the compressed data)."""
    if kind in ("nii.gz", "nii2.gz"):
        whole = data or gzip.compress(writers.nifti(HU, version=2 if "2" in kind else 1), 1)
        return "a.nii.gz", {"a.nii.gz": whole}, "a.nii.gz"
    suffix, encoding = kind.split(".")
    body = data if data is not None else writers.packed(HU.tobytes(), encoding)
    if suffix == "nrrd":
        return "a.nrrd", {"a.nrrd": writers.nrrd(writers.nrrd_fields(HU, encoding=encoding), body)}, "a.nrrd"
    if suffix == "nhdr":
        head = writers.nrrd({**writers.nrrd_fields(HU, encoding=encoding), "data file": "a.bin"}, b"")
        return "a.nhdr", {"a.nhdr": head, "a.bin": body}, "a.bin"
    fields = writers.metaimage_fields(HU, compressed=len(body))
    if suffix == "mha":
        return "a.mha", {"a.mha": writers.metaimage(fields, body)}, "a.mha"
    head = writers.metaimage({**fields, "ElementDataFile": "a.zraw"}, b"")
    return "a.mhd", {"a.mhd": head, "a.zraw": body}, "a.zraw"


def raw(kind: str, data: bytes, **fields: str) -> tuple[str, dict[str, bytes]]:
    if kind == "nii":
        return "a.nii", {"a.nii": writers.nifti(HU)[:352] + data}
    if kind in ("nrrd", "nhdr"):
        said = {**writers.nrrd_fields(HU), **fields}
        if kind == "nrrd":
            return "a.nrrd", {"a.nrrd": writers.nrrd(said, data)}
        return "a.nhdr", {"a.nhdr": writers.nrrd({**said, "data file": "a.raw"}, b""), "a.raw": data}
    said = {**writers.metaimage_fields(HU), **fields}
    if kind == "mha":
        return "a.mha", {"a.mha": writers.metaimage(said, data)}
    head = writers.metaimage({**said, "ElementDataFile": "a.raw"}, b"")
    return "a.mhd", {"a.mhd": head, "a.raw": data}


def put(folder: Path, name: str, files: dict[str, bytes]) -> Path:
    for file, content in files.items():
        (folder / file).write_bytes(content)
    return folder / name


def refused(path: Path, *words: str) -> None:
    with pytest.raises(InputError) as caught:
        read_ct(path)
    for word in (path.stem, *words):
        assert word in str(caught.value)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damaged")


@pytest.mark.parametrize("kind", ENCODINGS)
def test_undamaged_is_read_without_a_word(folder: Path, kind: str) -> None:
    name, files, _ = compressed(kind)
    volume = read_ct(put(folder, name, files))
    np.testing.assert_array_equal(volume.hu_zyx, HU)
    assert volume.warnings == () and volume.notes == ()
    assert volume.geometry.spacing_zyx_mm == (5, 3, 3)
    assert volume.geometry.origin_lps == (-90, -80, 20)


@pytest.mark.parametrize("kind", ENCODINGS)
@given(where=st.floats(0, 1), bit=st.integers(0, 7))
@steady
def test_a_flipped_bit(folder: Path, kind: str, where: float, bit: int) -> None:
    """Whatever bit of the compressed data it is: refused, unless it is one of the few that mean nothing."""
    name, files, holder = compressed(kind)
    content = bytearray(files[holder])
    body = len(compressed(kind)[1][holder]) - len(content) + content.find(
        {"gz": b"\x1f\x8b", "gzip": b"\x1f\x8b", "bzip2": b"BZh", "zlib": b"x\x01"}[kind.split(".")[1]]
    )  # fmt: skip
    content[body + int(where * (len(content) - body - 1))] ^= 1 << bit
    path = put(folder, name, {**files, holder: bytes(content)})
    try:
        volume = read_ct(path)
    except InputError:
        return
    # The time, system and hints in a gzip header; nothing of the image.
    np.testing.assert_array_equal(volume.hu_zyx, HU)


@pytest.mark.parametrize("kind", ["nii.gz", "nrrd.gzip", "nhdr.gzip", "mha.zlib", "mhd.zlib", "nrrd.bzip2"])
def test_a_wrong_checksum(folder: Path, kind: str) -> None:
    name, files, holder = compressed(kind)
    content = bytearray(files[holder])
    content[-6 if "bz" in kind else -8 if "gz" in kind else -4] ^= 0xFF
    refused(put(folder, name, {**files, holder: bytes(content)}), "checksum", "copy or export it again")


@pytest.mark.parametrize("kind", ["nii.gz", "nrrd.gzip", "nhdr.gzip"])
def test_a_wrong_length_in_the_trailer(folder: Path, kind: str) -> None:
    name, files, holder = compressed(kind)
    content = bytearray(files[holder])
    content[-2] ^= 1
    refused(put(folder, name, {**files, holder: bytes(content)}), "length")


@pytest.mark.parametrize("kind", ENCODINGS)
@given(share=st.floats(0.5, 0.9999))
@steady
def test_truncated(folder: Path, kind: str, share: float) -> None:
    name, files, holder = compressed(kind)
    content = files[holder]
    path = put(folder, name, {**files, holder: content[: min(int(share * len(content)), len(content) - 1)]})
    refused(path, "incomplete")


@pytest.mark.parametrize("kind", ENCODINGS)
@pytest.mark.parametrize("surplus", [bytes(1000), b"\x01", b"other bytes" * 90])
def test_bytes_after_the_end_are_said(folder: Path, kind: str, surplus: bytes) -> None:
    name, files, holder = compressed(kind)
    volume = read_ct(put(folder, name, {**files, holder: files[holder] + surplus}))
    np.testing.assert_array_equal(volume.hu_zyx, HU)
    assert any(f"{len(surplus)} byte" in w for w in volume.warnings)


class TestMembers:
    """gzip and bzip2 may hold several streams one after the other."""

    @pytest.mark.parametrize("kind", ["nii.gz", "nrrd.gzip", "nrrd.bzip2"])
    def test_are_joined(self, folder: Path, kind: str) -> None:
        plain = writers.nifti(HU) if kind == "nii.gz" else HU.tobytes()
        pack = bz2.compress if "bzip2" in kind else gzip.compress
        data = b"".join(pack(plain[k : k + 20_000]) for k in range(0, len(plain), 20_000)) + pack(b"")
        name, files, _ = compressed(kind, data)
        volume = read_ct(put(folder, name, files))
        np.testing.assert_array_equal(volume.hu_zyx, HU)
        assert volume.warnings == ()

    @pytest.mark.parametrize("kind", ["nii.gz", "nrrd.gzip", "nrrd.bzip2"])
    def test_the_last_is_cut(self, folder: Path, kind: str) -> None:
        plain = writers.nifti(HU) if kind == "nii.gz" else HU.tobytes()
        pack = bz2.compress if "bzip2" in kind else gzip.compress
        name, files, _ = compressed(kind, pack(plain[:20_000]) + pack(plain[20_000:])[:-30])
        refused(put(folder, name, files), "incomplete")

    @pytest.mark.parametrize("kind", ["nii.gz", "nrrd.gzip", "nrrd.bzip2"])
    def test_one_too_many(self, folder: Path, kind: str) -> None:
        plain = writers.nifti(HU) if kind == "nii.gz" else HU.tobytes()
        pack = bz2.compress if "bzip2" in kind else gzip.compress
        name, files, _ = compressed(kind, pack(plain) + pack(HU[:1].tobytes()))
        refused(put(folder, name, files), "more than its header says")


class TestRaw:
    @pytest.mark.parametrize("kind", RAW)
    @given(where=st.floats(0, 1), count=st.integers(1, 3000))
    @steady
    def test_bytes_inserted(self, folder: Path, kind: str, where: float, count: int) -> None:
        data, at = HU.tobytes(), int(where * HU.nbytes)
        path = put(folder, *raw(kind, data[:at] + np.random.default_rng(count).bytes(count) + data[at:]))
        refused(path, f"{count} bytes more")

    @pytest.mark.parametrize("kind", RAW)
    @given(where=st.floats(0, 0.999), count=st.integers(1, 3000))
    @steady
    def test_bytes_lost(self, folder: Path, kind: str, where: float, count: int) -> None:
        data, at = HU.tobytes(), int(where * HU.nbytes)
        refused(put(folder, *raw(kind, data[:at] + data[at + count :])), "missing")

    @pytest.mark.parametrize("kind", RAW)
    def test_zeros_to_fill_a_block_are_said(self, folder: Path, kind: str) -> None:
        volume = read_ct(put(folder, *raw(kind, HU.tobytes() + bytes(300))))
        np.testing.assert_array_equal(volume.hu_zyx, HU)
        assert any("300 zero bytes" in w for w in volume.warnings)

    @pytest.mark.parametrize("kind", RAW)
    def test_a_slice_of_zeros_is_no_filling(self, folder: Path, kind: str) -> None:
        """Zeros in front push voxels of air out at the end: no zeros there."""
        refused(put(folder, *raw(kind, bytes(HU[0].nbytes) + HU.tobytes())), "more")

    @pytest.mark.parametrize("axis", [1, 2, 3])
    @pytest.mark.parametrize("by", [-1, 1])
    @pytest.mark.parametrize("kind", ["nii", "nii.gz", "nrrd", "nrrd.gz", "mha", "mha.gz"])
    def test_a_dimension_is_wrong(self, folder: Path, kind: str, axis: int, by: int) -> None:
        sizes = list(HU.shape[::-1])
        sizes[axis - 1] += by
        packs, kind = kind.endswith(".gz"), kind.removesuffix(".gz")
        text = " ".join(map(str, sizes))
        if kind == "nii":
            content = writers.nifti(HU, dim=(3, *sizes, 1, 1, 1, 1))
            content = gzip.compress(content, 1) if packs else content
            path = put(folder, name := f"d.nii{'.gz' if packs else ''}", {name: content})
        elif kind == "nrrd":
            encoding = "gzip" if packs else "raw"
            said = {**writers.nrrd_fields(HU, encoding=encoding), "sizes": text}
            data = writers.packed(HU.tobytes(), encoding)
            path = put(folder, "d.nrrd", {"d.nrrd": writers.nrrd(said, data)})
        else:
            data = zlib.compress(HU.tobytes()) if packs else HU.tobytes()
            said = {**writers.metaimage_fields(HU, compressed=len(data) if packs else 0), "DimSize": text}
            path = put(folder, "d.mha", {"d.mha": writers.metaimage(said, data)})
        refused(path, "missing" if by > 0 else "more than its header says")

    @pytest.mark.parametrize(
        ("kind", "fields"),
        [
            ("nrrd", {"type": "int8"}), ("nrrd", {"type": "int32"}), ("nhdr", {"type": "float"}),
            ("mha", {"ElementType": "MET_CHAR"}), ("mha", {"ElementType": "MET_DOUBLE"}),
            ("mhd", {"ElementType": "MET_FLOAT"}),
        ],
    )  # fmt: skip
    def test_a_type_of_another_length(self, folder: Path, kind: str, fields: dict[str, str]) -> None:
        refused(put(folder, *raw(kind, HU.tobytes(), **fields)), "size or type")

    @pytest.mark.parametrize(("code", "bits"), [(256, 8), (256, 16), (8, 32), (64, 64), (2, 8)])
    def test_a_nifti_type_of_another_length(self, folder: Path, code: int, bits: int) -> None:
        path = put(folder, "t.nii", {"t.nii": writers.nifti(HU, datatype=code, bitpix=bits)})
        refused(path, "size or type")

    @pytest.mark.parametrize("offset", [1.0, 348.0, 351.0, -352.0, 353.5, 400.0, float("nan"), 1e30])
    def test_a_nifti_data_offset_that_cannot_be(self, folder: Path, offset: float) -> None:
        refused(put(folder, "o.nii", {"o.nii": writers.nifti(HU, vox_offset=offset)}))

    @pytest.mark.parametrize("packs", [False, True])
    def test_a_nifti_data_offset_of_zero(self, folder: Path, packs: bool) -> None:
        content = writers.nifti(HU, vox_offset=0.0)
        path = put(folder, "z.nii", {"z.nii": gzip.compress(content, 1) if packs else content})
        volume = read_ct(path)
        np.testing.assert_array_equal(volume.hu_zyx, HU)
        assert any("byte 0" in w for w in volume.warnings)

    def test_zeros_with_an_offset_of_zero(self, folder: Path) -> None:
        content = writers.nifti(HU, vox_offset=0.0)
        refused(put(folder, "z.nii", {"z.nii": content[:352] + bytes(1000) + content[352:]}))

    def test_a_nifti_bit_count_beside_the_right_type_is_said(self, folder: Path) -> None:
        volume = read_ct(put(folder, "b.nii", {"b.nii": writers.nifti(HU, bitpix=8)}))
        np.testing.assert_array_equal(volume.hu_zyx, HU)
        assert any("8 bits" in w for w in volume.warnings)


class TestNames:
    def test_compressed_under_a_plain_name_is_said(self, folder: Path) -> None:
        path = put(folder, "g.nii", {"g.nii": gzip.compress(writers.nifti(HU), 1)})
        volume = read_ct(path)
        np.testing.assert_array_equal(volume.hu_zyx, HU)
        assert any("compressed" in w for w in volume.warnings)

    def test_plain_under_a_compressed_name_is_said(self, folder: Path) -> None:
        volume = read_ct(put(folder, "p.nii.gz", {"p.nii.gz": writers.nifti(HU)}))
        assert any("not compressed" in w for w in volume.warnings)

    def test_compressed_twice(self, folder: Path) -> None:
        content = gzip.compress(gzip.compress(writers.nifti(HU), 1), 1)
        refused(put(folder, "w.nii.gz", {"w.nii.gz": content}), "compressed twice")

    @pytest.mark.parametrize("name", [b"M\xfcller.nii.gz", b"line\nbreak.nii.gz", b"esc\x1b[31m.nii.gz"])
    def test_any_bytes_in_a_name(self, folder: Path, name: bytes) -> None:
        content = gzip.compress(writers.nifti(HU), 1)
        path = Path(os.fsdecode(os.fsencode(folder) + b"/" + name))
        try:
            path.write_bytes(content)
        except OSError:
            pytest.skip("this file system takes only names in UTF-8")
        volume = read_ct(path)
        np.testing.assert_array_equal(volume.hu_zyx, HU)
        assert volume.name.isprintable()
        volume.name.encode("utf-8")
        path.write_bytes(content[:-100])
        with pytest.raises(InputError) as caught:
            read_ct(path)
        str(caught.value).encode("utf-8")
        assert volume.name in str(caught.value)

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
    def test_a_pipe_is_not_waited_for(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe.nii.gz")
        refused(tmp_path / "pipe.nii.gz", "pipe")
        os.mkfifo(tmp_path / "a.raw")
        head = writers.metaimage({**writers.metaimage_fields(HU), "ElementDataFile": "a.raw"}, b"")
        (tmp_path / "a.mhd").write_bytes(head)
        refused(tmp_path / "a.mhd", "pipe")

    @pytest.mark.parametrize("name", ["x" * 5000 + ".nii", "a\0b.nii"])
    def test_a_name_that_cannot_be(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(InputError, match="Check the path"):
            read_ct(tmp_path / name)

    @pytest.mark.parametrize(
        "value", ["ct%s.raw", "%n%n%n.raw", "ct%99999999d.raw 1 2 1", "x" * 5000, "a\0b", "%d"]
    )
    def test_data_files_that_are_no_names(self, folder: Path, value: str) -> None:
        fields = writers.nrrd_fields(HU)
        path = put(folder, "n.nhdr", {"n.nhdr": writers.nrrd({**fields, "data file": value}, b"")})
        refused(path, "data file")
        said = writers.metaimage({**writers.metaimage_fields(HU), "ElementDataFile": value}, b"")
        refused(put(folder, "n.mhd", {"n.mhd": said}), "ElementDataFile")

    def test_a_missing_data_file_names_both(self, folder: Path) -> None:
        said = writers.metaimage({**writers.metaimage_fields(HU), "ElementDataFile": "gone.raw"}, b"")
        refused(put(folder, "n.mhd", {"n.mhd": said}), "gone.raw", "one folder")

    def test_voxels_in_several_files(self, folder: Path) -> None:
        for z, plane in enumerate(HU):
            (folder / f"s{z:03d}.raw").write_bytes(plane.tobytes())
        last = len(HU) - 1
        head = writers.nrrd({**writers.nrrd_fields(HU), "data file": f"s%03d.raw 0 {last} 1"}, b"")
        np.testing.assert_array_equal(read_ct(put(folder, "m.nhdr", {"m.nhdr": head})).hu_zyx, HU)
        names = "\n".join(f"s{z:03d}.raw" for z in range(len(HU)))
        head = writers.nrrd({**writers.nrrd_fields(HU), "data file": f"LIST\n{names}"}, b"").rstrip() + b"\n"
        np.testing.assert_array_equal(read_ct(put(folder, "l.nhdr", {"l.nhdr": head})).hu_zyx, HU)
        head = writers.metaimage({**writers.metaimage_fields(HU), "ElementDataFile": f"LIST\n{names}"}, b"")
        np.testing.assert_array_equal(read_ct(put(folder, "l.mhd", {"l.mhd": head})).hu_zyx, HU)
        (folder / "s004.raw").write_bytes(HU[4].tobytes()[:-2])
        refused(folder / "l.mhd", "missing")


class TestHeaders:
    @pytest.mark.parametrize("dims", [-1, 0, 17, 2**31, 10**20])
    def test_dimensions_that_cannot_be(self, folder: Path, dims: int) -> None:
        said = writers.metaimage({**writers.metaimage_fields(HU), "NDims": str(dims)}, HU.tobytes())
        refused(put(folder, "h.mha", {"h.mha": said}), "dimensions" if abs(dims) < 2**53 else "NDims")

    def test_local_without_a_line_end(self, folder: Path) -> None:
        said = writers.metaimage(writers.metaimage_fields(HU), b"").rstrip(b"\n")
        refused(put(folder, "h.mha", {"h.mha": said}), "missing")

    @pytest.mark.parametrize("name", ["h.mha", "h.nrrd"])
    def test_a_header_without_end(self, folder: Path, name: str) -> None:
        start = b"NRRD0005\n" if name.endswith("nrrd") else b"ObjectType = Image\n"
        refused(put(folder, name, {name: start + b"# x\n" * 400_000}), "header")
        refused(put(folder, name, {name: start + b"a" * 3_000_000}), "header")

    @pytest.mark.parametrize("size", [10**9, 2**40, 2**62])
    def test_more_voxels_than_any_scan(self, folder: Path, size: int) -> None:
        said = {**writers.nrrd_fields(HU, encoding="bzip2"), "sizes": f"{size} 48 12"}
        path = put(folder, "h.nrrd", {"h.nrrd": writers.nrrd(said, writers.packed(HU.tobytes(), "bzip2"))})
        refused(path, "sizes")
        said["sizes"] = "90000 90000 90000"
        refused(put(folder, "h.nrrd", {"h.nrrd": writers.nrrd(said, b"")}), "GB of voxels")

    @pytest.mark.parametrize("encoding", ["gzip", "bzip2"])
    def test_a_trap_for_the_memory(self, folder: Path, encoding: str) -> None:
        """3 GB of voxels out of 6 MB: refused before a byte of it is made."""
        said = {**writers.nrrd_fields(HU, encoding=encoding), "sizes": "1200 1200 1000"}
        path = put(folder, "h.nrrd", {"h.nrrd": writers.nrrd(said, b"\x1f\x8b" + bytes(6_000_000))})
        refused(path, "-fold to 2.9 GB")

    @pytest.mark.parametrize("order", ["<", ">"])
    @pytest.mark.parametrize("version", [1, 2])
    @pytest.mark.parametrize("dtype", ["i2", "i4", "f4", "f8"])
    def test_nifti_1_and_2_in_both_byte_orders(
        self, folder: Path, order: str, version: int, dtype: str
    ) -> None:
        content = writers.nifti(HU.astype(dtype), version=version, order=order)
        volume = read_ct(put(folder, "v.nii", {"v.nii": content}))
        np.testing.assert_array_equal(volume.hu_zyx, HU)
        assert volume.warnings == () and volume.hu_zyx.dtype == np.int16

    def test_a_nifti_pair_says_what_to_do(self, folder: Path) -> None:
        refused(put(folder, "v.nii", {"v.nii": writers.nifti(HU, magic=b"ni1\0")}), "Convert both")

    @pytest.mark.parametrize(("slope", "inter"), [(float("inf"), 0), (1, float("nan")), (float("nan"), 5)])
    def test_a_scale_that_is_no_number(self, folder: Path, slope: float, inter: float) -> None:
        refused(
            put(folder, "v.nii", {"v.nii": writers.nifti(HU, scl_slope=slope, scl_inter=inter)}), "scales"
        )

    def test_a_scale_of_zero_with_an_offset_is_said(self, folder: Path) -> None:
        volume = read_ct(put(folder, "v.nii", {"v.nii": writers.nifti(HU, scl_slope=0, scl_inter=77)}))
        np.testing.assert_array_equal(volume.hu_zyx, HU)
        assert any("77" in w for w in volume.warnings)

    @pytest.mark.parametrize("extension", [12, -16, 0, 2**30])
    def test_an_extension_that_cannot_be(self, folder: Path, extension: int) -> None:
        content = writers.nifti(HU, extension=b"\1\0\0\0", vox_offset=384)
        block = extension.to_bytes(4, "little", signed=True) + bytes(28)
        refused(put(folder, "v.nii", {"v.nii": content[:352] + block + content[352:]}), "extension")

    def test_an_extension(self, folder: Path) -> None:
        content = writers.nifti(HU, extension=b"\1\0\0\0", vox_offset=384)
        block = (32).to_bytes(4, "little") + bytes(28)
        volume = read_ct(put(folder, "v.nii", {"v.nii": content[:352] + block + content[352:]}))
        np.testing.assert_array_equal(volume.hu_zyx, HU)
        assert volume.warnings == ()

    @pytest.mark.parametrize("encoding", ["hex", "text", "ascii"])
    def test_voxels_in_digits(self, folder: Path, encoding: str) -> None:
        data = writers.packed(HU.tobytes(), "hex") if encoding == "hex" else writers.text_values(HU)
        said = writers.nrrd(writers.nrrd_fields(HU, encoding=encoding), data)
        np.testing.assert_array_equal(read_ct(put(folder, "x.nrrd", {"x.nrrd": said})).hu_zyx, HU)
        for wrong in (data[:-9], data[:5000] + data[5010:], data.replace(b"0", b"?", 1)):
            said = writers.nrrd(writers.nrrd_fields(HU, encoding=encoding), wrong)
            refused(put(folder, "x.nrrd", {"x.nrrd": said}))

    @pytest.mark.parametrize(
        ("name", "field", "value"),
        [
            ("c.nrrd", "spacings", "0,7 0,7 5,0"),
            ("c.nrrd", "space directions", "(0,7,0,0,0,0) (0,0,0,7,0,0) (0,0,0,0,5,0)"),
            ("c.mha", "ElementSpacing", "0,7 0,7 5,0"),
            ("c.mha", "Offset", "-90,5 0 0"),
        ],
    )
    def test_decimal_commas(self, folder: Path, name: str, field: str, value: str) -> None:
        nrrd = name.endswith("nrrd")
        said = {**(writers.nrrd_fields(HU) if nrrd else writers.metaimage_fields(HU)), field: value}
        write = writers.nrrd if nrrd else writers.metaimage
        refused(put(folder, name, {name: write(said, HU.tobytes())}), "decimal commas", "English")
