"""The layout of every page: its title, and the links to the other pages."""

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from undertone.web.app_state import app_state
from undertone.web.auth import LOGOUT_PATH
from undertone.web.theme import STYLE, icon
from undertone.web.views import classify, journal, live, model, today

_STYLE = "background:none;border:0;color:inherit;font-size:.875rem;padding:.25rem .5rem"
_BUTTON = f'<button style="{_STYLE}">Log out</button>'
_LOG_OUT = f'<form method="post" action="{LOGOUT_PATH}">{_BUTTON}</form>'


def show() -> None:
    """Run the script once, for the page that the visitor has opened."""
    state = app_state()
    if context := get_script_run_ctx():
        state.visitors.add(context.session_id)
    st.set_page_config(page_title="Undertone", page_icon=icon(), layout="wide")
    pages = [
        st.Page(today.show, title="Today", default=True),
        st.Page(classify.show, title="Classify", url_path="classify"),
        st.Page(live.show, title="Live", url_path="live"),
        st.Page(journal.show, title="Journal", url_path="journal"),
        st.Page(model.show, title="Model", url_path="model"),
    ]
    page = st.navigation(pages, position="hidden")
    st.html(f"<style>{STYLE}</style>")
    # a row also fits a phone, on which Streamlit hides its own navigation
    with st.container(horizontal=True, vertical_alignment="center"):
        for each in pages:
            st.page_link(each, width="content")
        if state.has_password:
            st.html(_LOG_OUT, width="content")
    page.run()
