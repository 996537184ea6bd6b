"""Detail at the photo's own scale for what a provider made at a smaller one: ``redraw.py`` has the steps."""
