import os
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from undertone.audio.files import AUDIO_SUFFIXES, read_blocks
from undertone.emotions import EMOTIONS
from undertone.errors import AudioSourceError
from undertone_training.corpora import CORPORA, AudioRef, Clip, scan, table
from undertone_training.corpora.clip import UnusableNameError
from undertone_training.errors import CorpusError

# Each corpus as it is published: a path, and what it tells.
PUBLISHED = {
    "ravdess": {
        "Audio_Speech_Actors_01-24/Actor_12/03-01-06-01-02-01-12.wav": (
            "12", "female", "fearful", "speech", "normal", "dogs", 1,
        ),
        "Actor_01/03-01-08-02-01-02-01.wav": (
            "01", "male", "surprised", "speech", "strong", "kids", 2,
        ),
        "Audio_Song_Actors_01-24/Actor_03/03-02-02-02-01-01-03.wav": (
            "03", "male", "calm", "song", "strong", "kids", 1,
        ),
    },
    "nemo": {
        "samples/EB0_anger_12.wav": ("EB0", "female", "angry", "speech", None, "12", None),
        "samples/WR0_surprised_64.wav": ("WR0", "male", "surprised", "speech", None, "64", None),
    },
    "tess": {
        "OAF_angry/OAF_back_angry.wav": ("OAF", "female", "angry", "speech", None, "back", None),
        "YAF_pleasant_surprised/YAF_dog_ps.wav": (
            "YAF", "female", "surprised", "speech", None, "dog", None,
        ),
    },
    "emodb": {
        "wav/03a01Fa.wav": ("03", "male", "happy", "speech", None, "a01", 1),
        "wav/16b10Wb.wav": ("16", "female", "angry", "speech", None, "b10", 2),
    },
    "cremad": {
        "AudioWAV/1001_DFA_ANG_XX.wav": ("1001", "male", "angry", "speech", None, "DFA", None),
        "AudioWAV/1091_IEO_SAD_HI.wav": ("1091", "female", "sad", "speech", "strong", "IEO", None),
        "AudioWAV/1040_ITH_SAD_X.wav": ("1040", "male", "sad", "speech", None, "ITH", None),
    },
    "savee": {
        "AudioData/DC/a01.wav": ("DC", "male", "angry", "speech", None, "a01", None),
        "KL_su15.wav": ("KL", "male", "surprised", "speech", None, "su15", None),
    },
    "emovo": {
        "EMOVO/f1/dis-f1-b1.wav": ("f1", "female", "disgust", "speech", None, "b1", None),
        "m3/tri-m3-n5.wav": ("m3", "male", "sad", "speech", None, "n5", None),
    },
    "urdu": {
        "Angry/SM1_F10_A010.wav": ("SM1", "male", "angry", "speech", None, None, None),
        "Neutral/SF9_F1_N01.wav": ("SF9", "female", "neutral", "speech", None, None, None),
        "Sad/SM6_F4_S0100.wav": ("SM6", "male", "sad", "speech", None, None, None),
    },
    "turev": {
        "Sound Source/Angry/1157_kz_beste.wav": (
            "1157", None, "angry", "speech", None, "beste", None,
        ),
        "Sound Source/Calm/1234_sk_acik.wav": ("1234", None, "calm", "speech", None, "acik", None),
        "Sound Source/Sad/1157_hl_acik.wav": ("1157", None, "sad", "speech", None, "acik", None),
        "Sound Source/Happy/1358_mt_cay.wav": ("1358", None, "happy", "speech", None, "cay", None),
    },
    "casia": {
        "casia/liuchanhg/angry/201.wav": (
            "liuchanhg", "female", "angry", "speech", None, "201", None,
        ),
        "ZhaoZuoxiang/surprise/250.wav": (
            "ZhaoZuoxiang", "male", "surprised", "speech", None, "250", None,
        ),
    },
    "ased": {
        "05Angry/a5-03-01-02-50.wav": ("50", "male", "angry", "speech", None, "a5-03", 1),
        "01Neutral/n1-01-02-01-09.wav": ("09", "female", "neutral", "speech", None, "01", 2),
        "04Sad/S4-04-02-01-29.wav": ("29", "female", "sad", "speech", None, "s4-04", 2),
        "02Fearful/f2-02-01-02-15.wav": ("15", "female", "fearful", "speech", None, "02", 1),
    },
}  # fmt: skip


def labels(clip):
    return (
        clip.speaker, clip.sex, clip.emotion, clip.channel, clip.intensity, clip.statement,
        clip.repetition,
    )  # fmt: skip


def write_recording(path, sample_rate_hz=48_000, channels=2, seconds=0.05):
    path.parent.mkdir(parents=True, exist_ok=True)
    time_s = np.arange(round(sample_rate_hz * seconds)) / sample_rate_hz
    tone = 0.3 * np.sin(2 * np.pi * 440 * time_s)
    soundfile.write(path, np.column_stack([tone, 0.5 * tone][:channels]), sample_rate_hz)
    return path


def touch(path, content=b""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def zipped(folder, archive):
    archive.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(folder.rglob("*")):
            file.write(path, path.relative_to(folder))
    return archive


def reasons(found):
    return Counter(problem.reason for problem in found.problems)


def path_and_labels():
    for corpus, paths in PUBLISHED.items():
        for path, expected in paths.items():
            yield pytest.param(corpus, path, expected, id=path)


@pytest.mark.parametrize(("corpus", "path", "expected"), list(path_and_labels()))
def test_published_names_tell_speaker_emotion_and_the_rest(tmp_path, corpus, path, expected):
    touch(tmp_path / path)
    (clip,) = scan(tmp_path).clips
    assert clip.corpus == corpus
    assert labels(clip) == expected


@pytest.mark.parametrize("corpus", PUBLISHED)
def test_a_zip_archive_gives_the_clips_of_its_folder(tmp_path, corpus):
    for path in PUBLISHED[corpus]:
        write_recording(tmp_path / "folder" / path)
    archive = zipped(tmp_path / "folder", tmp_path / "archive" / "corpus.zip")
    unpacked = scan(tmp_path / "folder")
    for packed in (scan(archive), scan(archive.parent)):
        assert [clip.clip_id for clip in packed.clips] == [c.clip_id for c in unpacked.clips]
        assert [labels(clip) for clip in packed.clips] == [labels(c) for c in unpacked.clips]
        assert not packed.problems
        for one, other in zip(packed.clips, unpacked.clips, strict=True):
            np.testing.assert_array_equal(one.source.read(), other.source.read())


def test_the_official_ravdess_archives_and_flac_copies(tmp_path):
    song, speech = "03-02-01-01-01-01-01", "03-01-01-01-01-01-01"
    write_recording(tmp_path / "song" / "Actor_01" / f"{song}.wav")
    zipped(tmp_path / "song", tmp_path / "data" / "Audio_Song_Actors_01-24.zip")
    write_recording(
        tmp_path / "data" / "Audio_Speech_Actors_01-24" / "Actor_01" / f"{speech}.flac", 16_000, 1
    )
    found = scan(tmp_path / "data")
    assert {clip.clip_id: clip.channel for clip in found.clips} == {song: "song", speech: "speech"}


def test_the_corpora_can_lie_side_by_side_and_be_chosen(tmp_path):
    for corpus, paths in PUBLISHED.items():
        for path in paths:
            touch(tmp_path / corpus / path)
    found = scan(tmp_path)
    assert not found.problems
    assert Counter(clip.corpus for clip in found.clips) == {
        corpus: len(paths) for corpus, paths in PUBLISHED.items()
    }
    assert len({clip.clip_id for clip in found.clips}) == len(found.clips)
    chosen = scan(tmp_path, ["tess", "savee"])
    assert {clip.corpus for clip in chosen.clips} == {"tess", "savee"}
    assert not chosen.problems


def test_a_link_to_a_corpus_is_followed_and_a_loop_of_links_ends(tmp_path):
    touch(tmp_path / "elsewhere" / "03a01Fa.wav")
    data = tmp_path / "data"
    data.mkdir()
    (data / "emodb").symlink_to(tmp_path / "elsewhere")
    (data / "loop").symlink_to(data)
    found = scan(data)
    assert [clip.clip_id for clip in found.clips] == ["03a01Fa"]
    assert not found.problems


def test_misspelt_tess_name_counts_as_the_clip_that_it_means(tmp_path):
    touch(tmp_path / "OA_bite_neutral.wav")
    (clip,) = scan(tmp_path).clips
    assert (clip.clip_id, clip.speaker) == ("OAF_bite_neutral", "OAF")


def test_the_sexes_of_cremad_are_as_published():
    parse = CORPORA["cremad"].parse
    sexes = Counter(
        parse(AudioRef(Path(f"{actor}_DFA_ANG_XX.wav"))).sex for actor in range(1001, 1092)
    )
    assert sexes == {"male": 48, "female": 43}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("01-01-06-01-02-01-12.wav", "a RAVDESS recording that is not audio-only"),
        ("03-03-06-01-02-01-12.wav", "RAVDESS has no channel 03"),
        ("03-01-09-01-02-01-12.wav", "RAVDESS has no emotion 09"),
        ("03-01-00-01-02-01-12.wav", "RAVDESS has no emotion 00"),
        ("03-01-01-02-02-01-12.wav", "RAVDESS has no strong neutral"),
        ("03-02-07-01-02-01-12.wav", "RAVDESS has no disgust song"),
        ("03-01-06-01-02-03-12.wav", "RAVDESS has no repetition 03"),
        ("03-01-06-01-02-01-25.wav", "RAVDESS has no actor 25"),
        ("XX0_anger_1.ogg", "nEMO has no speaker XX0"),
        ("EB0_boredom_1.ogg", "nEMO has no emotion boredom"),
        ("OAF_back_bored.wav", "TESS has no emotion bored"),
        ("03a01La.wav", "EMO-DB's boredom has no counterpart"),
        ("03a01Xa.wav", "EMO-DB has no emotion X"),
        ("04a01Fa.wav", "EMO-DB has no speaker 04"),
        ("1092_DFA_ANG_XX.wav", "CREMA-D has no actor 1092"),
        ("1001_DFA_BOR_XX.wav", "CREMA-D has no emotion BOR"),
        ("1001_DFA_ANG_YY.wav", "CREMA-D has no intensity YY"),
        ("DC_x01.wav", "SAVEE has no emotion x"),
        ("noi-f1-b1.wav", "EMOVO has no emotion noi"),
        ("SM1_F10_B010.wav", "URDU has no emotion B"),
        ("1157_xx_beste.wav", "TurEV-DB has no emotion xx"),
        ("Model Output for Test Data/sound/1157_kz_beste.wav", "a filtered copy of a TurEV-DB"),
        ("wangzhe/bored/201.wav", "CASIA has no emotion bored"),
        ("201.wav", "a name of no known corpus"),
        ("a5-03-01-02-66.wav", "ASED has no speaker 66"),
        ("a4-03-01-02-50.wav", "ASED has no emotion a4"),
        ("03-01-06-01-02-01-12 (1).wav", "a name of no known corpus"),
        ("٠٣-٠١-٠٦-٠١-٠٢-٠١-١٢.wav", "a name of no known corpus"),
        ("a01.wav", "a name of no known corpus"),
        ("music.mp3", "a name of no known corpus"),
        ("notes.txt", "not an audio file"),
        ("broken.zip", "not a readable zip archive"),
    ],
)
def test_what_is_not_a_clip_is_reported_and_the_rest_is_found(tmp_path, name, reason):
    touch(tmp_path / "Actor_02" / "03-01-01-01-01-01-02.wav")
    touch(tmp_path / "Actor_02" / name)
    found = scan(tmp_path)
    assert [clip.clip_id for clip in found.clips] == ["03-01-01-01-01-01-02"]
    (problem,) = found.problems
    assert problem.reason.startswith(reason)
    assert name in str(problem)


def test_papers_and_hidden_files_are_passed_over(tmp_path):
    touch(tmp_path / ".cache" / "data" / "03a01Fa.wav")
    for name in ("README.md", "LICENSE", "data.tsv", "VideoDemographics.csv", ".DS_Store"):
        touch(tmp_path / ".cache" / "data" / name)
    touch(tmp_path / ".cache" / "data" / ".trash" / "08a01Fa.wav")
    found = scan(tmp_path / ".cache" / "data")
    assert [clip.clip_id for clip in found.clips] == ["03a01Fa"]
    assert not found.problems


def test_recordings_of_noise_are_no_complaint(tmp_path):
    touch(tmp_path / "1001_DFA_ANG_XX.wav")
    touch(tmp_path / "noise" / "street.flac")
    touch(tmp_path / "deep" / "noise" / "street.flac")
    assert [problem.source.path for problem in scan(tmp_path).problems] == [
        tmp_path / "deep" / "noise" / "street.flac"
    ]


def test_of_copies_the_first_file_is_kept_and_the_others_are_reported(tmp_path):
    first = touch(tmp_path / "a" / "03a01Fa.wav")
    touch(tmp_path / "b" / "03a01Fa.flac")
    touch(tmp_path / "b" / "08a01Fa.wav")
    zipped(tmp_path / "b", tmp_path / "0.zip")
    found = scan(tmp_path)
    assert [clip.clip_id for clip in found.clips] == ["03a01Fa", "08a01Fa"]
    assert found.clips[0].source == AudioRef(first)
    assert found.clips[1].source.member is None
    assert reasons(found) == {"a second copy of a clip": 3}


def test_complaints_are_one_line_for_each_kind(tmp_path):
    touch(tmp_path / "03a01Fa.wav")
    for number in range(30):
        touch(tmp_path / f"noise{number:02}.wav")
    touch(tmp_path / "notes.txt")
    complaints = scan(tmp_path).complaints()
    assert len(complaints) == 2
    assert complaints[0].endswith("noise00.wav (and 29 more): a name of no known corpus")
    assert complaints[1].endswith("notes.txt: not an audio file")


def test_a_folder_that_is_not_there_or_has_no_corpus_is_one_clear_sentence(tmp_path):
    with pytest.raises(CorpusError, match=r"There is no folder .*nowhere"):
        scan(tmp_path / "nowhere")
    with pytest.raises(CorpusError, match="no clips of a known corpus"):
        scan(tmp_path)
    touch(tmp_path / "song.mp3")
    with pytest.raises(CorpusError, match="no clips of a known corpus"):
        scan(tmp_path)
    touch(tmp_path / "03a01Fa.wav")
    with pytest.raises(CorpusError, match="no clips of tess"):
        scan(tmp_path, ["emodb", "tess"])
    with pytest.raises(CorpusError, match="no corpus called iemocap"):
        scan(tmp_path, ["iemocap"])


names = st.one_of(
    st.text(max_size=40),
    *(
        st.from_regex(pattern, fullmatch=True)
        for pattern in (
            r"\d{2}(-\d{2}){6}",
            r"[A-Z]{2}\d_[a-z]{1,9}_\d{1,3}",
            r"(OAF?|YAF)_[a-z]+_[a-z]{1,9}",
            r"\d{2}[ab]\d{2}[A-Z][a-z]",
            r"1\d{3}_[A-Z]{3}_[A-Z]{3}_[A-Z]{1,2}",
            r"((DC|JE|JK|KL)[_/])?[a-z]{1,2}\d{2}",
            r"[a-z]{3}-[fm][1-3]-[bdln]\d",
            r"S[FM]\d{1,2}_F\d{1,2}_[AHNSX]0\d{1,3}",
            r"\d{4}_(kz|sk|mt|hl|xx)_[a-z]+",
            r"(wangzhe|liuchanhg)/[a-z]+/\d{3}",
            r"[nfhsa]\d(-\d{2}){4}",
        )
    ),
)


@given(name=names, suffix=st.sampled_from(["", ".wav", ".FLAC", ".wav.wav", "\n"]))
def test_any_name_is_a_clip_or_ignored_or_a_reported_problem(name, suffix):
    source = AudioRef(Path("data.zip"), name + suffix)
    clips = []
    for corpus in CORPORA.values():
        try:
            clips.append(corpus.parse(source))
        except UnusableNameError as error:
            assert str(error)
    clips = [clip for clip in clips if clip is not None]
    assert len(clips) <= 1, "no name is of two corpora"
    for clip in clips:
        assert isinstance(clip, Clip)
        assert clip.emotion in EMOTIONS
    assert str(source).isprintable()


def test_a_recording_is_read_as_the_device_reads_it(tmp_path):
    path = write_recording(tmp_path / "03a01Fa.wav", seconds=0.5)
    samples = AudioRef(path).read()
    assert samples.dtype == np.int16
    assert len(samples) == 8000
    np.testing.assert_array_equal(
        samples, np.concatenate([block.samples for block in read_blocks(path)])
    )


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 22_050, 44_100, 96_000])
def test_a_recording_of_any_rate_keeps_its_length_and_its_pitch(tmp_path, rate_hz):
    """CREMA-D is also spread at 11,025 Hz."""
    path = write_recording(tmp_path / "1001_DFA_ANG_XX.wav", rate_hz, 1, seconds=1.0)
    (clip,) = scan(tmp_path).clips
    samples = clip.source.read()
    assert abs(len(samples) - 16_000) <= 1
    spectrum = np.abs(np.fft.rfft(samples[:16_000] * np.hanning(len(samples[:16_000])), 16_000))
    assert spectrum.argmax() == 440
    np.testing.assert_array_equal(
        samples, np.concatenate([block.samples for block in read_blocks(path)])
    )


def test_16_khz_recordings_are_read_bit_for_bit(tmp_path):
    stored = np.array([0, 1, -1, 32767, -32768, 123], np.int16)
    soundfile.write(tmp_path / "a.flac", stored, 16_000)
    np.testing.assert_array_equal(AudioRef(tmp_path / "a.flac").read(), stored)


def test_content_is_the_bytes_as_stored(tmp_path):
    path = write_recording(tmp_path / "folder" / "a.wav")
    archive = zipped(tmp_path / "folder", tmp_path / "a.zip")
    assert AudioRef(path).content() == path.read_bytes()
    assert AudioRef(archive, "a.wav").content() == path.read_bytes()


def damaged_archive(folder):
    write_recording(folder / "in" / "a.wav")
    archive = zipped(folder / "in", folder / "a.zip")
    content = bytearray(archive.read_bytes())
    content[200] ^= 0xFF  # a sample: the member's checksum is wrong now
    archive.write_bytes(content)
    return AudioRef(archive, "a.wav")


def not_numbers(folder):
    soundfile.write(folder / "nan.wav", np.array([0.1, np.nan]), 16_000, subtype="FLOAT")
    return AudioRef(folder / "nan.wav")


def without_sound(folder):
    soundfile.write(folder / "short.wav", np.empty(0), 16_000)
    return AudioRef(folder / "short.wav")


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda folder: AudioRef(folder / "gone.wav"), "does not exist"),
        (lambda folder: AudioRef(zipped(folder, folder / "a.zip"), "gone.wav"), "does not exist"),
        (lambda folder: AudioRef(touch(folder / "text.wav", b"hello")), "not audio"),
        (lambda folder: AudioRef(touch(folder / "empty.wav")), "not audio"),
        (lambda folder: AudioRef(folder), "can't be read"),
        (lambda folder: AudioRef(touch(folder / "a.zip", b"PK"), "a.wav"), "damaged"),
        (damaged_archive, "damaged"),
        (not_numbers, "not numbers"),
        (without_sound, "no sound"),
    ],
)
def test_a_recording_that_can_not_be_read_is_named_in_one_sentence(tmp_path, make, sentence):
    source = make(tmp_path)
    with pytest.raises(AudioSourceError, match=sentence) as caught:
        source.read()
    assert str(source) in str(caught.value)


def test_the_table_has_a_row_for_each_clip(tmp_path):
    touch(tmp_path / "03a01Fa.wav")
    touch(tmp_path / "YAF_dog_ps.wav")
    clips = scan(tmp_path).clips
    frame = table(clips)
    assert list(frame["clip_id"]) == [clip.clip_id for clip in clips]
    assert list(frame["emotion"]) == ["surprised", "happy"]
    assert table([]).columns.equals(frame.columns)
    table(clips).to_csv(tmp_path / "clips.csv", index=False)
    lines = (tmp_path / "clips.csv").read_text().splitlines()
    assert lines[0].startswith("corpus,clip_id,speaker,sex,emotion,channel,intensity,statement")
    assert lines[2].startswith("emodb,03a01Fa,03,male,happy,speech,,a01,1,")


@pytest.mark.corpora
@pytest.mark.skipif(
    not Path(os.environ.get("UNDERTONE_DATA") or "/nonexistent").is_dir(),
    reason="UNDERTONE_DATA names no folder of corpora",
)
def test_the_corpora_at_hand_are_found_whole():
    found = scan(Path(os.environ["UNDERTONE_DATA"]))
    counts = Counter((clip.corpus, clip.channel) for clip in found.clips)
    for channel, per_actor in (("speech", 60), ("song", 44)):
        sung_or_spoken = [c for c in found.clips if (c.corpus, c.channel) == ("ravdess", channel)]
        actors = {clip.speaker for clip in sung_or_spoken}
        assert len(sung_or_spoken) == per_actor * len(actors)
    assert counts["nemo", "speech"] in (0, 4481)
    assert counts["casia", "speech"] in (0, 1200)
    assert counts["ased", "speech"] in (0, 2474)
    for corpus, speakers in (("casia", 4), ("ased", 65)):
        own = {(clip.speaker, clip.sex) for clip in found.clips if clip.corpus == corpus}
        assert len(own) in (0, speakers)
    assert counts["tess", "speech"] in (0, 2799, 2800)  # some copies lack a clip
    assert all(clip.source.path.suffix in AUDIO_SUFFIXES for clip in found.clips)


def test_the_data_side_imports_neither_tensorflow_nor_pandas():
    code = (
        "import sys, undertone_training.corpora, undertone_training.corpora.splits, "
        "undertone_training.corpora.fetch, undertone_training.cli\n"
        "print(sorted({'tensorflow', 'keras', 'pandas', 'sklearn', 'matplotlib', 'librosa'}"
        " & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
