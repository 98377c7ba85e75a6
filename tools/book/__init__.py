"""The web book: the labs as pages that move and ask without Python. ``python -m tools.book`` builds it."""
