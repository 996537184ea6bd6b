"""Clipdrop's Uncrop."""
