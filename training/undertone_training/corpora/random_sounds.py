"""Random sounds without speech, which teach the speech detector what does not count as speech.

Each call makes another sound.  None of them is among ``corpora.synthetic_sounds``, which only
test: those are fixed, and made by other code.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, lfilter, sosfilt

from undertone.audio.block import SAMPLE_RATE_HZ

Sound = NDArray[np.float64]
"""Samples at ``SAMPLE_RATE_HZ``, of any level."""

Generator = np.random.Generator

_SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 3, 5, 7, 10), (0, 2, 4, 7, 9))
_HIGHEST_HZ = 7600.0


def coloured_noise(generator: Generator, duration_s: float) -> Sound:
    """Steady noise whose power falls with a random slope, through a random band."""
    n = _samples(duration_s)
    spectrum = np.fft.rfft(generator.normal(size=n))
    hertz = np.maximum(np.fft.rfftfreq(n, 1 / SAMPLE_RATE_HZ), 30.0)
    sound: Sound = np.fft.irfft(spectrum * hertz ** (-generator.uniform(0, 2.2) / 2), n)
    if generator.random() < 0.4:
        sound = _band(generator, sound)
    return _unit(sound)


def _wind(generator: Generator, duration_s: float) -> Sound:
    """Gusts: noise whose level and cut-off wander slowly."""
    rate_hz = generator.uniform(0.1, 1.5)
    depth_db = generator.uniform(5, 25)
    gusts = 10 ** (depth_db * _wandering(generator, duration_s, rate_hz) / 20)
    return _unit(coloured_noise(generator, duration_s) * gusts)


def _rain(generator: Generator, duration_s: float) -> Sound:
    """Rain, applause, frying: very many short impulses through a resonance."""
    n = _samples(duration_s)
    rate = np.exp(generator.uniform(np.log(20), np.log(2000)))
    impulses = generator.normal(size=n) * (generator.random(n) < rate / SAMPLE_RATE_HZ)
    decay = np.exp(-1 / (generator.uniform(0.001, 0.02) * SAMPLE_RATE_HZ))
    return _unit(_band(generator, lfilter([1.0], [1.0, -decay], impulses)))


def _syllabic_noise(generator: Generator, duration_s: float) -> Sound:
    """Noise or a hum with the envelope of syllables, but without a voice."""
    carrier = coloured_noise(generator, duration_s)
    if generator.random() < 0.3:
        carrier = carrier + _hum(generator, duration_s)
    envelope = _wandering(generator, duration_s, generator.uniform(1.5, 7.0))
    return _unit(carrier * np.maximum(envelope, 0.0) ** generator.uniform(0.7, 2.0))


def _hum(generator: Generator, duration_s: float) -> Sound:
    """A steady tone with many harmonics of random strengths."""
    time_s = np.arange(_samples(duration_s)) / SAMPLE_RATE_HZ
    base_hz = np.exp(generator.uniform(np.log(30), np.log(400)))
    harmonics = np.arange(1, max(2, min(40, int(_HIGHEST_HZ / base_hz))))
    strengths = generator.exponential(size=len(harmonics)) / harmonics ** generator.uniform(0, 2)
    phases = generator.uniform(0, 2 * np.pi, len(harmonics))
    drift = 1 + 0.003 * _wandering(generator, duration_s, 0.5)
    sound = np.zeros(len(time_s))
    for harmonic, strength, phase in zip(harmonics, strengths, phases, strict=True):
        sound += strength * np.sin(2 * np.pi * base_hz * harmonic * time_s * drift + phase)
    return _unit(sound)


def _machine(generator: Generator, duration_s: float) -> Sound:
    """A motor: hum and noise, pulsating, perhaps switched on and off, perhaps speeding up."""
    time_s = np.arange(_samples(duration_s)) / SAMPLE_RATE_HZ
    share = generator.random()
    sound = share * _hum(generator, duration_s) + (1 - share) * coloured_noise(
        generator, duration_s
    )
    pulse_hz = np.exp(generator.uniform(np.log(0.5), np.log(25)))
    sound *= 1 + generator.uniform(0, 0.9) * np.sin(2 * np.pi * pulse_hz * time_s)
    if generator.random() < 0.6:
        on = _wandering(generator, duration_s, generator.uniform(0.1, 0.6)) > 0
        sound *= _smoothed(on.astype(float), 0.03)
    return _unit(sound)


def _struck(generator: Generator, hertz: float, decay_s: float) -> Sound:
    """One blow: inharmonic resonances and a burst of noise, all decaying."""
    time_s = np.arange(_samples(min(6 * decay_s, 2.0)) + 64) / SAMPLE_RATE_HZ
    sound = np.zeros(len(time_s))
    for ratio in np.cumprod(np.r_[1.0, generator.uniform(1.2, 2.8, generator.integers(0, 5))]):
        if hertz * ratio < _HIGHEST_HZ:
            ring = np.sin(2 * np.pi * hertz * ratio * time_s) * np.exp(-time_s * ratio / decay_s)
            sound += generator.uniform(0.2, 1) * ring
    click = generator.normal(size=len(time_s)) * np.exp(-time_s / generator.uniform(0.002, 0.04))
    blow: Sound = sound + generator.uniform(0, 1.5) * click
    return blow


def _knocks(generator: Generator, duration_s: float) -> Sound:
    """Groups of blows: knocks, footsteps, keys, dishes."""
    sound = np.zeros(_samples(duration_s))
    at_s = generator.uniform(0, 1)
    while at_s < duration_s:
        hertz = float(np.exp(generator.uniform(np.log(60), np.log(5000))))
        decay_s = float(np.exp(generator.uniform(np.log(0.004), np.log(0.25))))
        gap_s = float(np.exp(generator.uniform(np.log(0.06), np.log(0.9))))
        for _ in range(generator.integers(1, 12)):
            blow = _struck(generator, hertz * generator.uniform(0.9, 1.1), decay_s)
            _add(sound, at_s, generator.uniform(0.3, 1) * blow)
            at_s += gap_s * generator.uniform(0.8, 1.25)
        at_s += generator.exponential(0.8)
    return _unit(sound)


def _events(generator: Generator, duration_s: float) -> Sound:
    """Rustling, doors, zips, barks of noise: bursts of all lengths and colours."""
    sound = np.zeros(_samples(duration_s))
    at_s = generator.exponential(0.7)
    while at_s < duration_s:
        length_s = float(np.exp(generator.uniform(np.log(0.03), np.log(1.5))))
        burst = coloured_noise(generator, length_s)
        if generator.random() < 0.4:
            burst = burst + _hum(generator, length_s)
        rise = generator.uniform(0.02, 0.9)
        place = np.linspace(0, 1, len(burst))
        _add(sound, at_s, burst * np.interp(place, [0, rise, 1], [0, 1, 0]) ** 0.7)
        at_s += length_s + generator.exponential(0.5)
    return _unit(sound)


def _sweeps(generator: Generator, duration_s: float) -> Sound:
    """Beeps, sirens, whistles and birds: tones that glide, tremble or stand still."""
    sound = np.zeros(_samples(duration_s))
    at_s = generator.exponential(0.3)
    while at_s < duration_s:
        low, high = np.sort(np.exp(generator.uniform(np.log(150), np.log(6000), 2)))
        length_s = float(np.exp(generator.uniform(np.log(0.05), np.log(2.0))))
        steady = generator.random() < 0.4
        for _ in range(generator.integers(1, 8)):
            ends = (low, low) if steady else generator.permutation([low, high])
            _add(sound, at_s, _gliding(generator, float(ends[0]), float(ends[1]), length_s))
            at_s += length_s * generator.uniform(1.0, 2.0)
        at_s += generator.exponential(0.6)
    return _unit(sound)


def _gliding(generator: Generator, from_hz: float, to_hz: float, length_s: float) -> Sound:
    n = _samples(length_s)
    hertz = np.geomspace(from_hz, to_hz, n)
    swing = generator.uniform(0, 0.05) * np.sin(
        2 * np.pi * generator.uniform(3, 30) * np.arange(n) / SAMPLE_RATE_HZ
    )
    phase = 2 * np.pi * np.cumsum(hertz * (1 + swing)) / SAMPLE_RATE_HZ
    tone: Sound = np.sin(phase)
    shape = generator.random()
    if shape < 0.3:
        tone += 0.5 * np.sin(2 * phase) + 0.3 * np.sin(3 * phase)
    elif shape < 0.6:  # towards a square wave, as of a buzzer
        tone = np.tanh(generator.uniform(1, 20) * tone)
    return tone


class _Instrument:
    """A random timbre: strengths of the harmonics, envelope, vibrato, resonances."""

    def __init__(self, generator: Generator) -> None:
        self._generator = generator
        count = generator.integers(3, 24)
        slope = generator.uniform(0.5, 2.0)
        self._strengths = generator.uniform(0.2, 1, count) / np.arange(1, count + 1) ** slope
        self._attack_s = float(np.exp(generator.uniform(np.log(0.004), np.log(0.25))))
        self._decay_s = float(np.exp(generator.uniform(np.log(0.08), np.log(5.0))))
        self._vibrato = generator.uniform(0, 0.02) * (generator.random() < 0.5)
        self._vibrato_hz = generator.uniform(3, 8)
        self._glide_s = generator.uniform(0.02, 0.15) * (generator.random() < 0.25)
        self._before_hz = 0.0

    def play(self, hertz: float, length_s: float) -> Sound:
        """One note, which may glide from the one before."""
        time_s = np.arange(_samples(length_s)) / SAMPLE_RATE_HZ
        course = np.full(len(time_s), hertz)
        if self._glide_s and self._before_hz:
            course = hertz + (self._before_hz - hertz) * np.exp(-time_s / self._glide_s)
        self._before_hz = hertz
        course = course * (1 + self._vibrato * np.sin(2 * np.pi * self._vibrato_hz * time_s))
        phase = 2 * np.pi * np.cumsum(course) / SAMPLE_RATE_HZ
        sound = np.zeros(len(time_s))
        for number, strength in enumerate(self._strengths, 1):
            if number * hertz < _HIGHEST_HZ:
                sound += strength * np.sin(number * phase)
        envelope = np.minimum(time_s / self._attack_s, 1) * np.exp(-time_s / self._decay_s)
        release = np.minimum((length_s - time_s) / 0.03, 1)
        played: Sound = sound * envelope * np.maximum(release, 0)
        return played


def _melody(generator: Generator, duration_s: float) -> Sound:
    sound = np.zeros(_samples(duration_s))
    instrument = _Instrument(generator)
    scale = _SCALES[generator.integers(len(_SCALES))]
    beat_s, root = generator.uniform(0.15, 0.8), generator.integers(40, 72)
    at_s, step = generator.uniform(0, 1), 0
    while at_s < duration_s:
        step = int(np.clip(step + generator.integers(-3, 4), -7, 10))
        length_s = beat_s * float(generator.choice([0.5, 1, 1, 2, 3]))
        note = instrument.play(_pitch(root, scale, step), length_s * generator.uniform(0.6, 1.1))
        _add(sound, at_s, generator.uniform(0.4, 1) * note)
        at_s += length_s * (1 + (generator.random() < 0.15))
    return _resounding(generator, sound)


def _chords(generator: Generator, duration_s: float) -> Sound:
    """Held or broken chords, from an organ to slow strings."""
    sound = np.zeros(_samples(duration_s))
    instrument = _Instrument(generator)
    scale = _SCALES[generator.integers(2)]
    root, length_s = generator.integers(36, 62), generator.uniform(0.4, 4.0)
    broken = generator.random() < 0.5
    at_s = generator.uniform(0, 0.5)
    while at_s < duration_s:
        first = int(generator.integers(0, 7))
        steps = [first, first + 2, first + 4, first + 7][: generator.integers(2, 5)]
        spread_s = length_s / len(steps) if broken else 0.0
        for place, step in enumerate(steps):
            hertz = _pitch(root, scale, step)
            _add(sound, at_s + place * spread_s, instrument.play(hertz, length_s))
        at_s += length_s
    return _resounding(generator, sound)


def _drums(generator: Generator, duration_s: float) -> Sound:
    """A drum kit or hand drums in a pattern of sixteen steps that changes now and then."""
    sound = np.zeros(_samples(duration_s))
    step_s = 15 / generator.uniform(60, 190)
    swing = generator.uniform(0, 0.35) * (generator.random() < 0.5)
    kit = [_drum(generator) for _ in range(generator.integers(1, 6))]
    pattern = generator.random((16, len(kit))) < generator.uniform(0.05, 0.6, len(kit))
    for step in range(int(duration_s / step_s)):
        if step % 64 == 63:
            pattern = generator.random((16, len(kit))) < generator.uniform(0.05, 0.6, len(kit))
        at_s = (step + swing * (step % 2)) * step_s
        for drum in np.flatnonzero(pattern[step % 16]):
            _add(sound, at_s, generator.uniform(0.4, 1) * kit[drum](generator))
    return _resounding(generator, sound)


def _drum(generator: Generator) -> Callable[[Generator], Sound]:
    """One drum: a membrane whose pitch falls, a hiss, or both."""
    hertz = float(np.exp(generator.uniform(np.log(45), np.log(600))))
    fall, decay_s = generator.uniform(0, 2), float(np.exp(generator.uniform(-4, -1)))
    hiss_s = float(np.exp(generator.uniform(-5, -1)))
    hiss = generator.uniform(0, 1.5)
    tone = generator.uniform(0, 1.5)
    low_hz = float(np.exp(generator.uniform(np.log(200), np.log(5500))))
    filtering = butter(2, low_hz, "highpass", fs=SAMPLE_RATE_HZ, output="sos")

    def struck(generator: Generator) -> Sound:
        time_s = np.arange(_samples(5 * max(decay_s, hiss_s))) / SAMPLE_RATE_HZ
        course = hertz * (1 + fall * np.exp(-time_s / 0.03))
        membrane = np.sin(2 * np.pi * np.cumsum(course) / SAMPLE_RATE_HZ)
        rattle = sosfilt(filtering, generator.normal(size=len(time_s)))
        blow: Sound = tone * membrane * np.exp(-time_s / decay_s)
        blow += hiss * rattle * np.exp(-time_s / hiss_s)
        return blow

    return struck


def _song(generator: Generator, duration_s: float) -> Sound:
    """Several parts at once: drums, a bass, chords, a melody, each of them perhaps."""
    parts = [part for part in (_drums, _chords, _melody, _melody) if generator.random() < 0.7]
    sound = np.zeros(_samples(duration_s))
    for part in parts or [_chords]:
        sound += generator.uniform(0.3, 1) * part(generator, duration_s)
    if generator.random() < 0.4:  # swells, as film music does
        swell = _wandering(generator, duration_s, generator.uniform(0.1, 0.5))
        sound *= 10 ** (generator.uniform(3, 15) * swell / 20)
    return _unit(sound)


MAKERS: Mapping[str, Callable[[Generator, float], Sound]] = {
    "songs": _song,
    "drums": _drums,
    "melodies": _melody,
    "chords": _chords,
    "knocks": _knocks,
    "machines": _machine,
    "wind": _wind,
    "rain": _rain,
    "events": _events,
    "sweeps": _sweeps,
    "syllabic noise": _syllabic_noise,
    "hum": _hum,
    "noise": coloured_noise,
}
"""From a generator and a duration in seconds to a new sound of its kind."""

_WEIGHTS = np.array([5, 4, 4, 3, 3, 2, 1, 1, 3, 2, 3, 1, 1], np.float64)


def random_sound(generator: Generator, duration_s: float) -> Sound:
    """A sound of a random kind, music more often than others; its RMS is 1."""
    maker = list(MAKERS.values())[generator.choice(len(MAKERS), p=_WEIGHTS / _WEIGHTS.sum())]
    return maker(generator, duration_s)


def _samples(duration_s: float) -> int:
    return max(1, round(duration_s * SAMPLE_RATE_HZ))


def _unit(sound: Sound) -> Sound:
    """With an RMS of 1."""
    scaled: Sound = sound / max(float(np.sqrt(np.square(sound).mean())), 1e-9)
    return scaled


def _add(sound: Sound, at_s: float, piece: Sound) -> None:
    """Add ``piece`` to ``sound``, cut where that ends, without a click at its own end."""
    first = round(at_s * SAMPLE_RATE_HZ)
    piece = piece[: max(0, len(sound) - first)].copy()
    edge = min(len(piece) // 2, 80)
    piece[len(piece) - edge :] *= np.linspace(1, 0, edge)
    sound[first : first + len(piece)] += piece


def _band(generator: Generator, sound: Sound) -> Sound:
    """``sound`` through a random band."""
    low = float(np.exp(generator.uniform(np.log(40), np.log(3000))))
    high = float(min(low * np.exp(generator.uniform(0.3, 4)), _HIGHEST_HZ))
    filtered: Sound = sosfilt(
        butter(2, (low, high), "bandpass", fs=SAMPLE_RATE_HZ, output="sos"), sound
    )
    return filtered


def _resounding(generator: Generator, sound: Sound) -> Sound:
    """``sound`` with the resonances of an instrument's body, perhaps."""
    if generator.random() < 0.5:
        sound = sound + 2 * _band(generator, sound) + _band(generator, sound)
    return _unit(sound)


def _wandering(generator: Generator, duration_s: float, rate_hz: float) -> Sound:
    """A smooth random curve with a deviation of about 1 that turns ``rate_hz`` times a second."""
    knots = generator.normal(size=int(duration_s * rate_hz * 2) + 4)
    place = np.linspace(0, len(knots) - 1, _samples(duration_s))
    index = np.minimum(place.astype(int), len(knots) - 2)
    share = (1 - np.cos(np.pi * (place - index))) / 2
    curve: Sound = knots[index] * (1 - share) + knots[index + 1] * share
    return curve


def _smoothed(curve: Sound, time_s: float) -> Sound:
    factor = np.exp(-1 / (time_s * SAMPLE_RATE_HZ))
    smooth: Sound = lfilter([1 - factor], [1, -factor], curve)
    return smooth


def _pitch(root: int, scale: tuple[int, ...], step: int) -> float:
    """Frequency of a step of a scale above the MIDI note ``root``."""
    octave, place = divmod(step, len(scale))
    return float(440 * 2 ** ((root + 12 * octave + scale[place] - 69) / 12))
