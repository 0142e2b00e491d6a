"""The page Model: the bundles, what is known of each, and which one to use."""

import re
from typing import Any

import streamlit as st

from undertone.bench import stages
from undertone.bench.model import accuracy
from undertone.bench.result import Stages
from undertone.errors import UndertoneError
from undertone.files.workers import in_new_process
from undertone.web import model_selection
from undertone.web.app_state import AppState, app_state
from undertone.web.models import Model
from undertone.web.theme import plain

_RUNS = 50
_LARGEST_CARD = 2**18
_PICTURE = "report/confusion-int8.png"
_SHOWN = ("mfcc", "invoke", "path")

_PICTURES = re.compile(r"!\[[^\]]*\]\([^)]*\)")
_LINKS = re.compile(r"\[([^\]]*)\]\((?!https://)[^)]*\)")


def show() -> None:
    """Draw the page."""
    house = app_state()
    st.title("Models")
    names = list(house.models.usable)
    current = model_selection.chosen(house).bundle.manifest.name
    name = st.radio("In use on these pages", names, names.index(current), horizontal=True)
    model_selection.select_model(name)
    model = house.models.usable[name]
    st.caption(
        "The choice holds until you leave. To set it for good, write "
        f'`model = "{model.bundle.manifest.name}"` into the file of settings.'
    )
    _figures(model)
    _latency(house, model)
    picture = model.bundle.folder / _PICTURE
    if picture.is_file():
        st.image(picture.read_bytes(), "Rows: what was played; columns: what was heard.", width=640)
    _card(model)
    for broken, why in house.models.broken.items():
        st.error(f"{plain(broken)}: {plain(why)}")


def _figures(model: Model) -> None:
    manifest = model.bundle.manifest
    known = accuracy(manifest)
    with st.container(horizontal=True):
        st.metric("size", f"{len(model.bundle.model) / 1024:.0f} KB")
        st.metric("emotions", len(manifest.labels))
        st.metric("uncertain below", f"{manifest.confidence_threshold:.0%}")
        if known:
            st.metric("UAR", f"{known.uar:.1%}")
    if known:
        st.caption(
            f"UAR, the mean of the recalls: {plain(known.protocol)}. Of models made by the same "
            "recipe; the card says more."
        )


def _latency(house: AppState, model: Model) -> None:
    if not st.button("Measure the latency here", icon=":material/timer:"):
        return
    try:
        with house.working, st.spinner("measuring…"):
            runtime, threads = model.classifier.runtime, house.settings.threads
            timed = in_new_process(stages.measure, model.bundle.folder, runtime, threads, _RUNS)
    except UndertoneError as error:
        st.error(plain(str(error)))
        return
    st.dataframe(_rows(timed.stages), hide_index=True)
    st.caption(
        f"Milliseconds over {_RUNS} calls; `mfcc` and `path` of 0.1 s of sound, `invoke` of one "
        "window. `undertone bench` measures more."
    )


def _rows(measured: Stages) -> list[dict[str, Any]]:
    rows = []
    for name in _SHOWN:
        latency = getattr(measured, name)
        rows.append({"stage": name, "p50": latency.p50_ms, "p99": latency.p99_ms})
    return rows


def _card(model: Model) -> None:
    """The model card, without its pictures and without links to other files of the bundle."""
    path = model.bundle.folder / "README.md"
    if path.is_file():
        with path.open(encoding="utf-8", errors="replace") as file:
            text = file.read(_LARGEST_CARD)
        with st.expander("Model card"):
            st.markdown(_LINKS.sub(r"\1", _PICTURES.sub("", text)))
