"""The finished picture: copied pixels, with corrections that hide the seams."""
