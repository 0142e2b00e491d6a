"""From sound to a broker: `undertone listen` writes a journal, `undertone publish` follows it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from mqtt_broker import Mosquitto, Subscriber, what_is_missing
from undertone.emotions import EMOTIONS
from undertone.samples import clips


def test_what_is_said_arrives_at_the_broker(tmp_path: Path) -> None:
    if missing := what_is_missing():
        pytest.skip(missing)
    broker = Mosquitto(tmp_path)
    broker.start()
    subscriber = Subscriber(broker.port)
    undertone = (sys.executable, "-m", "undertone.cli")
    journal = ("--journal", str(tmp_path / "journal"))
    publish = subprocess.Popen(
        [*undertone, "publish", *journal, "--mqtt", broker.url, "--mqtt-topic", "home/pi"],
        env=os.environ | {"UNDERTONE_STATE": str(tmp_path / "state")},
    )
    try:
        subscriber.wait_until_online("home/pi")
        sound = soundfile.read(clips()[0], dtype="int16")[0].tobytes()
        listen = [*undertone, "listen", "--source", "-", *journal, "--journal-flush-s", "0"]
        subprocess.run(listen, input=sound + bytes(64_000), check=True, stdout=subprocess.DEVNULL)
        place = "home/pi/standard_input"
        got = subscriber.wait_for(lambda got: any("stopped" in m.payload for m in got))
    finally:
        publish.terminate()
        publish.wait()
        subscriber.close()
        broker.kill()
    (said,) = [json.loads(m.payload) for m in got if m.topic == f"{place}/segment"]
    assert said["label"] in EMOTIONS
    kinds = [m.topic.rpartition("/")[2] for m in got if m.topic.startswith(place)]
    assert [kind for kind in kinds if kind in ("start", "segment", "stop")] == [
        *("start", "segment", "stop")
    ]
