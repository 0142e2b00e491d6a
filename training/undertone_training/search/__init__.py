"""The search for better recipes."""
