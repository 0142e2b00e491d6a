"""A visitor of the page without a browser, who sends and receives Streamlit's messages."""

import http.client
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

_TIMEOUT_S = 60.0


class Visitor:
    """One session: it opens the page Classify, uploads files, and reads what is shown."""

    def __init__(self, url: str) -> None:
        """Connect and wait until the page is drawn."""
        self._address = urlsplit(url).netloc
        self._leave = ExitStack()
        self._socket = self._leave.enter_context(
            connect(
                f"ws://{self._address}/_stcore/stream",
                origin=Origin(url),
                subprotocols=[Subprotocol("streamlit")],
                max_size=None,
            )
        )
        self._uploader = ""
        self._answer = ""
        self._session = ""
        self.shown: list[str] = []
        """Every text of the last run, in order."""
        self._run(BackMsg())

    def close(self) -> None:
        """Disconnect."""
        self._leave.close()

    def classify(self, name: str, data: bytes) -> list[str]:
        """Upload a file; return every text that the page then shows."""
        request = BackMsg()
        request.file_urls_request.request_id = "1"
        request.file_urls_request.session_id = self._session
        request.file_urls_request.file_names.append(name)
        self._socket.send(request.SerializeToString())
        urls = next(
            message.file_urls_response.file_urls[0]
            for message in self._messages()
            if message.WhichOneof("type") == "file_urls_response"
        )
        status = self.put(urls.upload_url, name, data)
        if status != 204:
            return [f"refused with {status}: {self._answer}"]
        changed = BackMsg()
        state = changed.rerun_script.widget_states.widgets.add(id=self._uploader)
        info = state.file_uploader_state_value.uploaded_file_info.add()
        info.name, info.size, info.file_id = name, len(data), urls.file_id
        info.file_urls.CopyFrom(urls)
        self._run(changed)
        return self.shown

    def upload_path(self, file: str) -> str:
        """Where an upload of this session goes; ``file`` is a name of ours for it."""
        return f"/_stcore/upload_file/{self._session}/{file}"

    def upload_headers(self, token: bool = True) -> dict[str, str]:
        """What an upload has to say; ``token``: that the page itself sends it, too."""
        connection = http.client.HTTPConnection(self._address, timeout=_TIMEOUT_S)
        connection.request("GET", "/_stcore/health")
        cookie = connection.getresponse().headers["set-cookie"].partition(";")[0]
        connection.close()
        headers = {"Content-Type": "multipart/form-data; boundary=x", "Cookie": cookie}
        return headers | ({"X-Xsrftoken": cookie.partition("=")[2]} if token else {})

    def put(self, path: str, name: str, data: bytes, token: bool = True) -> int:
        """Send a file to an address of the server; the status of its answer."""
        connection = http.client.HTTPConnection(self._address, timeout=_TIMEOUT_S)
        body = (
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="'
            + name.encode().replace(b'"', b"%22")
            + b'"\r\nContent-Type: audio/wav\r\n\r\n'
            + data
            + b"\r\n--x--\r\n"
        )
        connection.request("PUT", path, body, self.upload_headers(token))
        answer = connection.getresponse()
        self._answer = answer.read().decode()
        connection.close()
        return answer.status

    def _messages(self) -> Iterator[Any]:
        while True:
            message = ForwardMsg()
            data = self._socket.recv(timeout=_TIMEOUT_S)
            assert isinstance(data, bytes)
            message.ParseFromString(data)
            yield message

    def _run(self, request: BackMsg) -> None:
        """Have the script run, and collect what it shows."""
        request.rerun_script.query_string = ""
        request.rerun_script.page_name = "classify"
        self.shown = []
        self._socket.send(request.SerializeToString())
        for message in self._messages():
            match message.WhichOneof("type"):
                case "new_session":
                    self._session = message.new_session.initialize.session_id
                case "delta":
                    self._see(message.delta.new_element)
                case "script_finished":
                    return

    def _see(self, element: Any) -> None:
        match element.WhichOneof("type"):
            case "file_uploader":
                self._uploader = element.file_uploader.id
            case "markdown" | "alert" | "html" | "heading" as kind:
                self.shown.append(getattr(element, kind).body)
            case "exception":
                self.shown.append(f"an exception: {element.exception.message}")
