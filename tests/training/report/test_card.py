"""The model card: complete and honest."""

import json
from pathlib import Path
from typing import Any

import pytest
from example_report import BY_FORM, EXTRA
from jinja2 import UndefinedError

from undertone.emotions import EMOTIONS
from undertone_training.metrics import figures
from undertone_training.report.breakdown import read_breakdown
from undertone_training.report.card import model_card
from undertone_training.report.facts import Development, Facts

DEVELOPMENT = Development(
    ("ab" * 32,),
    77,
    "the same folds that the speaker-independent figures come from",
    ("It was another recipe.",),
)
MANIFEST: dict[str, Any] = {
    "name": "ravdess8-compact",
    "version": "1",
    "labels": list(EMOTIONS),
    "comparison": None,
    "model_sha256": "ab" * 32,
    "mfcc": {
        "sample_rate_hz": 16000,
        "frame_length": 1024,
        "hop_length": 512,
        "n_filters": 64,
        "n_coefficients": 40,
        "low_hz": 0.0,
        "high_hz": 8000.0,
        "pitch": False,
    },
    "window": {"frames": 96, "hop": 32, "vocal_tracts": [0.92, 1.08]},
    "temperature": 1.23,
    "confidence_threshold": 0.42,
    "without_verdict": [],
    "needed_share": 0.6,
    "normalization": {"voice_prior_frames": 0.0},
    "training": {
        "corpora": ["nemo", "ravdess"],
        "train_speakers": ["03", "04"],
        "validation_speakers": ["01", "02"],
        "recipe": {"name": "compact", "begins_with": "nemo"},
        "seed": 7,
        "licence": "CC BY-NC-SA 4.0",
    },
    "detector": {"corpora": ["cremad", "nemo"]},
    "tools": {"tensorflow": "2.21.0"},
    "commit": "0123456789ab",
}


def card(report: tuple[Path, dict[str, Any]], facts: Facts | None = None, **changes: object) -> str:
    folder, returned = report
    return model_card({**MANIFEST, "figures": returned, **changes}, folder, facts)


def test_the_cards_first_line_is_the_figure_with_protocol_and_interval(
    report: tuple[Path, dict[str, Any]],
) -> None:
    int8 = figures(BY_FORM["int8"])
    assert int8.uar_interval95 is not None
    low, high = int8.uar_interval95
    title, first = [line for line in card(report).splitlines() if line][:2]

    assert title == "# ravdess8-compact"
    assert first.startswith(f"**{100 * int8.uar:.1f} % UAR, speaker-independent**")
    assert f"{100 * low:.1f} to {100 * high:.1f} %" in first


@pytest.mark.parametrize(
    "fact",
    [
        "40 MFCC from frames of 64 ms every 32 ms",
        "96 frames (3.10 s)",
        "each window 2 times, with its spectrum stretched by 0.92 and 1.08",
        "neutral, calm, happy, sad, angry, fearful, disgust, surprised",
        "| speaker-independent | float model | int8 model |",
        "123,456 bytes",
        "4.56 million multiply-accumulates",
        "human listeners recognise the emotion of about 62 %",
        "North American voices",
        "EU AI Act",
        "never audio",
        "CC BY-NC-SA 4.0",
        "PLoS ONE 13(5): e0196391",
        "nEMO (CC BY-NC-SA 4.0): Christop I (2024)",
        "undertone-train fit --recipe compact",
        "commit `0123456789ab`",
        "seed 7",
        "Training started from the weights of `nemo`.",
        "| tensorflow | 2.21.0 |",
        "ab" * 32,
    ],
)
def test_the_card_says(report: tuple[Path, dict[str, Any]], fact: str) -> None:
    assert fact in " ".join(card(report).split())


def test_the_card_says_whether_the_weights_were_trained_on_the_tested_speakers(
    report: tuple[Path, dict[str, Any]],
) -> None:
    others = {
        **MANIFEST["training"],
        "train_speakers": ["21", "22"],
        "validation_speakers": ["23"],
    }
    assert "the same test is not possible" in card(report)
    assert "the same test is not possible" not in card(report, training=others)


def test_the_card_names_what_the_speech_detector_learnt_from(
    report: tuple[Path, dict[str, Any]],
) -> None:
    text = " ".join(card(report).split())
    assert "Its speech detector learnt from CREMA-D" in text
    assert "It was first trained on nEMO" in text
    alone = {**MANIFEST["training"], "corpora": ["ravdess"]}
    assert "Its speech detector learnt from nEMO" in " ".join(card(report, training=alone).split())


def test_the_card_says_what_weakens_its_figures(report: tuple[Path, dict[str, Any]]) -> None:
    rows = read_breakdown(report[0]).set_index("value")["uar"]
    better, worse = sorted(["female", "male"], key=rows.get, reverse=True)
    names = {"female": "Women", "male": "Men"}
    speakers = [rows[name] for name in ("01", "02", "03", "04")]
    plain, known = card(report), card(report, Facts(DEVELOPMENT))

    for text in (plain, known):
        assert f"{names[better]} are recognised better than {names[worse].lower()}" in text
        assert f"{100 * rows[better]:.1f} % UAR against {100 * rows[worse]:.1f} %" in text
        assert f"from {100 * min(speakers):.1f} % to {100 * max(speakers):.1f} %" in text
        assert "This model was not tested independently of its development." in text
    assert "About 77 variants" in known
    assert "does not give the weights in this folder.**\n\n- It was another recipe.\n" in known
    assert "variants" not in plain
    assert "does not give the weights" not in plain


def test_the_card_shows_the_seeds_the_live_test_and_the_noise_where_they_are_known(
    report: tuple[Path, dict[str, Any]],
) -> None:
    uar = {"uar": {"mean": 0.581, "deviation": 0.0062}, "uar_interval95": [0.51, 0.64]}
    extra = {
        **EXTRA,
        "seeds": {"numbers": [0, 1, 2], "float": uar, "int8": uar},
        "live": {
            "20 dB": {
                "protocol": "live, 20 dB",
                "uar": {"mean": 0.5, "deviation": 0.01},
                "seeds": 2,
                "missed_clips": 3,
                "false_segments": 4,
            }
        },
        "noise": {
            "x": {"protocol": "noise, x", "duration_s": 1200.0, "false_segments": 2, "named": 1}
        },
    }
    text = card(report, figures={**report[1], "extra": extra})

    first = text.splitlines()[2]
    assert first.startswith("**58.1 ± 0.6 % UAR, speaker-independent**")
    assert "over 3 seeds; 95 % interval 51.0 to 64.0 %" in first
    assert "over the seeds 0, 1, 2: 58.1 ± 0.6 % (float), 58.1 ± 0.6 % (int8)." in text
    assert "| live, 20 dB | 50.0 ± 1.0 % | 2 | 3 | 4 |" in text
    assert "| noise, x | 20 | 2 | 1 |" in text


def test_the_card_reads_what_the_report_wrote(report: tuple[Path, dict[str, Any]]) -> None:
    folder, returned = report
    read = json.loads((folder / "figures.json").read_text("utf-8"))

    assert card(report, figures=read) == card(report, figures=returned)


def test_a_key_that_is_missing_is_named(report: tuple[Path, dict[str, Any]]) -> None:
    without = {key: value for key, value in MANIFEST.items() if key != "commit"}

    with pytest.raises(UndefinedError, match="commit"):
        model_card({**without, "figures": report[1]}, report[0])


def test_the_card_of_several_corpora_says_what_is_different(
    report: tuple[Path, dict[str, Any]],
) -> None:
    training = {**MANIFEST["training"], "validation_speakers": []}
    plain = card(report, training=training)
    of_several = card(
        report,
        training={**training, "recipe": {"name": "everyday", "beside": ["nemo"]}},
        mfcc={**MANIFEST["mfcc"], "pitch": True},
        needed_share=0.4,
        without_verdict=["disgust"],
        normalization={"voice_prior_frames": 200.0},
        comparison={"usual": [0.5]},
    )
    for sentence in (
        "without anything above 3.2 kHz it is *uncertain*",
        "the mean frame of at most a minute of its speech, is subtracted, and how a segment",
        "the predictions for each corpus by networks that were trained on the others",
        "It learnt from nEMO",
        "and the strength and the height of the pitch",
        "and always where the most probable label is disgust:",
    ):
        assert sentence in of_several
        assert sentence not in plain
    assert "North American voices" not in of_several
