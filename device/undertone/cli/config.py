"""``undertone config``: every setting and its origin."""

import json
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from undertone import paths
from undertone.cli import options


@click.command(epilog="Example: UNDERTONE_THREADS=2 undertone config --threshold 0.6")
@options.every_setting
@options.output_format("table", "json", note="json: one object.")
@click.pass_context
def command(ctx: click.Context, /, form: str, **settings: Any) -> None:
    """Print every setting, its value, and where it comes from.

    A flag overrides an environment variable, which overrides the TOML file.
    """
    sources = {
        option.name: _source(ctx, option)
        for option in ctx.command.params
        if isinstance(option, click.Option) and option.name in settings
    }
    values = {name: _value(settings[name]) for name in sources}
    if form == "json":
        rows = {name: {"value": value, "source": sources[name]} for name, value in values.items()}
        click.echo(json.dumps(rows, indent=2))
        return
    width = max(map(len, values))
    shown = {name: _shown(value) for name, value in values.items()}
    value_width = max(map(len, shown.values()))
    for name, value in shown.items():
        click.echo(f"{name:<{width}}  {value:<{value_width}}  {sources[name]}")


def _value(value: Any) -> Any:
    """For JSON: of what may be given several times a list, or else the only value or None."""
    if isinstance(value, tuple):
        return list(value) if len(value) > 1 else next(iter(value), None)
    return str(value) if isinstance(value, Path) else value


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "-" if value is None else str(value)


def _source(ctx: click.Context, option: click.Option) -> str:
    match ctx.get_parameter_source(option.name or ""):
        case ParameterSource.COMMANDLINE:
            return f"flag {option.opts[0]}"
        case ParameterSource.ENVIRONMENT:
            return f"environment variable {option.envvar}"
        case ParameterSource.DEFAULT_MAP:
            return f"file {paths.config_path()}"
        case _:
            return "default"
