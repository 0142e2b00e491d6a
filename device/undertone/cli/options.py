"""Every setting, defined once: a flag, its environment variable and its key in the TOML file.

A command takes a setting by its decorator (``@options.model``); the group passes it the
file's values through click's ``default_map``.  The TOML key of a setting is its name here.
"""

import functools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from undertone import paths
from undertone.journal.limits import JournalLimits

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class Number(click.FloatRange):
    """A finite number within bounds; click's own type accepts NaN within any bounds."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Raise BadParameter if ``value`` is not a number within the bounds."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number


class AnyPath(click.Path):
    """A file or a folder, which need not exist; opening it shows whether it is permitted."""

    def __init__(self, **kinds: bool) -> None:
        """``kinds``: ``file_okay`` and ``dir_okay``, which an existing path must satisfy."""
        super().__init__(readable=False, path_type=Path, **kinds)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Raise BadParameter if ``value`` is empty, which pathlib takes for the folder "."."""
        if value == "":
            self.fail("a path can't be empty; the current folder is '.'", param, ctx)
        path: Any = super().convert(value, param, ctx)
        return Path(path)


class _ExpandedPath(AnyPath):
    """A path in which ``~`` is expanded: a TOML file has no shell to do it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Raise BadParameter if ``value`` is of the wrong kind or can't be a path."""
        try:
            return super().convert(value and Path(value).expanduser(), param, ctx)
        except (ValueError, RuntimeError) as error:  # a NUL in it; no such user
            self.fail(f"{value!r} is not a path: {error}", param, ctx)


class Parsed(click.ParamType[Any]):
    """What a function makes of the text; its ValueError says what is wrong."""

    def __init__(self, name: str, parse: Callable[[str], object]) -> None:
        """``name``: what the help calls the text."""
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Raise BadParameter if the function refuses ``value``."""
        try:
            return self._parse(value) if isinstance(value, str) else value
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _broker(url: str) -> str:
    from undertone.publish.broker import parse_url

    parse_url(url)
    return url


def _topic(topic: str) -> str:
    from undertone.publish.messages import check_topic

    return check_topic(topic)


def _source(text: str) -> str:
    """What is listened to: text, or a NetworkAddress, which as text shows no password."""
    from undertone.audio.address import NetworkAddress, is_address

    if isinstance(text, NetworkAddress) or not is_address(text):
        return text
    return NetworkAddress(text)


class Counts(click.ParamType[tuple[int, ...]]):
    """Whole numbers from 1 to ``most``, separated by commas: a tuple without duplicates."""

    name = "numbers"

    def __init__(self, most: int) -> None:
        self._one: Any = click.IntRange(1, most)  # click's annotations accept only numbers

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Raise BadParameter if a part of ``value`` is not such a number."""
        if isinstance(value, tuple):  # converted already
            return value
        parts = str(value).split(",")
        return tuple(dict.fromkeys(self._one.convert(part, param, ctx) for part in parts))


class _Repeatable(click.Option):
    """An option that may be given several times; in its environment variable, one value a line."""

    def value_from_envvar(self, ctx: click.Context) -> Any:
        """The lines of the variable."""
        value = self.resolve_envvar_value(ctx)
        return value.splitlines() if value else None

    def type_cast_value(self, ctx: click.Context, value: Any) -> Any:
        """A tuple; the settings file may hold a single value."""
        single = isinstance(value, str | int | float)
        return super().type_cast_value(ctx, [value] if single else value)


class _First(click.Option):
    """An option of a command that takes one value, where its setting may have several."""

    def value_from_envvar(self, ctx: click.Context) -> Any:
        """The first line of the variable."""
        value = self.resolve_envvar_value(ctx)
        return value.splitlines()[0] if value else None

    def type_cast_value(self, ctx: click.Context, value: Any) -> Any:
        """The value, or the first of a list in the settings file."""
        return super().type_cast_value(ctx, value[0] if isinstance(value, list) else value)


_settings: dict[str, Decorator] = {}


def _setting(name: str, *short: str, **attributes: Any) -> Decorator:
    """The option of a setting; where commands differ in it, the first is the setting itself."""
    attributes = {"show_default": True, "show_envvar": True} | attributes
    flag = "--" + name.replace("_", "-")
    option = click.option(flag, *short, name, envvar=f"UNDERTONE_{name.upper()}", **attributes)
    _settings.setdefault(name, option)
    return option


model = _setting(
    "model",
    default=paths.DEFAULT_BUNDLE,
    metavar="NAME|PATH",
    help="Name of a packaged model, or path of a bundle.",
)
sources = _setting(
    "source",
    type=Parsed("source", _source),
    metavar="mic|FILE|URL|-",
    help="A microphone, an audio file, the address of a stream (http, https, rtsp, rtsps), or "
    "16-bit PCM on stdin.  Several streams, and mic, can be listened to at once: repeat the "
    "option.  [default: the microphone, or the packaged sample if there is none]",
    cls=_Repeatable,
    multiple=True,
)
microphones = _setting(
    "microphone",
    metavar="NAME",
    help="Microphone, by a part of its name in `undertone devices`; repeat the option to listen to "
    "several.  [default: the system's]",
    cls=_Repeatable,
    multiple=True,
)
microphone = _setting(
    "microphone",
    metavar="NAME",
    help="Microphone, by a part of its name in `undertone devices`.  [default: the system's]",
    cls=_First,
)
channels = _setting(
    "channel",
    type=click.IntRange(min=0),
    help="Channel of the microphone, counted from 0; once for all microphones, or once for each.  "
    "[default: the mean of all]",
    cls=_Repeatable,
    multiple=True,
)
channel = _setting(
    "channel",
    type=click.IntRange(min=0),
    help="Channel of the microphone, counted from 0.  [default: the mean of all]",
    cls=_First,
)
gains_db = _setting(
    "gain_db",
    type=Number(-60, 60),
    default=[0.0],
    help="Gain applied to the microphone's sound, in dB; once for all, or once for each "
    "microphone.",
    cls=_Repeatable,
    multiple=True,
)
gain_db = _setting(
    "gain_db",
    type=Number(-60, 60),
    default=0.0,
    help="Gain applied to the microphone's sound, in dB.",
    cls=_First,
)
_MOST_THREADS = 64
threads = _setting(
    "threads",
    type=click.IntRange(1, _MOST_THREADS),
    default=1,  # two are 6 to 20 times slower than one with the runtimes' own int8 kernels
    help="Number of threads of the TFLite runtime.",
)
several_threads = _setting(
    "threads",
    type=Counts(_MOST_THREADS),
    default="1",
    metavar="N,N,...",
    help="Number of threads of the TFLite runtime; several are measured in turn.",
)
_RUNTIMES = ["auto", "litert", "litert-builtin", "tflite-runtime"]
runtime = _setting(
    "runtime",
    type=click.Choice(_RUNTIMES),
    default="auto",
    help="TFLite runtime.  auto prefers LiteRT if it is installed; litert-builtin is LiteRT "
    "without XNNPACK.",
)
any_runtime = _setting(
    "runtime",
    type=click.Choice([*_RUNTIMES, "all"]),
    default="auto",
    help="TFLite runtime, or all installed ones in turn.",
)
threshold = _setting(
    "threshold",
    type=Number(0, 1),
    help="Confidence below which the verdict is `uncertain`.  [default: the model's]",
)
journal = _setting(
    "journal",
    type=_ExpandedPath(file_okay=False),
    default=paths.journal_dir,
    show_default="journal in the state folder",
    help="Folder that holds the journal.",
)
journal_flush_s = _setting(
    "journal_flush_s",
    type=Number(min=0),
    default=JournalLimits.flush_s,
    help="Seconds of events that a power cut may lose.",
)
journal_max_mb = _setting(
    "journal_max_mb",
    type=Number(min=0, min_open=True),
    default=JournalLimits.max_mb,
    help="Maximum size of one journal file, in MB.",
)
journal_keep_days = _setting(
    "journal_keep_days",
    type=click.IntRange(min=1),
    default=JournalLimits.keep_days,
    help="Days after which events are deleted.",
)
journal_keep_mb = _setting(
    "journal_keep_mb",
    type=Number(min=0, min_open=True),
    default=JournalLimits.keep_mb,
    help="Maximum size of the whole journal, in MB; the oldest files are deleted first.",
)
web_host = _setting(
    "web_host",
    "--host",
    default="127.0.0.1",
    metavar="ADDRESS",
    help="Address to serve on; 0.0.0.0 is every address of this machine.",
)
web_port = _setting(
    "web_port",
    "--port",
    type=click.IntRange(0, 65535),
    default=8501,
    help="Port to serve on; 0 selects a free one.",
)
web_password_file = _setting(
    "web_password_file",
    type=_ExpandedPath(dir_okay=False),
    help="File with the password, readable only by its owner.",
)
mqtt = _setting(
    "mqtt",
    type=Parsed("text", _broker),
    metavar="URL",
    help="MQTT broker: mqtt://host or, with TLS, mqtts://host:8883.  [default: none]",
)
mqtt_ca_file = _setting(
    "mqtt_ca_file",
    type=_ExpandedPath(dir_okay=False),
    help="Certificate of the authority that signed the broker's.  [default: the system's]",
)
mqtt_topic = _setting(
    "mqtt_topic",
    type=Parsed("text", _topic),
    help="What every topic begins with.  [default: undertone/ and this machine's name]",
)
publish_secrets_file = _setting(
    "publish_secrets_file",
    type=_ExpandedPath(dir_okay=False),
    help="TOML file with logins and addresses, readable only by its owner.",
)


def output_format(*forms: str, note: str) -> Decorator:
    """Give a command the option ``--format`` as ``form``, one of ``forms``, the first by default.

    ``--json``, from before there was ``--format``, still works, hidden.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @click.option(
            "--format",
            "form",
            type=click.Choice(forms),
            default=forms[0],
            show_default=True,
            help=note,
        )
        @click.option("--json", "as_json", is_flag=True, hidden=True)
        @functools.wraps(function)
        def with_form(*args: Any, form: str, as_json: bool, **others: Any) -> Any:
            return function(*args, form="json" if as_json else form, **others)

        return with_form

    return decorate


def is_by_flag(option: str) -> bool:
    """Whether the option of the command that runs was given on its command line."""
    source = click.get_current_context().get_parameter_source(option)
    return source is click.core.ParameterSource.COMMANDLINE


def every_setting(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command every setting."""
    for decorate in reversed(_settings.values()):
        function = decorate(function)
    return function


def journal_writing(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the journal's folder as ``journal`` and a JournalLimits as ``limits``."""

    @functools.wraps(function)
    def with_limits(
        *args: Any,
        journal_flush_s: float,
        journal_max_mb: float,
        journal_keep_days: int,
        journal_keep_mb: float,
        **others: Any,
    ) -> Any:
        limits = JournalLimits(journal_flush_s, journal_max_mb, journal_keep_days, journal_keep_mb)
        return function(*args, limits=limits, **others)

    decorated: Callable[..., Any] = with_limits
    for decorate in (journal_keep_mb, journal_keep_days, journal_max_mb, journal_flush_s, journal):
        decorated = decorate(decorated)
    return decorated


def known_settings() -> dict[str, click.Option]:
    """Every setting by its name, the key in the TOML file."""
    carrier = click.command()(every_setting(lambda: None))
    return {
        option.name: option
        for option in carrier.params
        if isinstance(option, click.Option) and option.name
    }
