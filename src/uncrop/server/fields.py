"""The form's fields by their kind, which follows from their names alone, however they were sent."""

REQUIRED = ("provider", "organization_id", "image_file")
TEXTS = ("provider", "organization_id", "prompt", "size", "quality")
NUMBERS = ("extend_left", "extend_right", "extend_up", "extend_down", "seed")
SWITCHES = ("confidence_map",)
FILES = ("image_file", "mask_file")
FIELDS = dict.fromkeys((*REQUIRED, *TEXTS, *NUMBERS, *SWITCHES, *FILES))

IS_REQUIRED = "is required"
IS_NO_TEXT = "must be text, not a file"
