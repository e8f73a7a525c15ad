"""What the classical editor is made of: NumPy and SciPy functions over RGB pictures, float32, (h, w, 3), 0 to 1."""
