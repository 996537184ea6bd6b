"""What providers are shown, as arrays: the photo on a frame, the mask, and colour under what is to be made."""
