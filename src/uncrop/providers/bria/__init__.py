"""Bria's image expansion."""
