"""WebP: the structure of a file; Pillow reads and writes the pixels."""
