"""JPEG's coefficients: read, made from pixels, turned, and written, so that a photo's own are kept bit by bit."""
