"""One module per page, with a function ``show`` that draws it.

The folder is not called ``pages``: Streamlit takes a folder of that name beside its script for its
own multi-page format, and runs a module in it instead of the script until the first page is opened.
"""
