"""The project's own tools; `make` calls them."""
