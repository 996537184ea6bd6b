"""Stage 3: makers of pixels."""
