"""The model that a visitor uses: the command's, until another is selected on the page Model."""

import streamlit as st

from undertone.web.app_state import AppState
from undertone.web.models import Model

_KEY = "chosen model"


def chosen(state: AppState) -> Model:
    """The model selected in this session."""
    selected = st.session_state.get(_KEY)
    return state.models.usable[selected] if selected else state.models.default


def select_model(name: str) -> None:
    """Use the model of this name in this session from now on."""
    st.session_state[_KEY] = name
