"""Pixels mean the same however they are stored; what contradicts itself is refused or told, never guessed."""

from __future__ import annotations

import signal
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from LiverLesionAILib.reading import codestreams, dicom_pixels, load_ct, read_ct
from LiverLesionAILib.reading.dicom_frames import StoredFormat
from LiverLesionAILib.reading.dicom_pixels import settled
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.support.limited_child import LimitedChild, Message
from numpy.typing import NDArray
from pydicom.uid import DeflatedExplicitVRLittleEndian
from support.ct_phantom import phantom_hu
from support.dicom_compress import LOSSLESS, LOSSY, RLE, compress, compressed_frame, replace_streams
from support.dicom_writer import axial_positions, set_pixels, write_enhanced, write_series

INTERCEPTS = [-1024.0 - 3 * (k % 7) for k in range(30)]


def edit(folder: Path, change: Callable[[pydicom.Dataset, int], None]) -> None:
    """Change every file of a series; called with the data set and its place along z."""
    for path in folder.iterdir():
        item = pydicom.dcmread(path)
        change(item, item.InstanceNumber - 1)
        item.save_as(path)


def series(folder: Path, **tags: object) -> Path:
    write_series(folder, phantom_hu(), axial_positions(30), **tags)
    return folder


def warned(folder: Path, *words: str) -> NDArray[np.int16]:
    volume = load_ct(folder)
    text = " ".join(volume.warnings)
    for word in words:
        assert word in text, text
    return volume.hu_zyx


def refused(folder: Path, *words: str) -> None:
    with pytest.raises(InputError) as caught:
        load_ct(folder)
    for word in words:
        assert word in str(caught.value), str(caught.value)


def hurry(monkeypatch: pytest.MonkeyPatch, when: Callable[[LimitedChild, Message], bool]) -> None:
    """A decoder has a second for what `when` says, and as long as a busy machine takes for anything else."""
    ask = LimitedChild.ask

    def hurried(self: LimitedChild, request: Message, timeout_s: float) -> tuple[Message, bytes]:
        return ask(self, request, 1.0 if when(self, request) else 300.0)

    monkeypatch.setattr(LimitedChild, "ask", hurried)


class TestEverySyntax:
    """Single frames and enhanced files whose frames differ in rescale, with padding."""

    @pytest.mark.parametrize("syntax", LOSSLESS.values(), ids=LOSSLESS.keys())
    def test_frames_with_their_own_rescale(self, tmp_path: Path, syntax: str) -> None:
        hu = phantom_hu()
        hu[:, :4] = -2000
        path = tmp_path / "e.dcm"
        intercepts = [-2048.0 - 3 * (k % 7) for k in range(30)]
        write_enhanced(path, hu, axial_positions(30), intercepts=intercepts)
        item = pydicom.dcmread(path)
        item.add_new("PixelPaddingValue", "US", 48)
        item.save_as(path)
        plain = read_ct(path)
        assert (plain.hu_zyx[0, :4] == -1024).all()
        np.testing.assert_array_equal(plain.hu_zyx[:, 4:], hu[:, 4:])
        compress(path, syntax, tmp_path / "scratch")
        packed = read_ct(path)
        np.testing.assert_array_equal(packed.hu_zyx, plain.hu_zyx)
        assert packed.warnings == plain.warnings

    @pytest.mark.parametrize("syntax", LOSSLESS.values(), ids=LOSSLESS.keys())
    @pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
    def test_slices(self, tmp_path: Path, syntax: str, signed: bool) -> None:
        folder = series(tmp_path / "ct", intercepts=[0.0 if signed else -1024.0] * 30)
        if signed:
            edit(folder, lambda item, k: set_pixels(item, phantom_hu()[k]))
        for path in folder.iterdir():
            compress(path, syntax, tmp_path / "scratch")
        np.testing.assert_array_equal(read_ct(folder).hu_zyx, phantom_hu())

    @pytest.mark.parametrize("syntax", LOSSY.values(), ids=LOSSY.keys())
    def test_lossy(self, tmp_path: Path, syntax: str) -> None:
        folder = series(tmp_path / "ct")
        for path in folder.iterdir():
            compress(path, syntax, tmp_path / "scratch")
        assert np.abs(read_ct(folder).hu_zyx.astype(int) - phantom_hu()).mean() < 10

    def test_deflated_and_big_endian(self, tmp_path: Path) -> None:
        folder = series(tmp_path / "ct")
        for k, path in enumerate(sorted(folder.iterdir())):
            item = pydicom.dcmread(path)
            if k % 2:
                item.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
                item.save_as(path)
            else:
                item.PixelData = item.pixel_array.astype(">u2").tobytes()
                item.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRBigEndian
                pydicom.dcmwrite(path, item, implicit_vr=False, little_endian=False)
        volume = read_ct(folder)
        np.testing.assert_array_equal(volume.hu_zyx, phantom_hu())
        assert any("transfer syntax" in note for note in volume.notes)


class TestUnusedBits:
    @settings(deadline=None, max_examples=60)
    @given(
        st.integers(2, 16),
        st.booleans(),
        st.integers(0, 2**31),
        st.sampled_from(["clean", "extended", "overlay"]),
    )
    def test_values_of_any_width(self, bits: int, signed: bool, seed: int, above: str) -> None:
        """The unused bits may be zero, repeat the sign or hold overlays."""
        low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if signed else (0, 2**bits)
        values = np.random.default_rng(seed).integers(low, high, (5, 7))
        words = values.astype(np.uint16)
        if above == "clean" or (above == "extended" and not signed):
            words &= np.uint16(2**bits - 1)
        if above == "overlay":
            words = (words & np.uint16(2**bits - 1)) | np.uint16(0xFFFF ^ (2**bits - 1))
        stored = StoredFormat("", 1, 16, bits, bits - 1, signed, "MONOCHROME2", above == "overlay")
        result, remarks = settled(words.view(np.int16 if signed else np.uint16), stored)
        np.testing.assert_array_equal(result, values)
        assert remarks == []

    @pytest.mark.parametrize("packed", [False, True])
    def test_values_that_need_more_bits(self, tmp_path: Path, packed: bool) -> None:
        folder = series(tmp_path / "ct")
        if packed:
            for path in folder.iterdir():
                compress(path, RLE, tmp_path / "scratch")
        edit(folder, lambda item, k: (setattr(item, "BitsStored", 8), setattr(item, "HighBit", 7)))
        refused(folder, "more bits than its header says (BitsStored 8)", "export them again")

    @pytest.mark.parametrize("packed", [False, True])
    def test_high_bit_that_does_not_fit(self, tmp_path: Path, packed: bool) -> None:
        folder = series(tmp_path / "ct")
        if packed:
            for path in folder.iterdir():
                compress(path, RLE, tmp_path / "scratch")
        edit(folder, lambda item, k: (setattr(item, "BitsStored", 12), setattr(item, "HighBit", 15)))
        np.testing.assert_array_equal(warned(folder, "BitsStored 12 and HighBit 15"), phantom_hu())

    def test_values_in_the_upper_bits(self, tmp_path: Path) -> None:
        folder = series(tmp_path / "ct")

        def shift(item: pydicom.Dataset, k: int) -> None:
            set_pixels(item, (item.pixel_array << 4).astype(np.uint16))
            item.BitsStored, item.HighBit = 12, 15

        edit(folder, shift)
        np.testing.assert_array_equal(warned(folder, "upper bits"), phantom_hu())

    def test_padding_beyond_the_stored_bits(self, tmp_path: Path) -> None:
        folder = series(tmp_path / "ct")

        def pad(item: pydicom.Dataset, k: int) -> None:
            stored = item.pixel_array.copy()
            stored[:3] = 63536
            set_pixels(item, stored)
            item.BitsStored, item.HighBit = 12, 11
            item.add_new("PixelPaddingValue", "US", 63536)

        edit(folder, pad)
        read = read_ct(folder).hu_zyx
        assert (read[:, :3] == -1024).all()
        np.testing.assert_array_equal(read[:, 3:], phantom_hu()[:, 3:])


class TestHeadersThatContradict:
    @pytest.mark.parametrize("value", ["", "0", None])
    def test_slope_that_is_none(self, tmp_path: Path, value: str | None) -> None:
        folder = series(tmp_path / "ct")

        def change(item: pydicom.Dataset, k: int) -> None:
            if value is None:
                del item.RescaleSlope
            else:
                item.RescaleSlope = value

        edit(folder, change)
        np.testing.assert_array_equal(warned(folder, "rescale slope", "air must be -1000"), phantom_hu())

    def test_monochrome_1_is_told_and_changes_nothing(self, tmp_path: Path) -> None:
        folder = series(tmp_path / "ct", PhotometricInterpretation="MONOCHROME1")
        np.testing.assert_array_equal(warned(folder, "All slices", "MONOCHROME1"), phantom_hu())
        for path in folder.iterdir():
            compress(path, RLE, tmp_path / "scratch")
        np.testing.assert_array_equal(warned(folder, "MONOCHROME1"), phantom_hu())

    def test_some_inverted(self, tmp_path: Path) -> None:
        kinds = ["MONOCHROME1" if k < 4 else "MONOCHROME2" for k in range(30)]
        warned(series(tmp_path / "ct", PhotometricInterpretation=kinds), "4 of 30 slices", "MONOCHROME1")

    def test_colour_is_refused(self, tmp_path: Path) -> None:
        refused(series(tmp_path / "ct", PhotometricInterpretation="PALETTE COLOR"), "colour")

    def test_slices_may_differ_in_slope_and_bits(self, tmp_path: Path) -> None:
        folder = series(tmp_path / "ct", slopes=[1.0 + (k % 2) for k in range(30)])
        edit(
            folder,
            lambda item, k: (setattr(item, "BitsStored", 16 - k % 2), setattr(item, "HighBit", 15 - k % 2)),
        )
        volume = read_ct(folder)
        assert np.abs(volume.hu_zyx.astype(int) - phantom_hu()).max() <= 1
        text = " ".join(volume.notes)
        assert "rescale slope" in text
        assert "stored bits" in text

    def test_positions_against_numbers_and_locations(self, tmp_path: Path) -> None:
        positions = axial_positions(30)
        locations = list(positions[:, 2])
        positions[[10, 17]] = positions[[17, 10]]
        write_series(tmp_path / "ct", phantom_hu(), positions, SliceLocation=locations)
        warned(tmp_path / "ct", "positions of 2 slices contradict", "instance numbers and slice locations")

    @pytest.mark.parametrize("numbers", ["falling", "shuffled", "same"])
    def test_numbers_that_say_nothing_are_no_contradiction(self, tmp_path: Path, numbers: str) -> None:
        order = {"falling": range(30, 0, -1), "shuffled": np.random.default_rng(1).permutation(30) + 1}
        folder = series(tmp_path / "ct", InstanceNumber=[int(k) for k in order.get(numbers, [1] * 30)])
        assert load_ct(folder).warnings == ()

    def test_locations_of_a_tilted_gantry_are_no_contradiction(self, tmp_path: Path) -> None:
        """They are counted along the table, positions along the normal of the slices."""
        angle = np.radians(10)
        column = (0, np.cos(angle), np.sin(angle))
        positions = axial_positions(30)
        write_series(
            tmp_path / "ct", phantom_hu(), positions, orientation=(1, 0, 0, *column),
            SliceLocation=[-z for z in positions[:, 2]],
        )  # fmt: skip
        assert not any("contradict" in w for w in load_ct(tmp_path / "ct").warnings)

    def test_every_second_slice_gone(self, tmp_path: Path) -> None:
        write_series(
            tmp_path / "ct", phantom_hu()[::2], axial_positions(30)[::2], InstanceNumber=list(range(1, 31, 2))
        )
        warned(tmp_path / "ct", "Of every 2 images only one is there (numbers 1, 3, 5 ...)")
        write_series(tmp_path / "gap", phantom_hu()[::2], axial_positions(30)[::2], SliceThickness="5")
        warned(tmp_path / "gap", "5 mm thick and 10.0 mm apart")

    def test_some_slices_of_another_kernel(self, tmp_path: Path) -> None:
        kernels = ["B30f"] * 28 + ["B70f"] * 2
        warned(series(tmp_path / "ct", ConvolutionKernel=kernels), "2 of 30 slices", "kernel")

    def test_decimal_commas(self, tmp_path: Path) -> None:
        folder = series(tmp_path / "ct")
        for path in folder.iterdir():
            path.write_bytes(path.read_bytes().replace(b"3.0\\3.0 ", b"3,0\\3,0 "))
        refused(folder, "PixelSpacing is written with decimal commas (3,0\\3,0)", "export them again")

    def test_slices_dropped_beside_an_opened_file(self, tmp_path: Path) -> None:
        folder = series(tmp_path / "ct")
        one, two, *_ = sorted(folder.iterdir())
        two.write_bytes(two.read_bytes()[:3000])
        volume = load_ct(one)
        assert any(two.name in w and "incomplete" in w for w in volume.warnings)

    def test_images_of_another_size_are_not_dropped_silently(self, tmp_path: Path) -> None:
        folder = series(tmp_path / "ct")
        victim = sorted(folder.iterdir())[3]
        item = pydicom.dcmread(victim)
        set_pixels(item, item.pixel_array[:60])
        item.save_as(victim)
        warned(folder, "1 image of the series", victim.name, "size", "10.0 mm between")


class TestLengths:
    def test_surplus_bytes(self, tmp_path: Path) -> None:
        folder = series(tmp_path / "ct")
        edit(
            folder,
            lambda item, k: setattr(item, "PixelData", item.PixelData + b"\0" * (1000 if k == 3 else 0)),
        )
        np.testing.assert_array_equal(warned(folder, "One image has 1000 bytes more"), phantom_hu())

    def test_bytes_inserted_and_appended(self, tmp_path: Path) -> None:
        """The element's length stays: what is pushed out stands behind it."""
        folder = series(tmp_path / "ct")
        one, two, *_ = sorted(folder.iterdir())
        raw = one.read_bytes()
        one.write_bytes(raw[:-4000] + bytes(1000) + raw[-4000:])
        warned(folder, "1000 bytes behind its pixel data")
        two.write_bytes(two.read_bytes() + bytes(500))
        warned(folder, "500 bytes behind its pixel data")

    def test_million_frames(self, tmp_path: Path) -> None:
        write_enhanced(tmp_path / "e.dcm", phantom_hu(), axial_positions(30))
        for syntax in ("", RLE):
            if syntax:
                compress(tmp_path / "e.dcm", syntax, tmp_path / "scratch")
            item = pydicom.dcmread(tmp_path / "e.dcm")
            item.NumberOfFrames = 1_000_000
            item.save_as(tmp_path / "m.dcm")
            refused(tmp_path / "m.dcm", "1000000 frames and describes 30")
            del item.PerFrameFunctionalGroupsSequence
            item.save_as(tmp_path / "m.dcm")
            refused(tmp_path / "m.dcm", "m.dcm")

    def test_frames_without_a_position_are_told(self, tmp_path: Path) -> None:
        write_enhanced(tmp_path / "e.dcm", phantom_hu(), axial_positions(30))
        item = pydicom.dcmread(tmp_path / "e.dcm")
        for k in (3, 9, 14, 15, 21, 26):
            del item.PerFrameFunctionalGroupsSequence[k].PlanePositionSequence
        item.save_as(tmp_path / "e.dcm")
        warned(tmp_path / "e.dcm", "6 images of the series", "where in the patient", "missing")

    @pytest.mark.parametrize("change", ["short", "long", "segments", "offset"])
    def test_run_lengths(self, tmp_path: Path, change: str) -> None:
        folder = series(tmp_path / "ct")
        for path in folder.iterdir():
            compress(path, RLE, tmp_path / "scratch")
        victim = sorted(folder.iterdir())[5]
        item = pydicom.dcmread(victim)
        (stream,) = pydicom.encaps.generate_frames(item.PixelData, number_of_frames=1)
        bad = bytearray(stream)
        if change == "short":
            bad = bad[: len(bad) // 2]
        elif change == "long":
            bad += bytes([127] * 200)
        elif change == "segments":
            bad[0] = 3
        else:
            struct.pack_into("<I", bad, 8, len(bad) + 10)
        replace_streams(victim, [bytes(bad)], RLE)
        warned(folder, "1 damaged slice file left out", victim.name, "run-length")

    def test_too_few_compressed_frames(self, tmp_path: Path) -> None:
        write_enhanced(tmp_path / "e.dcm", phantom_hu(), axial_positions(30))
        compress(tmp_path / "e.dcm", RLE, tmp_path / "scratch")
        item = pydicom.dcmread(tmp_path / "e.dcm")
        streams = list(pydicom.encaps.generate_frames(item.PixelData, number_of_frames=30))
        replace_streams(tmp_path / "e.dcm", streams[:20], RLE)
        refused(tmp_path / "e.dcm", "says that it has 30 images and holds 20")


class TestDamagedStreams:
    """Decoding cannot take the program along."""

    @pytest.fixture
    def jpeg_2000(self, tmp_path: Path) -> Path:
        folder = series(tmp_path / "ct")
        for path in folder.iterdir():
            compress(path, LOSSLESS["JPEG 2000 lossless"], tmp_path / "scratch")
        return folder

    def stream(self, path: Path) -> bytes:
        (stream,) = pydicom.encaps.generate_frames(pydicom.dcmread(path).PixelData, number_of_frames=1)
        return stream

    def test_sizes_that_would_take_all_memory(self, jpeg_2000: Path) -> None:
        victim = sorted(jpeg_2000.iterdir())[4]
        bad = bytearray(self.stream(victim))
        struct.pack_into(">2I", bad, 8, 60000, 60000)
        struct.pack_into(">2I", bad, 24, 60000, 60000)
        replace_streams(victim, [bytes(bad)], LOSSLESS["JPEG 2000 lossless"])
        warned(jpeg_2000, victim.name, "60000 x 60000 pixels, its header says 64 x 64")

    def test_cut_short(self, jpeg_2000: Path) -> None:
        victim = sorted(jpeg_2000.iterdir())[4]
        replace_streams(victim, [self.stream(victim)[:-40]], LOSSLESS["JPEG 2000 lossless"])
        warned(jpeg_2000, victim.name, "cut short")

    @pytest.mark.parametrize("gone", [1, 60, 300])
    def test_a_part_shorter_than_it_says(self, jpeg_2000: Path, gone: int) -> None:
        """The file's end is lost with the last bytes of the stream: libraries read on as if it were whole."""
        victim = sorted(jpeg_2000.iterdir())[4]
        victim.write_bytes(victim.read_bytes()[: -8 - gone])
        warned(jpeg_2000, victim.name, "left out")

    @pytest.mark.parametrize(
        ("code", "words"),
        [
            ("import os; os.abort()", "crashed"),
            ("import time; time.sleep(600)", "does not end"),
            ("kept = b'1' * 4_000_000_000", "memory"),
        ],
    )
    def test_decoder_that_breaks(
        self, jpeg_2000: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, words: str
    ) -> None:
        """On one slice: the others are read, by a new process."""
        child = "from LiverLesionAILib.reading import dicom_decode_child as real\n"
        child += "from LiverLesionAILib.support.limited_child import serve\n"
        child += "def handle(request):\n"
        child += f"    if '{sorted(jpeg_2000.iterdir())[4].name}' in request['path']:\n        {code}\n"
        child += "    return real.handle(request)\nserve(handle)\n"
        (tmp_path / "broken_decoder.py").write_text(child)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
        monkeypatch.setattr(dicom_pixels, "CHILD", "broken_decoder")
        victim = sorted(jpeg_2000.iterdir())[4].name
        hurry(monkeypatch, lambda _, request: "sleep" in code and victim in request["path"])
        read = warned(jpeg_2000, "1 damaged slice file left out", words, "10.0 mm between")
        assert read.shape == (30, 64, 64)

    @pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="a signal of POSIX systems")
    def test_a_decoder_is_kept_while_many_are_read(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It reads anew what stands under an old name, is not kept after a crash, and ends with the block."""
        folder = series(tmp_path / "ct")
        for path in folder.iterdir():
            compress(path, RLE, tmp_path / "scratch")
        with dicom_pixels.kept_decoder():
            np.testing.assert_array_equal(load_ct(folder).hu_zyx, phantom_hu())
            (child,) = dicom_pixels._kept.get().values()
            process = child._process
            by_place = {pydicom.dcmread(path).InstanceNumber - 1: path for path in folder.iterdir()}
            stream = compressed_frame(np.full((64, 64), 1031, np.uint16), RLE, tmp_path / "scratch")
            replace_streams(by_place[29], [stream], RLE)
            assert (load_ct(folder).hu_zyx[29] == 7).all()
            assert child._process is process and process.poll() is None
            hurry(monkeypatch, lambda asked, _: asked._process is process)
            process.send_signal(signal.SIGSTOP)
            warned(folder, "does not end")
            assert process.poll() is not None and not dicom_pixels._kept.get()
            monkeypatch.undo()
            load_ct(folder)
            (child,) = dicom_pixels._kept.get().values()
            process = child._process
        assert process.poll() is not None and dicom_pixels._kept.get() is None

    @settings(deadline=None, max_examples=60)
    @given(st.data())
    def test_no_stream_breaks_its_header_reader(self, data: st.DataObject) -> None:
        head = data.draw(st.sampled_from([b"\xff\xd8\xff\xc3", b"\xff\x4f\xff\x51", b"\xff\xd8", b""]))
        stream = head + data.draw(st.binary(max_size=120))
        try:
            codestreams.stream_header(stream)
            codestreams.decode_rle(stream, 64, 2)
        except ValueError:
            pass

    def test_deflate_bomb(self, tmp_path: Path) -> None:
        folder = series(tmp_path / "ct")
        path = sorted(folder.iterdir())[0]
        item = pydicom.dcmread(path)
        item.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
        item.save_as(path)
        raw = path.read_bytes()
        start = 144 + int.from_bytes(raw[140:144], "little")
        pack = zlib.compressobj(9, wbits=-15)
        body = zlib.decompress(raw[start:], -15)
        head = pack.compress(body) + pack.flush(zlib.Z_FULL_FLUSH)
        # Behind a full flush the same zeros are the same bytes.
        zeros = pack.compress(bytes(1 << 24)) + pack.flush(zlib.Z_FULL_FLUSH)
        path.write_bytes(raw[:start] + head + 100 * zeros + pack.flush())
        warned(folder, path.name, "1.5 GB")


def test_the_header_of_a_stream_is_read(tmp_path: Path) -> None:
    stored = np.arange(48, dtype=np.uint16).reshape(6, 8)
    for syntax in (*LOSSLESS.values(), *LOSSY.values()):
        if syntax != RLE:
            header = codestreams.stream_header(compressed_frame(stored, syntax, tmp_path))
            assert (header.rows, header.columns, header.components, header.bits) == (6, 8, 1, 16)


@given(lengths=st.lists(st.integers(0, 40), min_size=1, max_size=4), cut=st.integers(1, 30))
def test_items_have_the_lengths_they_say(lengths: list[int], cut: int) -> None:
    parts = [b"\xfe\xff\x00\xe0" + struct.pack("<I", n) + bytes(n) for n in lengths]
    codestreams.require_whole_items(b"".join(parts))
    codestreams.require_whole_items(b"".join(parts) + b"\xfe\xff\xdd\xe0" + bytes(4))
    if cut <= lengths[-1]:
        with pytest.raises(ValueError, match="shorter than it says"):
            codestreams.require_whole_items(b"".join(parts)[:-cut])
    with pytest.raises(ValueError, match="lengths they say"):
        codestreams.require_whole_items(b"".join(parts) + bytes(8) + parts[0])
