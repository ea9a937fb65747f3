"""What happens in a viewer while a session is open; no widgets."""
