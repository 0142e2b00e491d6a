"""What stands around every page: its name, the way to the others, and the model in use."""

import streamlit as st

from undertone.web.pages import classify, journal, live, model
from undertone.web.theme import icon


def show() -> None:
    """One run of the script: the page that the visitor is on."""
    st.set_page_config(page_title="Undertone", page_icon=icon(), layout="wide")
    pages = [
        st.Page(classify.show, title="Classify", default=True),
        st.Page(live.show, title="Live", url_path="live"),
        st.Page(journal.show, title="Journal", url_path="journal"),
        st.Page(model.show, title="Model", url_path="model"),
    ]
    page = st.navigation(pages, position="hidden")
    st.html("<style>.stMainBlockContainer { padding-top: 3rem }</style>")
    with st.container(horizontal=True):  # a row fits a phone too, where Streamlit's own hides
        for each in pages:
            st.page_link(each, width="content")
    page.run()
