"""The methods of quantization, one a file."""
