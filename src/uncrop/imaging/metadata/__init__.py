"""What files say beside their pixels: EXIF, XMP and colour profiles; and files without it."""
