"""Stability AI's outpaint."""
