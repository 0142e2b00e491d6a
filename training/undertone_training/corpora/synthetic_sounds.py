"""Synthetic sounds without speech: silence, noise, tones, knocks and music, always the same."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, chirp, sosfilt

from undertone.audio.block import SAMPLE_RATE_HZ

Sound = NDArray[np.float64]
"""Samples at ``SAMPLE_RATE_HZ``, of any level."""

DURATION_S = 60
"""Length of each sound."""

_LENGTH = DURATION_S * SAMPLE_RATE_HZ
_TIME_S = np.arange(_LENGTH) / SAMPLE_RATE_HZ


def _silence(_: np.random.Generator) -> Sound:
    return np.zeros(_LENGTH)


def _noise(slope: float) -> Callable[[np.random.Generator], Sound]:
    """Noise whose power falls with the frequency's ``slope``: 0 white, 1 pink, 2 brown."""

    def made(generator: np.random.Generator) -> Sound:
        spectrum = np.fft.rfft(generator.normal(size=_LENGTH))
        frequency_hz = np.maximum(np.fft.rfftfreq(_LENGTH, 1 / SAMPLE_RATE_HZ), 20.0)
        sound: Sound = np.fft.irfft(spectrum * frequency_hz ** (-slope / 2), _LENGTH)
        return sound

    return made


def _sweeps(_: np.random.Generator) -> Sound:
    """From 50 Hz to 7 kHz in 5 s, repeated."""
    sweep = chirp(_TIME_S[: 5 * SAMPLE_RATE_HZ], f0=50, t1=5, f1=7000, method="logarithmic")
    return np.resize(sweep, _LENGTH)


def _beeps(generator: np.random.Generator) -> Sound:
    """Beeps as of alarm clocks, microwaves and lorries: 0.1 to 0.6 s long, 0.4 to 4 kHz."""
    sound = np.zeros(_LENGTH)
    at_s = 0.0
    while at_s < DURATION_S - 8:
        hertz, lasts_s = generator.uniform(400, 4000), generator.uniform(0.1, 0.6)
        for _ in range(generator.integers(2, 7)):
            _add(sound, at_s, np.sign(_tone(hertz, lasts_s)) + _tone(hertz, lasts_s))
            at_s += lasts_s * 2
        at_s += generator.uniform(0.3, 1.5)
    return sound


def _hum(generator: np.random.Generator) -> Sound:
    """50 Hz and its harmonics, as from a transformer or a bad cable, with a slow swell."""
    hum = sum(
        np.sin(2 * np.pi * 50 * n * _TIME_S + generator.uniform(0, 6)) / n for n in range(1, 16)
    )
    sound: Sound = hum * (1 + 0.5 * np.sin(2 * np.pi * 0.1 * _TIME_S))
    return sound


def _knocks(generator: np.random.Generator) -> Sound:
    """Keys, clicks and knocks at a door: resonances of 0.1 to 3 kHz that decay in 2 to 60 ms."""
    sound = np.zeros(_LENGTH)
    at_s = 0.0
    while at_s < DURATION_S - 3:
        hertz, dies_s = np.exp(generator.uniform(np.log([100, 2e-3]), np.log([3000, 60e-3])))
        for _ in range(generator.integers(1, 8)):
            _add(sound, at_s, _struck(generator, float(hertz), float(dies_s)))
            at_s += generator.uniform(0.08, 0.3)
        at_s += generator.uniform(0.1, 2.0)
    return sound


def _chords(generator: np.random.Generator) -> Sound:
    """An organ: four chords in turn, three voices with ten harmonics each."""
    sound = np.zeros(_LENGTH)
    chords = ((0, 4, 7), (9, 12, 16), (5, 9, 12), (7, 11, 14))  # C, A minor, F, G
    for bar in range(DURATION_S // 2):
        for semitone in chords[bar % 4]:
            _add(sound, 2.0 * bar, _note(_hertz(48 + semitone), 2.0, harmonics=10))
    return sound


def _drums(generator: np.random.Generator) -> Sound:
    """A drum kit at 110 beats a minute: bass drum, snare, and a cymbal on each half beat."""
    sound = np.zeros(_LENGTH)
    half_beat_s = 30 / 110
    for step in range(int((DURATION_S - 1) / half_beat_s)):
        at_s = step * half_beat_s
        hiss = generator.normal(size=SAMPLE_RATE_HZ // 5)
        fading = np.exp(-np.arange(len(hiss)) / SAMPLE_RATE_HZ / 0.05)
        _add(sound, at_s, 0.15 * _band(hiss, 4000, 7900) * fading)
        if step % 4 == 0:
            _add(sound, at_s, 3 * _struck(generator, 60.0, 0.12))
        if step % 4 == 2:
            _add(sound, at_s, _band(hiss, 200, 5000) * fading)
            _add(sound, at_s, _struck(generator, 190.0, 0.08))
    return sound


def _arpeggios(generator: np.random.Generator) -> Sound:
    """A guitar: broken chords, plucked and decaying."""
    sound = np.zeros(_LENGTH)
    for step in range((DURATION_S - 2) * 4):
        semitone = (0, 7, 12, 16, 19, 16, 12, 7)[step % 8] + (0, -3, 5, -5)[step // 16 % 4]
        note = _note(_hertz(45 + semitone), 1.5, harmonics=12)
        _add(sound, step / 4, note * np.exp(-np.arange(len(note)) / SAMPLE_RATE_HZ / 0.4))
    return sound


def _violin(generator: np.random.Generator) -> Sound:
    """A melody with vibrato and the resonances of an instrument: the music most like a voice."""
    sound = np.zeros(_LENGTH)
    at_s, semitone = 0.0, 0
    while at_s < DURATION_S - 3:
        lasts_s = float(generator.choice([0.3, 0.6, 1.2, 2.0]))
        semitone = int(np.clip(semitone + generator.integers(-4, 5), -7, 12))
        note = _note(_hertz(67 + semitone), lasts_s, harmonics=14, vibrato=0.01)
        _add(sound, at_s, note)
        at_s += lasts_s + float(generator.choice([0.0, 0.0, 0.8]))
    body = ((1.0, 250, 600), (0.7, 900, 1500), (0.5, 2000, 3500))
    resounding: Sound = np.sum([gain * _band(sound, *band) for gain, *band in body], axis=0)
    return resounding


def _add(sound: Sound, at_s: float, piece: Sound) -> None:
    """Add ``piece`` to ``sound``, without a click at its end."""
    first = round(at_s * SAMPLE_RATE_HZ)
    piece = piece[: len(sound) - first]
    edge = min(len(piece) // 2, 80)
    piece[len(piece) - edge :] *= np.linspace(1, 0, edge)
    sound[first : first + len(piece)] += piece


def _tone(hertz: float, lasts_s: float) -> Sound:
    tone: Sound = np.sin(2 * np.pi * hertz * _TIME_S[: round(lasts_s * SAMPLE_RATE_HZ)])
    return tone


def _note(hertz: float, lasts_s: float, harmonics: int, vibrato: float = 0.0) -> Sound:
    """A harmonic tone that rises in 30 ms; ``vibrato``: share of its pitch, 5.5 times a second."""
    time_s = _TIME_S[: round(lasts_s * SAMPLE_RATE_HZ)]
    swing = vibrato / (2 * np.pi * 5.5) * np.sin(2 * np.pi * 5.5 * time_s)
    phase = 2 * np.pi * hertz * (time_s + swing)
    audible = range(1, min(harmonics, int(SAMPLE_RATE_HZ / 2 / hertz)) + 1)
    note = np.sum([np.sin(n * phase) / n for n in audible], axis=0)
    sound: Sound = note * np.minimum(time_s / 0.03, 1)
    return sound


def _struck(generator: np.random.Generator, hertz: float, dies_s: float) -> Sound:
    """A blow: a burst of noise and a resonance, both decaying."""
    ring = _tone(hertz, 6 * dies_s)
    noise = generator.normal(size=len(ring))
    time_s = _TIME_S[: len(ring)]
    blow: Sound = ring * np.exp(-time_s / dies_s) + 0.5 * noise * np.exp(-time_s / dies_s * 4)
    return blow


def _band(sound: Sound, low_hz: float, high_hz: float) -> Sound:
    filtered: Sound = sosfilt(
        butter(2, (low_hz, high_hz), "bandpass", fs=SAMPLE_RATE_HZ, output="sos"), sound
    )
    return filtered


def _hertz(midi: int) -> float:
    return float(440 * 2 ** ((midi - 69) / 12))


_MAKERS: Mapping[str, Callable[[np.random.Generator], Sound]] = {
    "silence": _silence,
    "white noise": _noise(0),
    "pink noise": _noise(1),
    "brown noise": _noise(2),
    "sweeps": _sweeps,
    "beeps": _beeps,
    "mains hum": _hum,
    "knocks": _knocks,
    "chords": _chords,
    "drums": _drums,
    "arpeggios": _arpeggios,
    "violin": _violin,
}

NAMES = tuple(_MAKERS)


def synthesise(name: str) -> Sound:
    """One of ``NAMES``, ``DURATION_S`` long; the same in every call."""
    return _MAKERS[name](np.random.default_rng(list(name.encode())))
