"""What happened in a run: recorded, kept, looked at."""
