"""ComfyUI, on a machine of the operator's own."""
