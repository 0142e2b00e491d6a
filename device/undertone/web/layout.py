"""What stands around every page: its name, the way to the others, and the model in use."""

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from undertone.web.app_state import app_state
from undertone.web.auth import EXIT
from undertone.web.theme import icon
from undertone.web.views import classify, journal, live, model

_STYLE = "background:none;border:0;color:inherit;font-size:.875rem;padding:.25rem .5rem"
_LOG_OUT = f'<form method="post" action="{EXIT}"><button style="{_STYLE}">Log out</button></form>'


def show() -> None:
    """One run of the script: the page that the visitor is on."""
    house = app_state()
    if context := get_script_run_ctx():
        house.visitors.add(context.session_id)
    st.set_page_config(page_title="Undertone", page_icon=icon(), layout="wide")
    pages = [
        st.Page(classify.show, title="Classify", default=True),
        st.Page(live.show, title="Live", url_path="live"),
        st.Page(journal.show, title="Journal", url_path="journal"),
        st.Page(model.show, title="Model", url_path="model"),
    ]
    page = st.navigation(pages, position="hidden")
    st.html("<style>.stMainBlockContainer { padding-top: 3rem }</style>")
    # a row fits a phone too, where Streamlit's own hides
    with st.container(horizontal=True, vertical_alignment="center"):
        for each in pages:
            st.page_link(each, width="content")
        if house.has_password:
            st.html(_LOG_OUT, width="content")
    page.run()
