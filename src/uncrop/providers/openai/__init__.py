"""OpenAI's image edits, and every server that speaks their language."""
