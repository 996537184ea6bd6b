"""Finished answers as files: in the data folder, or in an S3 bucket."""
