"""The page of `make scale` against its figures."""

import json

import scale
from pages import rewritten


def test_the_page_has_the_figures_that_were_measured() -> None:
    page = scale.PAGE.read_text()
    assert page == rewritten(page, scale.BEGIN, scale.page(json.loads(scale.FIGURES.read_text())))
