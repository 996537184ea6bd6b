"""JPEG: the structure of a file, and its pixels, by libjpeg-turbo."""
