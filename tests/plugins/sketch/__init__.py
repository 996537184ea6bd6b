"""A provider as a stranger would add it: a package of its own, found by its entry point, that uncrop does not know.

Its imaginary vendor takes JSON, makes the picture in the background, and speaks of a canvas, a place and a grid.
"""
