"""The nuclear envelope: its line, thickness and confidence."""
