"""The API of AUTOMATIC1111's web UI, which Forge and SD.Next speak as well."""
