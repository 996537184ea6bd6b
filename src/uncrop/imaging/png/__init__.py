"""PNG: the structure of a file, and its pixels, read and written without loss."""
