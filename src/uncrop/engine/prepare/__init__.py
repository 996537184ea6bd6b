"""What is known before any search: the canvas, the photo's features at every level, the prior, the effort."""
