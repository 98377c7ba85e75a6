"""The exercises: one file a lab, and the machine that checks, hints and answers."""
