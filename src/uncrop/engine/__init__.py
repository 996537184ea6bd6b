"""The weight-free outpainting engine: arrays in, arrays out."""
