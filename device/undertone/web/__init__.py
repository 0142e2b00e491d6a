"""The page: the device's dashboard, and a place to try files, in a browser (extra ``web``)."""
