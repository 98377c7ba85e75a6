"""Sphinx's settings for the web book; tools/book writes the pages beside a copy of this file."""

project = "ddl_lab"
author = "the authors of ddl_lab"
copyright = "the authors of ddl_lab: prose CC BY 4.0, code MIT"
extensions = ["myst_nb", "sphinx.ext.mathjax"]
html_theme = "sphinx_book_theme"
html_title = "ddl_lab: distributed deep learning, by running it"
html_static_path = ["_static"]
html_favicon = "_static/icon.svg"
html_css_files = ["book.css"]
html_js_files = [("book.js", {"defer": "defer"})]
html_copy_source = False
html_show_sourcelink = False
html_context = {"default_mode": "auto"}
html_theme_options = {
    "use_download_button": False,
    "use_fullscreen_button": False,
    "show_toc_level": 2,
    "logo": {"text": "ddl_lab"},
}
nb_execution_mode = "off"  # the labs come with their outputs
nb_mime_priority_overrides = [("html", "text/html", 0)]
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 3
mathjax_path = "mathjax/tex-chtml.js"
mathjax3_config = {"options": {"enableMenu": False}}
suppress_warnings = ["myst.header", "mystnb.unknown_mime_type"]
