"""One module a page; ``show`` draws it.

Not called ``pages``: Streamlit takes a folder of that name beside its script for pages of its own,
and runs a module of it in place of the script until somebody has opened the first page.
"""
