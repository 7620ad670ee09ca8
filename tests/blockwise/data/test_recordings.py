"""Folders of sounds: spectra by hand, what is resampled and said, speakers apart, and what cannot be read."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pets import Load, refusal

from blockwise.data import SignalAugment
from blockwise.data.log_mel import LogMel
from blockwise.data.recordings import PACKAGES
from blockwise.system.notes import Note
from devices.errors import InputError

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("librosa")

RATE = 8000
TONES = {"high": 1500.0, "low": 300.0}


def tone(hertz: float, rate: int = RATE, seconds: float = 0.5, channels: int = 1, seed: int = 0) -> Any:
    draw = np.random.default_rng(seed)
    wave = 0.4 * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate + draw.uniform(0, 6))
    return np.repeat((wave + draw.normal(0, 0.01, wave.shape))[:, None], channels, 1)


def write(root: Path, speakers: int = 4, test: bool = True) -> Path:
    """Two tones, each spoken twice by every speaker, named as Speech Commands does."""
    for number, (name, hertz) in enumerate(TONES.items()):
        for speaker in range(speakers + 2 * test):
            folder = root / ("train" if speaker < speakers else "test") / name
            folder.mkdir(parents=True, exist_ok=True)
            for again in range(2):
                wave = tone(hertz, seed=100 * number + 10 * speaker + again)
                soundfile.write(folder / f"s{speaker}_nohash_{again}.wav", wave, RATE)
    return root


@pytest.mark.slow
def test_a_spectrum_is_that_of_the_definition() -> None:
    """Against NumPy's transform, window by window, and the filters of librosa."""
    from librosa.filters import mel

    sound = tone(700, rate=16000, seconds=1.0)[:, 0].astype(np.float32)
    found = LogMel(16000, 10)(sound[None])
    assert found.shape == (1, 1, 49, 10)  # as in arXiv 1711.07128
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(640) / 640)
    for number in (0, 17, 48):
        part = sound[number * 320 : number * 320 + 640].astype(np.float64) * window
        power = np.abs(np.fft.rfft(part, 1024)) ** 2
        expected = np.log(mel(sr=16000, n_fft=1024, n_mels=10, fmin=20.0) @ power + 1e-6)
        np.testing.assert_allclose(found[0, 0, number].numpy(), expected, rtol=2e-3, atol=2e-3)


def test_a_tone_is_loudest_in_its_band() -> None:
    from librosa import mel_frequencies

    sound = np.stack([tone(hertz)[:, 0] for hertz in (300.0, 1500.0)]).astype(np.float32)
    loudest = LogMel(RATE, 40)(sound).mean((1, 2)).argmax(1).tolist()
    centres = mel_frequencies(n_mels=42, fmin=20.0, fmax=RATE / 2)[1:-1]
    assert loudest == [int(np.abs(centres - hertz).argmin()) for hertz in (300, 1500)]


@pytest.mark.parametrize(
    ("features", "shape"),
    [(None, (1, 24, 40)), ("log-mel", (1, 24, 40)), ("log-mel:10", (1, 24, 10)), ("waveform", (1, 4000))],
)
def test_a_folder_of_sounds_is_a_set_whose_speakers_are_apart(
    features: str | None, shape: tuple[int, ...], tmp_path: Path, read: Load
) -> None:
    with pytest.warns(Note, match="of 0.5 s at 8,000 Hz"):
        found = read(write(tmp_path / "tones"), features=features, validation=0.25)
    assert found.in_shape == shape and found.classes == ("high", "low") and found.scaling is not None
    speakers = [found.groups_in(split) for split in (found.train, found.validation, found.test)]
    assert [len(names) for names in speakers] == [3, 1, 2] and speakers[2] == ("s4", "s5")
    assert isinstance(found.policy, SignalAugment) and found.policy.shift == shape[1] // 20
    assert int(found.train.images.min()) == 0 and int(found.train.images.max()) == 255


def test_the_second_reading_is_from_the_cache_and_says_the_same(
    tmp_path: Path, read: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write(tmp_path / "tones")
    with pytest.warns(Note, match="log-mel spectra of 40 bands") as first:
        one = read(root)
    monkeypatch.setattr(soundfile, "read", None)
    with pytest.warns(Note) as second:
        two = read(root)
    assert [str(w.message) for w in first] == [str(w.message) for w in second]
    assert torch.equal(one.train.images, two.train.images) and one.fingerprint == two.fingerprint


def test_another_rate_other_lengths_and_two_channels_are_brought_to_those_of_most_and_it_says_so(
    tmp_path: Path, read: Load
) -> None:
    root = write(tmp_path / "tones")
    high = root / "train" / "high"
    soundfile.write(high / "s0_nohash_0.wav", tone(1500, rate=44100), 44100)
    soundfile.write(high / "s1_nohash_0.wav", tone(1500, seconds=0.4, channels=2), RATE)
    soundfile.write(high / "s2_nohash_0.wav", tone(1500, seconds=0.7), RATE)
    with pytest.warns(Note) as told:
        found = read(root, features="waveform", validation=0.2)
    text = "\n".join(str(w.message) for w in told)
    for words in (
        "1 of 24 recordings of another rate are resampled to 8,000 Hz",
        "1 of 24 recordings of several channels are mixed to one",
        "1 of 24 recordings are shorter than 0.5 s and end in silence",
        "1 of 24 recordings are longer than 0.5 s and lose their end",
    ):
        assert words in text
    assert found.in_shape == (1, 4000)
    waves = torch.cat([found.train.images, found.validation.images]).double() - 127.5
    # whatever the rate was, the tone of 1,500 Hz stands at 1,500 Hz: 0.5 s have it at 750
    labels = torch.cat([found.train.labels, found.validation.labels])
    peaks = (
        torch.fft.rfft(waves[labels == 0, 0] - waves[labels == 0, 0].mean(1, keepdim=True)).abs().argmax(1)
    )
    assert int((peaks - 750).abs().max()) <= 1


def test_sounds_of_folders_within_the_classes_are_groups_of_those_without_test(
    tmp_path: Path, read: Load
) -> None:
    for name, hertz in TONES.items():
        for room in ("bath", "hall", "kitchen", "stairs", "yard"):
            folder = tmp_path / "rooms" / "train" / name / room
            folder.mkdir(parents=True)
            for i in range(2):
                soundfile.write(folder / f"{i}.WAV", tone(hertz, seed=i), RATE)
    with pytest.warns(Note, match="no test samples: 4 of 20 samples are held out for test, by group"):
        found = read(tmp_path / "rooms")
    assert len(found.groups_in(found.train)) == 3


def test_a_recording_of_nobody_is_a_group_of_its_own_and_speakers_stay_apart(
    tmp_path: Path, read: Load
) -> None:
    root = write(tmp_path / "tones")
    shutil.rmtree(root / "test")
    silence = root / "train" / "silence" / "deep" / "down"
    silence.mkdir(parents=True)
    for i in range(6):
        soundfile.write(silence.parent.parent / f"{i}.wav", 0.01 * tone(20, seed=i), RATE)
    silence.rmdir()
    with pytest.warns(Note, match="samples are held out for test, by group"):
        found = read(root)
    apart = [set(found.groups_in(split)) for split in (found.train, found.test)]
    assert not apart[0] & apart[1] and {"s0", "s1", "s2", "s3"} <= set.union(
        *apart, found.groups_in(found.validation)
    )


def test_groups_are_left_aside_where_every_class_has_one_alone_and_it_says_so(
    tmp_path: Path, read: Load
) -> None:
    root = write(tmp_path / "tones")
    shutil.rmtree(root / "test")
    for number, folder in enumerate(sorted((root / "train").iterdir())):
        shutil.rmtree(folder)
        folder.mkdir()
        for i in range(6):
            path = folder / f"s{number}_nohash_{i}.wav"
            soundfile.write(path, tone(300 + 200 * number, seed=i), RATE)
    with pytest.warns(Note, match="groups are left aside, for class .* has one alone, s0"):
        assert read(root).groups == ()


def test_groups_are_left_aside_where_a_class_has_one_alone_and_it_says_so(tmp_path: Path, read: Load) -> None:
    root = write(tmp_path / "tones")
    shutil.rmtree(root / "test")
    for i in range(6):
        soundfile.write(root / "train" / "low" / f"s0_nohash_{9 + i}.wav", tone(300, seed=i), RATE)
    for file in (root / "train" / "low").glob("s[1-9]_*"):
        file.unlink()
    with pytest.warns(Note, match="groups are left aside, for class low has one alone, s0") as told:
        found = read(root)
    assert found.groups_in(found.test) == ()
    assert any("class by class" in str(w.message) for w in told)


def test_speakers_in_both_parts_are_told(tmp_path: Path, read: Load) -> None:
    root = write(tmp_path / "tones")
    soundfile.write(root / "test" / "low" / "s1_nohash_7.wav", tone(300), RATE)
    with pytest.warns(Note, match="1 group stands in both training and test: s1"):
        read(root)


def test_sounds_are_found_however_deep_they_lie(tmp_path: Path, read: Load) -> None:
    for name, hertz in TONES.items():
        for room in ("bath", "hall", "yard"):
            folder = tmp_path / "deep" / "train" / name / room / "monday"
            folder.mkdir(parents=True)
            for i in range(2):
                soundfile.write(folder / f"{i}.wav", tone(hertz, seed=i), RATE)
    found = read(tmp_path / "deep")
    assert found.in_shape[0] == 1 and len(found.groups_in(found.train)) == 1


@pytest.mark.parametrize(
    ("loudness", "got"), [(0.0, "values that all have one value"), (1e25, "values too large or none")]
)
def test_silence_and_what_is_louder_than_numbers_go_is_refused(
    loudness: float, got: str, tmp_path: Path, read: Load
) -> None:
    for name in TONES:
        (tmp_path / "odd" / "train" / name).mkdir(parents=True)
        for i in range(4):
            path = tmp_path / "odd" / "train" / name / f"{i}.wav"
            soundfile.write(path, loudness * tone(300, seed=i).astype(np.float64), RATE, subtype="FLOAT")
    with pytest.raises(InputError, match=got):
        read(tmp_path / "odd")


def test_what_cannot_be_read_gets_one_line(tmp_path: Path, read: Load) -> None:
    root = write(tmp_path / "tones")
    broken = root / "train" / "low" / "s1_nohash_0.wav"
    whole = broken.read_bytes()
    broken.write_bytes(b"no sound at all")
    assert refusal(read, root).startswith(f"recording {broken}: got a damaged or unreadable file")
    soundfile.write(broken, np.zeros((0, 1)), RATE)
    assert f"recording {broken}: got no sound" in refusal(read, root)
    soundfile.write(broken, np.full(4000, np.nan), RATE, subtype="FLOAT")
    assert f"recording {broken}: got values that are no numbers" in refusal(read, root)
    broken.write_bytes(whole)
    assert "--features: got 'mfcc', wanted one of log-mel, waveform" in refusal(read, root, features="mfcc")
    assert "--features: got 'log-mel:x', wanted log-mel:BANDS" in refusal(read, root, features="log-mel:x")
    (root / "train" / "empty").mkdir()
    assert "recording folder" in refusal(read, root) and "no recordings" in refusal(read, root)


def test_features_of_what_are_no_sounds_are_refused(root: Path, read: Load) -> None:
    assert "--features: got data digits, wanted a folder" in refusal(read, Path("digits"), features="log-mel")
    assert "wanted a folder train/CLASS/ of .wav files" in refusal(read, root, features="log-mel")


def test_sounds_too_short_for_a_window_are_refused(tmp_path: Path, read: Load) -> None:
    for name, hertz in TONES.items():
        (tmp_path / "short" / "train" / name).mkdir(parents=True)
        for i in range(4):
            soundfile.write(tmp_path / "short" / "train" / name / f"{i}.wav", tone(hertz, seconds=0.02), RATE)
    assert "got recordings of 20 ms, wanted at least one window of 40 ms" in refusal(read, tmp_path / "short")


def test_so_are_rates_with_less_than_a_value_from_window_to_window(tmp_path: Path, read: Load) -> None:
    for name in TONES:
        (tmp_path / "slow" / "train" / name).mkdir(parents=True)
        for i in range(4):
            soundfile.write(tmp_path / "slow" / "train" / name / f"{i}.wav", np.zeros(100), 40)
    assert "got recordings of 40 values a second, wanted at least one" in refusal(read, tmp_path / "slow")


@pytest.mark.parametrize("package", PACKAGES)
def test_without_a_package_one_line_says_what_to_install(
    package: str, tmp_path: Path, read: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    from importlib.metadata import PackageNotFoundError

    from blockwise.data import recordings

    def version(name: str) -> str:
        if name == package:
            raise PackageNotFoundError(name)
        return "1"

    monkeypatch.setattr(recordings, "version", version)
    text = refusal(read, write(tmp_path / "tones"))
    assert f"got no package {package}" in text and "pip install '.[audio]'" in text
