"""The page Model: the bundles, their figures and cards, and which one to use."""

import re

import streamlit as st

from undertone.bench import stages
from undertone.bench.model import accuracy
from undertone.bench.result import Stages
from undertone.errors import UndertoneError
from undertone.files.workers import in_new_process
from undertone.web.app_state import AppState, app_state
from undertone.web.models import Model
from undertone.web.theme import plain, table

_CHOSEN = "chosen model"
_RUNS = 50
_LARGEST_CARD = 2**18
_PICTURE = "report/confusion-int8.png"
_SHOWN = ("mfcc", "invoke", "path")

_PICTURES = re.compile(r"!\[[^\]]*\]\([^)]*\)")
_LINKS = re.compile(r"\[([^\]]*)\]\((?!https://)[^)]*\)")


def chosen(state: AppState) -> Model:
    """The model that this visitor uses: the command's, until another is selected here."""
    selected = st.session_state.get(_CHOSEN)
    return state.models.usable[selected] if selected else state.models.default


def show() -> None:
    """Draw the page."""
    state = app_state()
    st.title("Models")
    names = list(state.models.usable)
    current = chosen(state).bundle.manifest.name
    name = st.radio("Model used on these pages", names, names.index(current), horizontal=True)
    st.session_state[_CHOSEN] = name
    model = state.models.usable[name]
    st.caption(
        "The selection lasts until you leave. To make it permanent, add "
        f'`model = "{model.bundle.manifest.name}"` to the settings file.'
    )
    _figures(model)
    _latency(state, model)
    picture = model.bundle.folder / _PICTURE
    if picture.is_file():
        caption = "Confusion matrix. Rows: true emotion; columns: recognised emotion."
        with st.container(width=640):  # or narrower, on a phone; a picture of 640 would not be
            st.image(picture.read_bytes(), caption, width="stretch")
    _card(model)
    for broken, why in state.models.broken.items():
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
    if manifest.without_verdict:
        st.caption(
            f"Always uncertain, whatever the confidence: {', '.join(manifest.without_verdict)}."
        )
    if known:
        st.caption(
            f"UAR (mean of the recalls) of models trained with the same recipe, protocol "
            f"{plain(known.protocol)}. The model card has details."
        )


def _latency(state: AppState, model: Model) -> None:
    if not st.button("Measure latency on this machine", icon=":material/timer:"):
        return
    try:
        with state.working, st.spinner("measuring…"):
            runtime, threads = model.classifier.runtime, state.settings.threads
            timed = in_new_process(stages.measure, model.bundle.folder, runtime, threads, _RUNS)
    except UndertoneError as error:
        st.error(plain(str(error)))
        return
    table(_rows(timed.stages))
    st.caption(
        f"Milliseconds, from {_RUNS} calls. `mfcc`: 0.3 s of speech; `invoke`: one window; `path`: "
        "0.1 s of sound through all stages. `undertone bench` measures more."
    )


def _rows(measured: Stages) -> list[dict[str, str]]:
    rows = []
    for name in _SHOWN:
        latency = getattr(measured, name)
        rows.append({"stage": name, "p50": f"{latency.p50_ms:.2f}", "p99": f"{latency.p99_ms:.2f}"})
    return rows


def _card(model: Model) -> None:
    """The model card, without its pictures and without links to other files of the bundle."""
    path = model.bundle.folder / "README.md"
    if path.is_file():
        with path.open(encoding="utf-8", errors="replace") as file:
            text = file.read(_LARGEST_CARD)
        with st.expander("Model card"):
            st.markdown(_LINKS.sub(r"\1", _PICTURES.sub("", text)))
