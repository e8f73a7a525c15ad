"""Demo data: real photographs that installed packages ship, with cases and masks written for them."""
