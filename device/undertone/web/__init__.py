"""The web page, in a browser: the live view, the journal, the models, and files to try."""
