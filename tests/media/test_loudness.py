import numpy as np
import pytest

from tests.media.test_audio import voice
from vidfer.media.audio import read_windows
from vidfer.media.audio_child import RATE
from vidfer.media.loudness import MOST, TARGET, LoudnessMeter, _k_weighting
from vidfer.types import Status

MEAN_LOUDNESS = 2  # column of openSMILE's pcm_loudness_sma_amean


def measure(samples, rate=RATE, pieces=1):
    meter = LoudnessMeter(rate)
    for part in np.array_split(np.asarray(samples, np.float32), pieces):
        meter.add(part)
    return meter


def sine(seconds, level, frequency=997, rate=RATE):
    return 10 ** (level / 20) * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)


def recording(seed):
    """Return voices with pauses, over noise, of some crest and length, none louder than full scale."""
    rng = np.random.default_rng(seed)
    parts = [np.zeros(rng.integers(0, 16_000))]
    for _ in range(rng.integers(1, 4)):
        parts += [rng.uniform(0.2, 1) * voice(rng.uniform(0.3, 2)), np.zeros(rng.integers(0, 16_000))]
    whole = np.concatenate(parts)
    whole += rng.uniform(1e-4, 1e-2) * rng.standard_normal(len(whole))
    return rng.uniform(0.2, 0.95) * whole / np.abs(whole).max()


def test_the_filters_are_those_of_the_recommendation():
    """Tables 1 and 2 of BS.1770, for 48 kHz."""
    shelf, high_pass = _k_weighting(48_000)
    expected = [1.53512485958697, -2.69169618940638, 1.19839281085285, 1, -1.69065929318241, 0.73248077421585]
    np.testing.assert_allclose(shelf, expected, rtol=1e-7)
    np.testing.assert_allclose(high_pass, [1, -2, 1, 1, -1.99004745483398, 0.99007225036621], rtol=1e-7)


@pytest.mark.parametrize("level", [0, -20, -60])
@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_a_sine_of_997_hz_is_3_lufs_below_its_peak(level, rate):
    assert measure(sine(3, level, rate=rate), rate).loudness() == pytest.approx(level - 3.01, abs=0.05)


def test_pauses_and_whispers_do_not_count():
    """EBU Tech 3341, case 3 in essence: a soft beginning and end leave the loudness of the middle."""
    loud, soft = sine(20, -20), sine(5, -36)
    alone = measure(loud).loudness()
    assert measure(np.concatenate([soft, loud, soft, np.zeros(90 * RATE)])).loudness() == pytest.approx(alone, abs=0.1)


def test_it_agrees_with_ffmpegs_measure(tmp_path, write_sound):
    """Its filter ebur128 measures stereo: both channels together are 3 dB louder than one."""
    av = pytest.importorskip("av")
    for seed in range(4):
        samples = recording(seed)
        path = write_sound(f"{seed}.wav", np.stack([samples, samples]), codec="pcm_f32le")
        with av.open(str(path)) as container:
            graph = av.filter.Graph()
            source = graph.add_abuffer(template=container.streams.audio[0])
            meter, sink = graph.add("ebur128", "metadata=1"), graph.add("abuffersink")
            source.link_to(meter)
            meter.link_to(sink)
            graph.configure()
            for frame in container.decode(audio=0):
                source.push(frame)
            source.push(None)
            found = []
            while True:
                try:
                    found.append(sink.pull().metadata)
                except (av.BlockingIOError, EOFError):
                    break
        told = [float(each["lavfi.r128.I"]) for each in found if "lavfi.r128.I" in each]
        assert measure(samples).loudness() + 3.01 == pytest.approx(told[-1], abs=0.3)


def test_pieces_do_not_matter():
    samples = recording(0)
    assert measure(samples, pieces=97).loudness() == pytest.approx(measure(samples).loudness(), abs=1e-6)


def test_the_weighting_equals_scipys_filters():
    from scipy.signal import sosfilt

    samples = np.random.default_rng(0).standard_normal(3 * RATE).astype(np.float32)
    samples[RATE : 2 * RATE] *= 1e-4
    meter = LoudnessMeter(RATE)
    weighted = np.concatenate([meter._weigh(part) for part in np.split(samples, [5, 6, 4000, 8001, 30_000])])
    np.testing.assert_allclose(weighted, sosfilt(_k_weighting(RATE), samples.astype(np.float64)), rtol=0, atol=1e-12)


def test_silence_gets_no_gain_and_noise_not_any_gain():
    for samples in (np.zeros(RATE), np.full(RATE, 0.9e-4), np.zeros(0)):
        assert (measure(samples).loudness(), measure(samples).gain(TARGET)) == (None, 0.0)
    hiss = 4e-5 * np.random.default_rng(0).standard_normal(RATE)
    assert measure(hiss).gain(TARGET) == MOST
    click = np.zeros(RATE)
    click[0] = 1.0
    assert measure(click + sine(1, -60)).gain(TARGET) == pytest.approx(0, abs=1e-3)  # peaks stay below full scale


@pytest.mark.parametrize("seed", range(6))
def test_the_level_of_a_recording_changes_nothing(write_sound, seed):
    """Neither the vectors, nor which windows are silent, nor where someone speaks."""
    samples = recording(seed)
    factor = np.random.default_rng(100 + seed).uniform(0.03, 1)
    plain, soft = (
        read_windows(write_sound(name, each, codec="pcm_f32le"))
        for name, each in (("a.wav", samples), ("b.wav", factor * samples))
    )
    assert soft.status is plain.status is Status.OK
    assert soft.window_status == plain.window_status
    assert soft.loudness - plain.loudness == pytest.approx(20 * np.log10(factor), abs=1e-3)
    assert plain.loudness + plain.gain <= TARGET + 1e-6
    np.testing.assert_allclose(soft.speech, plain.speech, atol=0.02)
    assert np.isclose(soft.vectors, plain.vectors, rtol=1e-2, atol=1e-3).mean() > 0.97
    raw = read_windows(write_sound("c.wav", factor * samples, codec="pcm_f32le"), loudness=None)
    assert not np.isclose(raw.vectors[:, MEAN_LOUDNESS], plain.vectors[:, MEAN_LOUDNESS], rtol=0.02).any()


def test_a_soft_16_bit_recording_is_close_to_the_loud_one(write_sound):
    """What its coarser steps have taken is lost, and no more."""
    samples = recording(3)
    loud, soft = (
        read_windows(write_sound(name, each)) for name, each in (("a.wav", samples), ("b.wav", 0.1 * samples))
    )
    assert np.isclose(soft.vectors, loud.vectors, rtol=0.1, atol=1e-2).mean() > 0.95
    np.testing.assert_allclose(soft.vectors[:, MEAN_LOUDNESS], loud.vectors[:, MEAN_LOUDNESS], rtol=0.01)


def test_samples_beyond_full_scale_do_not_change_their_sign(write_sound):
    """openSMILE makes 16-bit integers of them, in which 32768 is -32768."""
    samples = voice(2.0)
    samples *= 1.2 / np.abs(samples).max()
    over, clipped = (
        read_windows(write_sound(name, each, codec="pcm_f32le"), loudness=None)
        for name, each in (("a.wav", samples), ("b.wav", samples.clip(-1, 1 - 2**-15)))
    )
    assert np.isclose(over.vectors, clipped.vectors, rtol=1e-3, atol=1e-3).mean() > 0.97


def test_one_gain_is_for_the_whole_recording(write_sound):
    """A soft part stays softer than a loud one: what was said louder may be the expression."""
    loud, soft = voice(2.0), 0.1 * voice(2.0)
    windows = read_windows(write_sound("a.wav", np.concatenate([loud, soft]), codec="pcm_f32le"), hop_dur=2.0)
    first, second = (read_windows(write_sound(n, s, codec="pcm_f32le")) for n, s in (("b.wav", loud), ("c.wav", soft)))
    assert np.isclose(first.vectors, second.vectors, rtol=1e-2, atol=1e-3).mean() > 0.97
    assert np.isclose(windows.vectors[0], windows.vectors[1], rtol=1e-2, atol=1e-3).mean() < 0.9
