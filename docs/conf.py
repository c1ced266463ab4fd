"""How Sphinx builds the documentation: `make docs`."""

project = "Headwater"
copyright = "the authors of Headwater"
extensions = ["myst_parser"]
highlight_language = "text"  # of blocks that name none
html_theme = "furo"
html_title = "Headwater"
exclude_patterns = ["generate"]
myst_heading_anchors = 3  # links may lead to headings, and are checked
html_copy_source = False
suppress_warnings = ["misc.highlighting_failure"]  # SQL of ours that the highlighter does not know
