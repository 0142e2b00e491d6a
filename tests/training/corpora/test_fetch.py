import hashlib
import sys
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner

from undertone.cli import run
from undertone.support.installation import add_extra
from undertone_training.cli import COMMANDS, undertone_train
from undertone_training.corpora.fetch import ATTEMPTS, RECORD_URL, SONG, SPEECH, Archive, fetch
from undertone_training.errors import FetchError

CONTENT = bytes(range(256)) * 4000
ARCHIVE = Archive("clips.zip", hashlib.md5(CONTENT).hexdigest())


@dataclass
class Behaviour:
    """How the server misbehaves, and what it was asked."""

    content: bytes = CONTENT
    breaks_after: list[int] = field(default_factory=list)  # bytes, one entry a request
    statuses: list[int] = field(default_factory=list)  # answered first, one a request
    ignores_range: bool = False
    always_breaks_after: int | None = None
    hides_length: bool = False
    wrong_range: bool = False
    ranges: list[str | None] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        how = self.server.behaviour
        asked = self.headers.get("Range")
        how.ranges.append(asked)
        how.paths.append(self.path)
        if how.statuses:
            self.send_error(how.statuses.pop(0))
            return
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        size = len(how.content)
        if how.ignores_range:
            start = 0
        if start >= size:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{size}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if asked and not how.ignores_range else 200)
        if asked and not how.ignores_range:
            told = start + 1 if how.wrong_range else start
            self.send_header("Content-Range", f"bytes {told}-{size - 1}/{size}")
        if not how.hides_length:
            self.send_header("Content-Length", str(size - start))
        self.end_headers()
        end = size
        if how.breaks_after:
            end = start + how.breaks_after.pop(0)
        elif how.always_breaks_after is not None:
            end = start + how.always_breaks_after
        self.wfile.write(how.content[start:end])

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.behaviour = Behaviour()
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield http
        http.shutdown()
        thread.join()


@pytest.fixture
def behaviour(server):
    return server.behaviour


@pytest.fixture
def get(server, tmp_path):
    """Fetch into tmp_path without waiting; what would have been waited is in ``get.waits``."""

    def get(archive=ARCHIVE, folder=tmp_path, **others):
        return fetch(archive, folder, url(server), sleep=get.waits.append, **others)

    get.waits = []
    return get


def url(server):
    return f"http://127.0.0.1:{server.server_port}/files"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_an_archive_comes_whole_and_is_checked(get, behaviour, tmp_path):
    seen = []
    path = get(folder=tmp_path / "new" / "folder", progress=lambda *step: seen.append(step))
    assert path == tmp_path / "new" / "folder" / "clips.zip"
    assert path.read_bytes() == CONTENT
    assert names(path.parent) == ["clips.zip"]
    assert behaviour.paths == ["/files/clips.zip?download=1"]
    assert seen[0] == (0, len(CONTENT))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert not get.waits


def test_what_is_there_is_checked_and_not_fetched_again(get, behaviour, tmp_path):
    (tmp_path / "clips.zip").write_bytes(CONTENT)
    get()
    assert not behaviour.paths


def test_a_download_that_breaks_off_goes_on_where_it_stopped(get, behaviour):
    behaviour.breaks_after = [300_000, 400_000, 1]
    assert get().read_bytes() == CONTENT
    assert behaviour.ranges[0] is None
    starts = [int(asked.removeprefix("bytes=").rstrip("-")) for asked in behaviour.ranges[1:]]
    # What came last before a break may be lost, but little of it.
    assert 250_000 < starts[0] <= 300_000
    assert 600_000 < starts[1] <= starts[2] <= 700_001
    assert get.waits == [1, 1, 2], "longer where nothing came"


def test_a_later_call_goes_on_where_an_earlier_one_stopped(get, behaviour, tmp_path):
    (tmp_path / "clips.zip.part").write_bytes(CONTENT[:123_456])
    seen = []
    assert get(progress=lambda *step: seen.append(step)).read_bytes() == CONTENT
    assert behaviour.ranges == ["bytes=123456-"]
    assert seen[0] == (123_456, len(CONTENT))


def test_a_complete_part_needs_no_byte_more(get, behaviour, tmp_path):
    (tmp_path / "clips.zip.part").write_bytes(CONTENT)
    assert get().read_bytes() == CONTENT
    assert names(tmp_path) == ["clips.zip"]


def test_a_part_that_is_too_long_is_downloaded_again(get, behaviour, tmp_path):
    (tmp_path / "clips.zip.part").write_bytes(CONTENT + b"more")
    assert get().read_bytes() == CONTENT
    assert behaviour.ranges[-1] is None


def test_a_server_that_ignores_range_is_read_from_the_start(get, behaviour, tmp_path):
    behaviour.ignores_range = True
    (tmp_path / "clips.zip.part").write_bytes(b"x" * 100_000)
    assert get().read_bytes() == CONTENT


def test_a_server_that_sends_another_part_is_asked_from_the_start(get, behaviour, tmp_path):
    behaviour.wrong_range = True
    (tmp_path / "clips.zip.part").write_bytes(CONTENT[:1000])
    assert get().read_bytes() == CONTENT
    assert behaviour.ranges == ["bytes=1000-", None]


def test_a_server_that_hides_the_length_is_read_to_its_end(get, behaviour):
    behaviour.hides_length = True
    assert get().read_bytes() == CONTENT


@pytest.mark.parametrize("ignores_range", [False, True])
def test_a_server_that_never_gets_further_is_given_up(get, behaviour, tmp_path, ignores_range):
    behaviour.ignores_range = ignores_range
    behaviour.breaks_after = [200_000]
    behaviour.always_breaks_after = 200_000 if ignores_range else 0
    with pytest.raises(FetchError, match=r"could not be downloaded .*continues where it stopped"):
        get()
    assert len(behaviour.paths) == ATTEMPTS
    assert get.waits == [1, 2, 4, 8, 16]
    kept = (tmp_path / "clips.zip.part").read_bytes()
    assert len(kept) > 150_000
    assert CONTENT.startswith(kept)


def test_an_overloaded_server_is_asked_again(get, behaviour):
    behaviour.statuses = [503, 429, 500]
    assert get().read_bytes() == CONTENT
    assert get.waits == [1, 2, 4]


@pytest.mark.parametrize("status", [404, 403, 410])
def test_a_server_that_refuses_is_not_asked_again(get, behaviour, status, tmp_path):
    behaviour.statuses = [status]
    with pytest.raises(FetchError, match=f"answered {status}"):
        get()
    assert len(behaviour.paths) == 1
    assert not names(tmp_path)


def test_no_server_at_all_is_reported_after_some_attempts(tmp_path):
    waits = []
    with pytest.raises(FetchError, match="no connection to the server"):
        fetch(ARCHIVE, tmp_path, "http://127.0.0.1:1/files", sleep=waits.append)
    assert len(waits) == ATTEMPTS - 1


def test_wrong_bytes_are_set_aside_and_the_next_call_starts_again(get, behaviour, tmp_path):
    behaviour.content = CONTENT[:-1] + b"?"
    with pytest.raises(FetchError, match=r"has the MD5 .* instead of .*renamed to .*\.wrong"):
        get()
    assert names(tmp_path) == ["clips.zip.wrong"]
    behaviour.content = CONTENT
    get()
    assert names(tmp_path) == ["clips.zip", "clips.zip.wrong"]


def test_a_wrong_file_that_was_there_is_set_aside(get, behaviour, tmp_path):
    (tmp_path / "clips.zip").write_bytes(b"cut off")
    with pytest.raises(FetchError, match="renamed"):
        get()
    assert names(tmp_path) == ["clips.zip.wrong"]


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is a device of Linux")
def test_a_full_disk_is_reported_at_once(get, tmp_path):
    (tmp_path / "clips.zip.part").symlink_to("/dev/full")
    with pytest.raises(FetchError, match=r"The disk of .* is full: make room"):
        get()
    assert not get.waits


def test_a_folder_that_can_not_be_written_is_reported(get, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(FetchError, match=r"can't be written in .*: name another folder"):
        get(folder=tmp_path / "file")


def test_the_official_record_is_what_is_fetched():
    assert RECORD_URL == "https://zenodo.org/records/1188976/files"
    assert SPEECH.name == "Audio_Speech_Actors_01-24.zip"
    assert SPEECH.md5 == "bc696df654c87fed845eb13823edef8a"
    assert SONG.name == "Audio_Song_Actors_01-24.zip"
    assert SONG.md5 == "5411230427d67a21e18aa4d466e6d1b9"


def test_the_command_sets_wrong_bytes_aside_and_ends_with_1(server, tmp_path, capsys):
    args = ["fetch", "ravdess", "--to", str(tmp_path), "--url", url(server)]
    assert run(undertone_train, "undertone-train", args) == 1
    error = capsys.readouterr().err
    assert "Traceback" not in error
    assert error.splitlines()[-1].startswith("undertone-train: Audio_Speech_Actors_01-24.zip has")
    assert "Audio_Speech_Actors_01-24.zip: 1 of 1 MB" in error, "plain lines where nobody looks"
    assert names(tmp_path) == ["Audio_Speech_Actors_01-24.zip.wrong"]


def test_the_command_takes_known_corpora_only():
    result = CliRunner().invoke(undertone_train, ["fetch", "iemocap"])
    assert result.exit_code == 2
    assert "--url" not in CliRunner().invoke(undertone_train, ["fetch", "--help"]).output


def test_help_lists_every_command_and_a_misspelt_one_suggests_the_nearest():
    text = CliRunner().invoke(undertone_train, ["--help"]).output
    for name, line in COMMANDS.items():
        assert name in text
        assert line in text
    result = CliRunner().invoke(undertone_train, ["fetsh"])
    assert result.exit_code == 2
    assert "Did you mean 'fetch'?" in result.output


def test_a_missing_training_library_is_reported_with_the_command_that_installs_it(tmp_path):
    import subprocess

    code = (
        "import sys; sys.modules['requests'] = None\n"
        "from undertone.cli import run\n"
        "from undertone_training.cli import undertone_train\n"
        f"args = ['fetch', 'ravdess', '--to', {str(tmp_path)!r}]\n"
        "sys.exit(run(undertone_train, 'undertone-train', args))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == (
        f"undertone-train: requests is not installed: {add_extra('training')}.\n"
    )


def test_recipes_are_listed_and_printed_as_a_recipe_file(tmp_path: Path):
    from undertone_training import recipe

    listed = CliRunner().invoke(undertone_train, ["recipes"]).output.split()
    assert "compact" in listed
    for name in listed:
        printed = CliRunner().invoke(undertone_train, ["recipes", name]).output
        (tmp_path / "mine.toml").write_text(printed)
        assert recipe.load(tmp_path / "mine.toml") == recipe.load(name)
