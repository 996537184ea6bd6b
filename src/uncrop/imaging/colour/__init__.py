"""What the numbers of pixels mean: colour profiles, made and applied, and the other ways in which files tell it."""
