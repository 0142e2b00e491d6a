"""The model that a visitor uses: the command's own until another is chosen on the page Model."""

import streamlit as st

from undertone.web.app_state import AppState
from undertone.web.models import Model

_KEY = "chosen model"


def chosen(house: AppState) -> Model:
    """The model in use in this session."""
    usable = house.models.usable
    return usable[st.session_state.get(_KEY, next(iter(usable)))]


def select_model(name: str) -> None:
    """Use the model of this name from now on, in this session."""
    st.session_state[_KEY] = name
