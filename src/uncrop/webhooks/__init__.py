"""Messages to an organization's own servers about its jobs: signed, repeated, never sent into our own network."""
