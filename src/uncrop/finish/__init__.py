"""Stage 4: the original back in place, the seam, the colour, the size."""
