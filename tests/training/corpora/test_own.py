"""Recordings of one's own: folders and tables that become corpora, and mistakes in them."""

from pathlib import Path

import pytest
from miniature import train, write
from numpy import zeros

from undertone_training.corpora import scan
from undertone_training.errors import CorpusError


def record(path: Path) -> Path:
    write(path, zeros(160, "int16"))
    return path


def table(data: Path, text: str, encoding: str = "utf-8") -> Path:
    path = data / "own" / "family.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))
    return path


def found(data: Path) -> list[tuple[str, str, str, str]]:
    clips = scan(data).clips
    return [(clip.corpus, clip.clip_id, clip.speaker, clip.emotion) for clip in clips]


def test_a_folder_of_speakers_and_emotions_is_a_corpus(tmp_path: Path) -> None:
    record(tmp_path / "own/family/anna/happy/1.wav")
    record(tmp_path / "own/family/anna/Sad/session 2/1.flac")
    record(tmp_path / "own/friends/03a01Fa/calm/03a01Fa.wav")  # a name of EMO-DB, but not from it
    record(tmp_path / "emodb/03a01Fa.wav")
    (tmp_path / "own/family/README.txt").write_text("ours")
    record(tmp_path / "own/friends/03a01Fa/calm/03a01Fa.flac")
    (tmp_path / "own/family/anna/happy/notes.doc").write_text("x")
    assert found(tmp_path) == [
        ("emodb", "03a01Fa", "03", "happy"),
        ("family", "family/anna/Sad/session 2/1.flac", "anna", "sad"),
        ("family", "family/anna/happy/1.wav", "anna", "happy"),
        ("friends", "friends/03a01Fa/calm/03a01Fa.flac", "03a01Fa", "calm"),
        ("friends", "friends/03a01Fa/calm/03a01Fa.wav", "03a01Fa", "calm"),
    ]
    (complaint,) = scan(tmp_path).complaints()
    assert complaint.endswith("notes.doc: not an audio file")
    assert {clip.corpus for clip in scan(tmp_path, ["family"]).clips} == {"family"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_table_is_a_corpus_whatever_the_order_of_its_columns(
    tmp_path: Path, encoding: str
) -> None:
    record(tmp_path / "own/family/deep/1.wav")
    elsewhere = record(tmp_path / "elsewhere" / "2.wav")
    table(
        tmp_path,
        f'emotion,note,path,speaker\nhappy,,family/deep/1.wav,anna\nAngry,"a,b",{elsewhere},bo\n',
        encoding,
    )
    assert [row[2:] for row in found(tmp_path)] == [("bo", "angry"), ("anna", "happy")]
    assert all(len(clip.source.read()) == 160 for clip in scan(tmp_path).clips)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("path;speaker;emotion\n1.wav;anna;happy\n", "has no column path: its first line must"),
        ("path,who,emotion\n1.wav,anna,happy\n", "has no column speaker"),
        ("", "has no column path"),
        ("path,speaker,emotion\n", "lists no recording"),
        (
            "path,speaker,emotion\n1.wav,anna,joyful\n",
            "line 2: there is no emotion 'joyful': there",
        ),
        ("path,speaker,emotion\n1.wav,anna,hapy\n", "did you mean 'happy'?"),
        ("path,speaker,emotion\n1.wav,anna,sad\n2.wav,bo,sad\n", "line 3: there is no file"),
        ("path,speaker,emotion\n1.wav,,sad\n", "line 2 lacks a path, a speaker"),
        ("path,speaker,emotion\n1.wav,anna\n", "line 2 lacks a path, a speaker"),
        ("path,speaker,emotion\n1.wav,anna,sad\n../own/1.wav,bo,sad\n", "the file of line 2 again"),
        ("path,speaker,emotion\n1.wav,anna,sad\n1.wav,anna,happy\n", "line 3 names the file"),
        ('path,speaker,emotion\n"1.wav,anna,sad\n', "save it as CSV in UTF-8"),
        ("path,speaker,emotion\n1.wav\0,anna,sad\n", "there is no file"),
    ],
)
def test_a_mistake_in_a_table_is_one_sentence(
    tmp_path: Path, text: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    record(tmp_path / "own/1.wav")
    path = table(tmp_path, text)
    assert train("prepare", "--data", tmp_path, "--dry-run") == 1
    said = capsys.readouterr().err.replace("\n", " ")
    assert says in said
    assert str(path) in said


def test_a_table_in_another_encoding_is_one_sentence(tmp_path: Path) -> None:
    record(tmp_path / "own/1.wav")
    table(tmp_path, "path,speaker,emotion\n1.wav,J\xfcrgen,sad\n", "latin-1")
    with pytest.raises(CorpusError, match="save it as CSV in UTF-8"):
        scan(tmp_path)


@pytest.mark.parametrize(
    ("recording", "says"),
    [
        ("own/family/anna/joyful/1.wav", "there is no emotion 'joyful'"),
        ("own/family/happy/1.wav", "in no folder of a speaker and an emotion"),
        ("own/ravdess/anna/happy/1.wav", "the name of a published corpus"),
        ("own/My family/anna/happy/1.wav", "lower-case letters"),
    ],
)
def test_a_mistake_in_a_folder_is_one_sentence(tmp_path: Path, recording: str, says: str) -> None:
    record(tmp_path / recording)
    with pytest.raises(CorpusError, match=says):
        scan(tmp_path)


def test_an_empty_folder_is_one_sentence_and_hinders_no_other_corpus(tmp_path: Path) -> None:
    record(tmp_path / "emodb/03a01Fa.wav")
    (tmp_path / "own/family/anna").mkdir(parents=True)
    with pytest.raises(CorpusError, match=r"There is no recording in .*family: put some"):
        scan(tmp_path)
    assert len(scan(tmp_path, ["emodb"]).clips) == 1
    with pytest.raises(CorpusError, match=r"no corpus called famly: known are .*ased, family"):
        scan(tmp_path, ["famly"])


def test_a_corpus_of_one_speaker_can_be_prepared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record(tmp_path / "own/family/anna/happy/1.wav")
    assert train("prepare", "--data", tmp_path, "--dry-run") == 0
    assert "family speech: 1 clip of 1 speaker\n" in capsys.readouterr().out
