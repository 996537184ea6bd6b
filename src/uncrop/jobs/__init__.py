"""Pictures that are made in the background: submitted, queued durably, worked on by any process, kept until fetched."""
