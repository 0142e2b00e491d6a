"""Replaces messages in Streamlit's scripts that would make no sense to a user of Undertone."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SCRIPTS = "/static/js/"

WORDS = {
    b"Is Streamlit still running? If you accidentally stopped Streamlit, just restart it in your "
    b"terminal:": b"The server of this page is not running. The page continues when you start it:",
    b"streamlit run yourscript.py": b"undertone web",
    b"Streamlit server is not responding. Are you connected to the internet?": (
        b"The server of this page does not answer: is the command undertone web still running, "
        b"and are you in its network? The page continues as soon as it answers."
    ),
}
"""Used inside JavaScript template literals: no backticks, dollar signs or backslashes."""


class Wording:
    """Replaces the messages in the scripts on their way; Streamlit has no option for it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on everything; a script is held back until it is complete."""
        is_script = scope["type"] == "http" and scope["path"].startswith(_SCRIPTS)
        if not is_script or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        start: Message = {}
        script = bytearray()

        async def reword(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
                return
            script.extend(message.get("body", b""))
            if message.get("more_body", False):
                return
            content = bytes(script)
            if start["status"] == 200:
                for theirs, ours in WORDS.items():
                    content = content.replace(theirs, ours)
                MutableHeaders(scope=start)["content-length"] = str(len(content))
            await send(start)
            await send({"type": "http.response.body", "body": content})

        await self._app(scope, receive, reword)
