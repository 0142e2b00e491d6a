"""The reference systems: features, networks, splits, and the road that they share with ours."""

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import keras
import librosa
import msgspec
import numpy as np
import pytest
import soundfile

from undertone import samples
from undertone.cli import run
from undertone.recognition.classifier import dequantize, quantize
from undertone.recognition.interpreter import Int8Interpreter
from undertone_training import recipe as recipes
from undertone_training.cli import undertone_train
from undertone_training.corpora.splits import splits
from undertone_training.errors import RunError
from undertone_training.evaluation.results import Pooled
from undertone_training.export.bundle import bundle_of
from undertone_training.export.quantize import convert, quantize_runs
from undertone_training.features.cache import ClipFeatures, FeatureCache
from undertone_training.features.windows import fit_normalization
from undertone_training.learning.runs import Run
from undertone_training.networks import build
from undertone_training.recipe import Recipe
from undertone_training.references import vggish
from undertone_training.references.costs import Costs, Latency, Measured, machine, measure
from undertone_training.references.features import SHAPES, ReferenceFeatures
from undertone_training.references.published import PUBLISHED
from undertone_training.references.table import markdown, table, verdicts

pytestmark = pytest.mark.xdist_group("tensorflow")

PARAMETERS = {"deep-cnn-1d": 295_000, "light-sernet": 463_000}
ACTORS = (1, 2, 6, 7, 8, 11, 12, 16, 17, 18)
QUICK = """
network = "mfcc-cnn"
features = "mfcc-mean"
level = "none"
song = false
[augmentation]
copies = 0
[regularization]
tempo = 0.0
vocal_tract = 0.0
mixup = 0.0
[schedule]
shape = "plateau"
epochs = 1
batch_size = 16
early_stopping = 1
weight_averaging = 0.0
"""


@pytest.fixture(scope="session")
def clip() -> np.ndarray:
    sound, _ = soundfile.read(samples.clips()[4], dtype="int16")
    return sound


# Features


@pytest.mark.parametrize("name", SHAPES)
def test_a_clip_of_any_length_has_the_features_shape(name: str, clip: np.ndarray) -> None:
    features = ReferenceFeatures(name)
    for sound in (clip, clip[:20_000], np.tile(clip, 2)):
        found = features.compute(sound)
        assert (found.shape, found.dtype) == (features.shape, np.float32)
        assert np.isfinite(found).all()


def at_librosas_rate(clip: np.ndarray, first_s: float, last_s: float | None) -> np.ndarray:
    sound = librosa.resample(clip / np.float32(32768), orig_sr=16_000, target_sr=22_050)
    if last_s is None:
        return sound
    sound = sound[round(first_s * 22_050) :]
    return librosa.util.fix_length(sound, size=round((last_s - first_s) * 22_050))


def test_the_vectors_are_what_librosa_says_when_it_is_called_directly(clip: np.ndarray) -> None:
    of = librosa.feature
    part = at_librosas_rate(clip, 0.5, 3.5)
    wanted = [
        of.mfcc(y=part, sr=22_050, n_mfcc=40),
        of.chroma_stft(y=part, sr=22_050),
        of.melspectrogram(y=part, sr=22_050),
    ]
    found = ReferenceFeatures("mfcc-chroma-mel").compute(clip)[0]
    np.testing.assert_allclose(found, np.concatenate([w.mean(axis=1) for w in wanted]), rtol=2e-3)
    np.testing.assert_allclose(
        ReferenceFeatures("mfcc-sequence").compute(clip), wanted[0].T, atol=2e-2
    )
    whole = at_librosas_rate(clip, 0.0, None)
    wanted = [
        of.zero_crossing_rate(y=whole),
        of.chroma_stft(y=whole, sr=22_050),
        of.mfcc(y=whole, sr=22_050, n_mfcc=20),
        of.rms(y=whole),
        of.melspectrogram(y=whole, sr=22_050),
    ]
    found = ReferenceFeatures("zcr-chroma-mfcc-rms-mel").compute(clip)[0]
    np.testing.assert_allclose(found, np.concatenate([w.mean(axis=1) for w in wanted]), rtol=2e-3)
    np.testing.assert_allclose(
        ReferenceFeatures("mfcc-mean").compute(clip)[0],
        of.mfcc(y=whole, sr=22_050, n_mfcc=40).mean(axis=1),
        rtol=2e-3,
    )


def test_the_stretches_average_to_the_whole(clip: np.ndarray) -> None:
    whole = ReferenceFeatures("five-kinds").compute(clip)[0]
    parts = ReferenceFeatures("five-kinds-in-stretches").compute(clip)
    lengths = [len(part) for part in np.array_split(np.arange(130), len(parts))]
    np.testing.assert_allclose(np.average(parts, axis=0, weights=lengths), whole, rtol=1e-3)


def test_without_librosa_the_extra_is_named(
    clip: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "librosa", None)
    with pytest.raises(Exception, match=r"librosa is not installed.*undertone\[training,reference"):
        ReferenceFeatures("mfcc-mean").compute(clip)


def test_scaling_is_fitted_on_the_training_clips_alone() -> None:
    recipe = recipes.load("cnn-bigru")
    generator = np.random.default_rng(0)
    shape = recipe.windowing.frames, recipe.coefficients
    train = [
        ClipFeatures(SimpleNamespace(), (generator.normal(3, 2, shape).astype(np.float32),), ())
        for _ in range(50)
    ]
    found = fit_normalization(train, recipe)
    values = np.stack([each.segments[0][0] for each in train])
    np.testing.assert_allclose(found.mean, values.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(found.deviation, values.std(axis=0), rtol=1e-5)


# VGGish


def test_vggish_weights_of_the_published_shapes_give_an_embedding(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, clip: np.ndarray
) -> None:
    small = {"fc1/fc1_1": (6 * 4 * 512, 8), "fc1/fc1_2": (8, 8), "embedding": (8, vggish.SIZE)}
    convolutions = {name: shape for name, shape in vggish.LAYERS.items() if name not in small}
    monkeypatch.setattr(vggish, "LAYERS", convolutions | small)
    monkeypatch.setattr(vggish, "_DENSE", small)
    path = tmp_path / "vggish.npz"
    generator = np.random.default_rng(0)
    arrays = {}
    for layer, shape in vggish.LAYERS.items():
        scale = np.sqrt(2 / np.prod(shape[:-1]))
        arrays[f"{layer}/weights"] = generator.normal(0, scale, shape).astype(np.float32)
        arrays[f"{layer}/biases"] = np.zeros(shape[-1], np.float32)
    np.savez(path, **arrays)
    with_them = ReferenceFeatures("five-kinds", str(path))
    without = ReferenceFeatures("five-kinds")
    found = with_them.compute(clip)
    assert found.shape == with_them.shape == (1, without.shape[1] + 128)
    np.testing.assert_array_equal(found[:, :-128], without.compute(clip))
    assert found[:, -128:].any()
    assert with_them.key != without.key


def test_the_published_vggish_has_72_million_parameters() -> None:
    assert sum(np.prod(shape) + shape[-1] for shape in vggish.LAYERS.values()) == 72_141_184


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(None, "can't be read"), (b"PK\x03\x04 half", "holds no VGGish weights"), ({}, "is missing")],
)
def test_unusable_vggish_weights_are_one_sentence(
    tmp_path: Path, content: bytes | dict[str, np.ndarray] | None, sentence: str
) -> None:
    path = tmp_path / "vggish.npz"
    if isinstance(content, dict):
        np.savez(path, **content)
    elif content:
        path.write_bytes(content)
    with pytest.raises(RunError, match=sentence):
        vggish.load(path)


# Recipes and networks


@pytest.mark.parametrize("name", PUBLISHED)
def test_each_system_is_a_recipe_that_takes_its_features(name: str) -> None:
    recipe = recipes.load(name)
    model = build(recipe, 8)
    assert model.input_shape == (None, *ReferenceFeatures(recipe.features).shape)
    assert model.output_shape == (None, 8)
    changed = recipe.regularization
    assert not (changed.mixup or changed.time_masks or changed.coefficient_masks)
    if name in PARAMETERS:
        assert model.count_params() == pytest.approx(PARAMETERS[name], rel=0.01)


def test_the_bigru_has_the_layers_of_its_description() -> None:
    model = build(recipes.load("cnn-bigru"), 8)
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds.count("Conv1D") == kinds.count("MaxPooling1D") == 4
    assert [layer.filters for layer in model.layers if isinstance(layer, keras.layers.Conv1D)] == [
        128, 256, 256, 512,
    ]  # fmt: skip
    recurrent = [x for x in model.layers if isinstance(x, keras.layers.Bidirectional)]
    assert [layer.output.shape[-1] for layer in recurrent] == [512, 256]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"features": "mel"}, "features must be device or one of mfcc-mean"),
        ({"features": "mfcc-mean"}, "vocal_tract, tempo, background and level"),
        ({"vggish": "weights.npz"}, "reference system only"),
    ],
)
def test_settings_that_do_not_go_with_the_features_are_refused(
    changes: dict[str, str], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        Recipe("mine", **changes)


# The road


def train(*args: object) -> int:
    return run(undertone_train, "undertone-train", [str(arg) for arg in args])


def write_ravdess(folder: Path, actors: Sequence[int], emotions: range = range(1, 9)) -> None:
    """A miniature RAVDESS of packaged clips, each actor's cut a little differently."""
    folder.mkdir(parents=True, exist_ok=True)
    for actor in actors:
        for code in emotions:
            sound, rate = soundfile.read(samples.clips()[code - 1], dtype="int16")
            name = f"03-01-{code:02}-01-01-01-{actor:02}.wav"
            soundfile.write(folder / name, sound[500 * actor :], rate)


@pytest.fixture(scope="session")
def road(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One epoch of a reference system under both protocols, quantised and tested."""
    folder = tmp_path_factory.mktemp("references")
    write_ravdess(folder / "data", ACTORS)
    (folder / "mfcc-cnn.toml").write_text(QUICK)
    fit = ("fit", "--recipe", folder / "mfcc-cnn.toml", "--runs", folder / "runs", *data(folder))
    assert train(*fit, "--fold", 1) == 0
    assert train(*fit, "--protocol", "speaker-dependent", "--fold", 2) == 0
    assert train("quantize", folder / "runs", *data(folder)) == 0
    assert train("evaluate", folder / "runs/mfcc-cnn", *data(folder)) == 0
    return folder


def data(folder: Path) -> tuple[object, ...]:
    return ("--data", folder / "data", "--cache", folder / "cache", "--jobs", 1)


def dependent(road: Path) -> Run:
    return Run(road / "runs/mfcc-cnn/speaker-dependent-speech-8/seed0")


def test_the_road_of_our_own_recipes_takes_a_reference_system(road: Path) -> None:
    info = dependent(road).info
    assert not {*info.train} & {*info.validation, *info.test}
    assert len(info.validation) == pytest.approx(0.15 * 64, abs=1)
    report = Pooled.load(
        road / "runs/mfcc-cnn/report/speaker-dependent-speech-8-emotions-split-seed-0.json"
    )
    assert report.protocol == "speaker-dependent (speech, 8 emotions, split seed 0)"
    assert list(report.forms) == ["float", "int8"]


def test_random_splits_are_the_same_for_the_same_seed(road: Path) -> None:
    from undertone_training.corpora import scan

    clips = scan(road / "data").clips
    one, again, other = (splits(clips, "speaker-dependent", seed=seed) for seed in (0, 0, 1))
    assert one == again != other
    assert {clip.clip_id for clip in one[1].test} == {*dependent(road).info.test}


def test_the_cache_holds_what_was_computed(road: Path) -> None:
    from undertone_training.corpora import scan

    recipe = recipes.load(road / "mfcc-cnn.toml")
    clips = scan(road / "data").clips[:2]
    before = len(list((road / "cache").iterdir()))
    first, _ = FeatureCache(road / "cache", 1).compute(clips, recipe)
    np.testing.assert_array_equal(
        first.segments[0], ReferenceFeatures("mfcc-mean").compute(clips[0].source.read())
    )
    assert len(list((road / "cache").iterdir())) in (before, before + 2)


def test_a_reference_system_is_no_bundle(road: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RunError, match="can't run on the device"):
        bundle_of(dependent(road), "x")
    folder = road / "runs/mfcc-cnn/development-1"
    assert train("evaluate", folder, "--protocol", "live", *data(road)) == 1
    assert "can't run on the device" in capsys.readouterr().err


def test_an_interrupted_training_goes_on(road: Path, tmp_path: Path) -> None:
    longer = (road / "mfcc-cnn.toml").read_text().replace("epochs = 1", "epochs = 3")
    path = tmp_path / "longer.toml"
    path.write_text(longer.replace("early_stopping = 1", "early_stopping = 9"))
    from undertone_training.corpora import scan
    from undertone_training.learning.fit import fit
    from undertone_training.learning.runs import describe

    recipe = recipes.load(path)
    split = splits(scan(road / "data").clips, "speaker-dependent")[1]
    one, two = (
        FeatureCache(road / "cache", 1).compute(side, recipe)
        for side in (split.train, split.validation)
    )
    interrupted = Run(tmp_path / "run")

    def interrupt(epoch: int, logs: dict[str, float]) -> None:
        if epoch == 1:
            raise KeyboardInterrupt

    info = describe(recipe, split, 0)
    with pytest.raises(KeyboardInterrupt):
        fit(interrupted, info, one, two, interrupt, checkpoint_every_s=0)
    assert interrupted.epochs_done == 2
    done = []
    fit(interrupted, info, one, two, lambda epoch, logs: done.append(epoch))
    assert done == [2]
    assert len(interrupted.epochs()["loss"]) == 3


def test_a_corpus_without_an_emotion_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_ravdess(tmp_path / "data", ACTORS, range(1, 8))
    args = ("--protocol", "speaker-dependent", "--runs", tmp_path, "--dry-run", *data(tmp_path))
    assert train("fit", "--recipe", "mfcc-cnn", *args) == 0
    assert "no clip here that is surprised" in capsys.readouterr().err
    assert train("fit", "--recipe", "cnn-bilstm-multi", *args) == 0
    assert "goes without VGGish embeddings" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("lacking", "status", "sentence"),
    [
        ((1, 2), 0, "development-1: no test clip is surprised, which its figures leave out"),
        (ACTORS[2:], 1, "The split development-1 has no training clip that is surprised"),
    ],
)
def test_a_fold_without_an_emotion_is_one_sentence(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    lacking: Sequence[int],
    status: int,
    sentence: str,
) -> None:
    write_ravdess(tmp_path / "data", ACTORS)
    for actor in lacking:
        (tmp_path / f"data/03-01-08-01-01-01-{actor:02}.wav").unlink()
    args = ("--fold", 1, "--runs", tmp_path, "--dry-run", *data(tmp_path))
    assert train("fit", "--recipe", "mfcc-cnn", *args) == status
    *others, said = capsys.readouterr().err.strip().splitlines()
    assert sentence in said
    assert all("the data folder lacks the actors" in other for other in others)


def test_one_actor_alone_makes_no_folds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_ravdess(tmp_path / "data", [1])
    assert train("fit", "--recipe", "mfcc-cnn", *data(tmp_path)) == 1
    assert "are not in the data folder" in capsys.readouterr().err


def test_a_misspelt_system_is_suggested(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train("fit", "--recipe", "cnn-bigur", *data(tmp_path)) == 2
    assert "did you mean cnn-bigru?" in capsys.readouterr().err


# The converter


def test_what_can_not_be_quantised_is_tested_as_float(road: Path, tmp_path: Path) -> None:
    folder = tmp_path / "runs/mfcc-cnn/development-1/seed0"
    shutil.copytree(road / "runs/mfcc-cnn/development-1/seed0", folder)
    run, lost = Run(folder), "model.keras"
    model = keras.Sequential([keras.Input((1, 40)), keras.layers.Lambda(lambda x: x)])
    (folder / lost).unlink()
    model.save(folder / lost)  # no converter opens it: it holds code
    ((_, reason),) = quantize_runs([(run, ())])
    assert reason
    assert run.unquantized.read_text().strip() == reason
    shutil.copy(road / "runs/mfcc-cnn/development-1/seed0/model.keras", folder / lost)
    assert train("evaluate", folder, *data(road)) == 0
    report = json.loads((folder / "report/test/figures.json").read_text())
    assert list(report["forms"]) == ["float"]


def test_int8_survives_a_normalisation_that_scales_what_a_relu_lets_through() -> None:
    keras.utils.set_random_seed(0)
    window = keras.Input((1, 40))
    x = keras.layers.Dense(64, activation="relu")(window)
    x = keras.layers.BatchNormalization(name="scaling")(x)
    model = keras.Model(window, keras.layers.Dense(8)(x))
    scaling = model.get_layer("scaling")
    factors = np.geomspace(4, 30, 64) * np.where(np.arange(64) % 9, 1, -1)
    scaling.set_weights([factors, np.full(64, -0.5), np.full(64, 0.1), np.full(64, 0.9)])
    windows = np.random.default_rng(0).normal(0, 1, (200, 1, 40)).astype(np.float32)
    wanted = model.predict(windows, verbose=0)[:, 0]
    interpreter = Int8Interpreter(convert(model, windows), runtime="litert")
    into, out = interpreter.input, interpreter.output
    found = [
        dequantize(
            interpreter.invoke(quantize(each[np.newaxis], into.scale, into.zero_point))[0],
            out.scale,
            out.zero_point,
        ).ravel()
        for each in windows
    ]
    assert np.std(found - wanted) < 0.05 * np.std(wanted)


# Costs and the table


def cost(recipe: str, form: str, times: int) -> Measured:
    latency = Latency(1.0 * times, 2.0 * times, 3.0 * times)
    return Measured(recipe, form, *[latency] * 4, 0.5, 2**20 * times, 1024 * times)


def test_a_system_is_measured_in_a_process_of_its_own(road: Path) -> None:
    found = measure(dependent(road), "int8", calls=3)
    assert (found.recipe, found.form) == ("mfcc-cnn", "int8")
    assert found.file_bytes == dependent(road).tflite.stat().st_size
    assert found.detection.p50_ms < found.features.p50_ms
    for latency in (found.features, found.inference, found.whole):
        assert 0 < latency.p50_ms <= latency.p90_ms <= latency.p99_ms
    assert found.cold_start_s > 0
    assert found.peak_memory_bytes > 2**20
    (broken := Run(road / "nothing")).folder.mkdir(exist_ok=True)
    with pytest.raises(RunError, match=r"can't be measured: .*run\.json"):
        measure(broken, "int8", calls=1)


@pytest.fixture
def costs(road: Path, tmp_path: Path) -> Path:
    """Costs of ours and of the reference system, and a report of ours, which was its twin."""
    ours = tmp_path / "ours/report/speaker-independent.json"
    (report,) = (road / "runs/mfcc-cnn/report").glob("speaker-independent*.json")
    pooled = Pooled.load(report)
    recipe = msgspec.structs.replace(pooled.recipe, name="ours")
    whole = msgspec.structs.replace(pooled, recipe=recipe, protocol="speaker-independent")
    whole.save(ours)
    measured = (cost("ours", "int8", 1), cost("mfcc-cnn", "float", 20), cost("mfcc-cnn", "int8", 4))
    path = tmp_path / "costs.json"
    path.write_bytes(
        msgspec.json.encode(Costs(**machine(), calls=1, measured=measured, unquantized={}))
    )
    return path


def test_the_table_sets_them_beside_ours(
    road: Path, costs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = (costs.parent, road / "runs/mfcc-cnn")
    beside = costs.parent / "ours/final/seed0/report"  # what other protocols and bundles leave
    beside.mkdir(parents=True)
    for name in ("noise.json", "figures.json"):
        (beside / name).write_text("{}")
    ours, theirs = table(costs, folders).systems
    assert (ours.recipe, theirs.recipe) == ("ours", "mfcc-cnn")
    assert msgspec.structs.astuple(theirs.ratios["float"]) == (20.0,) * 4
    assert msgspec.structs.astuple(theirs.ratios["int8"]) == (4.0,) * 4
    assert theirs.dependent[0].protocol.startswith("speaker-dependent")
    command = ("compare", *folders, "--references", costs)
    assert train(*command, "--format", "markdown") == 0
    shown = capsys.readouterr().out
    assert "speaker-dependent accuracy (inflated)" in shown
    assert "class accuracy > 75 %" in shown
    for ending in ("md", "json", "png"):
        assert train(*command, "--output", costs.parent / f"table.{ending}") == 0
    systems = json.loads((costs.parent / "table.json").read_text())["systems"]
    assert systems[1]["ratios"]["float"]["latency"] == 20.0
    assert (costs.parent / "table.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("uar", "times", "said"),
    [
        (0.2, 10, ("better than all of them", "that of all of them", "those of all of them")),
        (
            0.7,
            4,
            (
                "better than all but mfcc-cnn (70.0 %)",
                "that of all but mfcc-cnn (4.0 x)",
                "those of all but mfcc-cnn (4.0 x)",
            ),
        ),
        (0.2, 7, ("better than all of them", "that of all of them", "but mfcc-cnn (7.0 x)")),
    ],
)
def test_the_table_says_where_ours_falls_short(
    road: Path, costs: Path, uar: float, times: int, said: tuple[str, ...]
) -> None:
    found = table(costs, (costs.parent, road / "runs/mfcc-cnn"))
    ours, theirs = found.systems
    reached = ours.independent
    assert reached
    replace = msgspec.structs.replace
    heard = replace(reached, float_uar=replace(reached.float_uar, mean=uar))
    own = replace(reached, int8_uar=replace(reached.float_uar, mean=0.6))
    systems = (
        replace(ours, independent=own),
        replace(theirs, independent=heard, cost=(cost("mfcc-cnn", "float", times),)),
    )
    (sentence,) = verdicts(replace(found, systems=systems))
    assert all(part in sentence for part in said)
    assert sentence in markdown(replace(found, systems=systems))


def test_what_the_table_lacks_is_one_sentence(
    road: Path, costs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("compare", road, "--references", costs.parent / "none.json") == 1
    assert "run `undertone-train measure`" in capsys.readouterr().err
    assert train("compare", costs.parent, "--references", costs) == 1
    assert "Nothing of mfcc-cnn was evaluated" in capsys.readouterr().err
    assert train("compare", road, "--output", "table.png") == 2
    assert "ends in none of .md, .json" in capsys.readouterr().err
