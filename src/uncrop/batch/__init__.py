"""Many photos at once: read from folders, tables and buckets, made on the queue, resumed after whatever ends it."""
