"""Black Forest Labs' outpainting."""
